"""Fine-tuned weights are kept where they are no worse on the tuning split, and only there."""

import pytest
import torch

from mnmef.data.twin import simulate_split
from mnmef.experiments.load import load_experiment
from mnmef.filters.learned import initial_filter
from mnmef.learning.checkpoints import read_card, read_tensors, save_checkpoint
from mnmef.learning.selection import keep_better, score_order, tuning_score

MODEL = {"feature_size": 8, "width": 8, "heads": 2, "seeds": 2, "hidden_layers": 1}


@pytest.fixture
def checkpoints(tmp_path):
    """A filter that does little harm to the EnKF, and the same thrown far off the truth at every cycle."""
    files = []
    for name, shift in (("good", 0.0), ("bad", 3.0)):
        filter_ = initial_filter(load_experiment("lorenz63"), 1.0, MODEL, 0)
        with torch.no_grad():
            for parameter in filter_.parameters():
                parameter += shift
        files.append(tmp_path / f"{name}.safetensors")
        save_checkpoint(filter_, files[-1], {"note": name})
    return files


def same(one, other) -> bool:
    a, b = read_tensors(one), read_tensors(other)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_weights_that_fine_tuning_made_worse_give_way_and_better_ones_stay(checkpoints, tmp_path):
    good, bad = checkpoints
    split = simulate_split(load_experiment("lorenz63"), "tune", 3, 12, [1.0], 10, 1)
    tuned = tmp_path / "tuned.safetensors"
    for start, end, kept in ((good, bad, True), (bad, good, False), (good, good, False)):
        tuned.write_bytes(end.read_bytes())
        assert keep_better(tuned, start, split, 5, 1, 12) is kept
        assert same(tuned, good)
        assert read_card(tuned) == {**read_card(end), "kept_pretrained": kept}


def test_cycles_after_those_that_are_compared_do_not_matter(checkpoints, tmp_path):
    good, bad = checkpoints
    split = simulate_split(load_experiment("lorenz63"), "tune", 3, 12, [1.0], 10, 1)
    split["truth"] = split["truth"].where(split["cycle"] <= split["cycle"][3])  # of later cycles nothing is known
    tuned = tmp_path / "tuned.safetensors"
    for start, end, kept in ((good, bad, True), (bad, good, False)):
        tuned.write_bytes(end.read_bytes())
        assert keep_better(tuned, start, split, 5, 1, 4) is kept


def test_a_filter_that_loses_fewer_trajectories_ranks_first_whatever_its_error():
    scores = [{"n_diverged": 1, "rrmse": 0.1}, {"n_diverged": 0, "rrmse": 0.9}, {"n_diverged": 0, "rrmse": 0.8}]
    assert [score["rrmse"] for score in sorted(scores, key=score_order)] == [0.8, 0.9, 0.1]


def test_weights_are_never_scored_on_the_test_split():
    split = simulate_split(load_experiment("lorenz63"), "test", 2, 3, [1.0], 5, 1)
    with pytest.raises(ValueError, match="not on the test split"):
        tuning_score(initial_filter(load_experiment("lorenz63"), 1.0, MODEL, 0), split, 5, 1)
