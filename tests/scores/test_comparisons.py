"""Comparisons in pairs, and the spread over trainings."""

import numpy as np
import pytest
import xarray as xr

from mnmef.data.published import KEYS
from mnmef.io.files import provenance, write_dataset
from mnmef.scores.comparisons import (
    add_improvements,
    add_trainings,
    compare_filters,
    score_trainings,
)
from mnmef.scores.scoring import summarize, trajectory_scores

RRMSE = {"letkf": 0.5, "esrf": 0.45, "mnmef_pretrained": 0.4}


def write_evaluation(path, method, level, diverged=()):
    rng = np.random.default_rng(len(method))
    error = level + 0.01 * rng.random((2, 6, 5))
    error[:, list(diverged), -1] = np.nan
    dims = ("ensemble_size", "trajectory", "cycle")
    dataset = xr.Dataset(
        {"error_norm": (dims, error), "truth_norm": (dims, np.ones_like(error))},
        coords={"ensemble_size": [5, 10]},
        attrs={"experiment": "lorenz96", "sigma_y": "1.0", "method": method},
    )
    write_dataset(dataset, path, provenance=provenance("evaluation", {}, 0))
    return path


@pytest.fixture
def files(tmp_path):
    diverged = {"esrf": (0, 3)}
    return [write_evaluation(tmp_path / f"{m}.nc", m, e, diverged.get(m, ())) for m, e in RRMSE.items()]


def test_every_score_lies_in_its_interval_and_is_the_mean_of_its_trajectories(files):
    trajectories = trajectory_scores(files)
    scores = summarize(trajectories, KEYS, seed=0)
    assert len(trajectories) == 3 * 2 * 6
    assert ((scores["rrmse_low"] < scores["rrmse"]) & (scores["rrmse"] < scores["rrmse_high"])).all()
    means = trajectories.groupby(["method", "ensemble_size"])["rrmse"].mean()
    for row in scores.itertuples():
        assert row.rrmse == pytest.approx(means[row.method, row.ensemble_size])


def test_each_learned_filter_is_compared_with_each_other_filter_on_the_pairs_that_neither_lost(files):
    improvements = compare_filters(trajectory_scores(files), seed=0)
    assert set(zip(improvements["method"], improvements["benchmark"], strict=True)) == {
        ("mnmef_pretrained", "letkf"),
        ("mnmef_pretrained", "esrf"),
    }
    pairs = improvements.set_index(["benchmark", "ensemble_size"])[["n_pairs", "n_left_out"]]
    assert tuple(pairs.loc["esrf", 5]) == (4, 2)
    assert tuple(pairs.loc["letkf", 10]) == (6, 0)


def test_scores_name_the_benchmark_and_the_best_classical_filter_and_what_is_gained_on_them(files):
    trajectories = trajectory_scores(files)
    scores = summarize(trajectories, KEYS, seed=0)
    table = add_improvements(scores, compare_filters(trajectories, seed=0))
    ours = table[table["method"] == "mnmef_pretrained"].iloc[0]
    theirs = table[table["method"] == "letkf"].iloc[0]
    # ESRF has the lower error, but lost trajectories.
    assert (ours["benchmark"], ours["best_classical"]) == ("letkf", "letkf")
    assert ours["improvement"] == pytest.approx((theirs["rrmse"] - ours["rrmse"]) / theirs["rrmse"])
    assert ours["improvement_low"] < ours["improvement"] < ours["improvement_high"]
    assert theirs[["benchmark", "improvement", "best_improvement"]].isna().all()
    assert table[scores.columns].equals(scores)


def test_without_a_classical_filter_learned_ones_are_compared_and_there_is_no_benchmark(tmp_path):
    files = [
        write_evaluation(tmp_path / f"{m}.nc", m, e) for m, e in (("mnmef_pretrained", 0.2), ("mnmef_finetuned", 0.1))
    ]
    trajectories = trajectory_scores(files)
    improvements = compare_filters(trajectories, seed=0)
    table = add_improvements(summarize(trajectories, KEYS, seed=0), improvements)
    assert len(improvements) > 0
    assert table[["benchmark", "improvement", "best_classical", "best_improvement"]].isna().all(axis=None)


def test_the_spread_over_trainings_stands_beside_the_first_of_them(files, tmp_path):
    trajectories = trajectory_scores(files)
    scores = summarize(trajectories, KEYS, seed=0)
    others = [
        write_evaluation(tmp_path / f"lorenz96_1.0_mnmef_pretrained_{k}.nc", "mnmef_pretrained", 0.4 + 0.01 * k)
        for k in (2, 3)
    ]
    trainings = score_trainings(scores, others, seed=0)
    at_ten = trainings[trainings["ensemble_size"] == 10]
    assert at_ten["training"].tolist() == [1, 2, 3]
    table = add_trainings(scores, trainings).set_index(["method", "ensemble_size"])
    assert table.loc[("mnmef_pretrained", 10), "rrmse_training_std"] == pytest.approx(at_ten["rrmse"].std(ddof=1))
    assert table["n_trainings"].to_dict()["mnmef_pretrained", 5] == 3
    assert table.loc["letkf", "n_trainings"].tolist() == [0, 0]


def test_without_further_trainings_there_is_one_and_no_spread(files):
    scores = summarize(trajectory_scores(files), KEYS, seed=0)
    table = add_trainings(scores, score_trainings(scores, [], seed=0))
    assert table["n_trainings"].tolist() == [0 if m in ("letkf", "esrf") else 1 for m in table["method"]]
    assert table["rrmse_training_std"].isna().all()


def test_an_evaluation_without_a_number_of_its_training_is_refused(files):
    scores = summarize(trajectory_scores(files), KEYS, seed=0)
    with pytest.raises(ValueError, match="number of a training"):
        score_trainings(scores, [files[-1]], seed=0)
