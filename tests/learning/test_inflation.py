"""The inflation of a trained filter is tuned on the tuning split, and only that changes."""

import math

import pytest
import torch

from mnmef.data.twin import simulate_split
from mnmef.experiments.load import load_experiment
from mnmef.filters.learned import initial_filter
from mnmef.learning.checkpoints import load_checkpoint, read_card, read_tensors, save_checkpoint
from mnmef.learning.inflation import FACTORS, main, tune_inflation
from mnmef.learning.selection import tuning_score

FULL = load_experiment("lorenz96_full")


def local(first_inflation):
    """An untrained filter."""
    model = {"channels": 4, "layers": 1, "first_inflation": first_inflation, "growth": 0.0}
    return initial_filter(FULL, 1.0, model, 0, name="mnmef_local")


def test_an_inflation_that_is_too_large_is_lowered_to_the_best_factor():
    split, filter_ = simulate_split(FULL, "tune", 2, 100, [1.0], 10, 1), local(1.2)
    factor = tune_inflation(filter_, split, [10], 1)
    assert factor == min(FACTORS)
    assert float(filter_.inflation[0].detach().exp()) == pytest.approx(1.2 * factor, rel=1e-6)
    scores = []
    for each in FACTORS:
        with torch.no_grad():
            filter_.inflation[0] = math.log(1.2 * each)
        scores.append(tuning_score(filter_, split, 10, 1)["rrmse"])
    assert scores.index(min(scores)) == FACTORS.index(factor)


def test_the_command_writes_the_same_weights_but_for_the_inflation(tmp_path, capsys):
    given, tuned = tmp_path / "given.safetensors", tmp_path / "tuned.safetensors"
    save_checkpoint(local(1.05), given, {"seconds": 12.0})
    main([str(given), str(tuned), "--sizes", "4", "8", "--trajectories", "2", "--cycles", "20"])
    assert "factor" in capsys.readouterr().out
    before, after = read_tensors(given), read_tensors(tuned)
    assert [name for name in before if not torch.equal(before[name], after[name])] in ([], ["inflation"])
    card = read_card(tuned)
    assert card["seconds"] == 12.0
    assert float(load_checkpoint(tuned).inflation[0].detach().exp()) == pytest.approx(
        1.05 * card["inflation_factor"], rel=1e-6
    )
