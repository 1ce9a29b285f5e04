"""Claims about inflation, localization and fine-tuning: each verdict can be reached."""

import numpy as np
import pandas as pd
import pytest

from mnmef.report.claims import CLAIMS, ScoredRun
from mnmef.report.verdicts import FAILS, HOLDS, NOT_RUN, UNDECIDED

PUBLISHED = {
    "published_figure_9": pd.read_csv("resources/published/inflation_ablation_figure_9.csv"),
    "published_figure_11": pd.read_csv("resources/published/finetune_strategy_figure_11.csv"),
}


def judge(name, studies):
    """The judgement on a claim by the tables of studies alone."""
    [claim] = [claim for claim in CLAIMS if claim.name == name]
    return claim.judge(ScoredRun(*[pd.DataFrame()] * 3, seed=0, training_size=10, studies=studies))


def with_inflation(gain, noise):
    rng = np.random.default_rng(0)
    rows = [
        ("ks", sigma_y, size, on, t, 0.6 * (1 - gain * on) + noise * rng.standard_normal())
        for sigma_y in (1.0, 0.7)
        for size in (5, 10)
        for on in (True, False)
        for t in range(12)
    ]
    columns = ["experiment", "sigma_y", "ensemble_size", "inflation", "trajectory", "rrmse"]
    return {"figure_9": pd.DataFrame(rows, columns=columns), **PUBLISHED}


@pytest.mark.parametrize(
    ("gain", "noise", "verdict"), [(0.1, 0.01, HOLDS), (-0.1, 0.01, FAILS), (0.01, 0.1, UNDECIDED)]
)
def test_the_learned_inflation(gain, noise, verdict):
    judgement = judge("inflation_helps", with_inflation(gain, noise))
    assert judgement.verdict == verdict
    assert judgement.n_cells == 4
    # Published, KS: 0.511 with and 0.818 without at N = 5, sigma_y = 0.7, the others alike.
    assert 0.2 < judgement.published < 0.4


def weights(shape):
    distance = np.arange(21)
    parts = [
        {"sigma_y": 1.0, "ensemble_size": n, "distance": distance, "weight_mean": shape(distance)} for n in (5, 10)
    ]
    return {"figure_10": pd.concat(map(pd.DataFrame, parts))}


@pytest.mark.parametrize(
    ("shape", "verdict", "correlation"),
    [
        (lambda d: np.exp(-d / 5), HOLDS, -1.0),
        (lambda d: d / 20, FAILS, 1.0),
        (lambda d: np.cos(np.pi * d), UNDECIDED, 0.0),
    ],
)
def test_the_learned_weights(shape, verdict, correlation):
    judgement = judge("weights_decrease", weights(shape))
    assert judgement.verdict == verdict
    assert judgement.ours == pytest.approx(correlation, abs=0.1)


def curves(at_twenty, at_fifty, all_parameters=None, deviation=0.001, last=50):
    """Scores that differ much from trajectory to trajectory, and by `deviation` between points of the curves."""
    epochs = {0: 0.4, 20: at_twenty, last: at_fifty} if last > 20 else {0: 0.4, last: at_fifty}
    rng = np.random.default_rng(0)
    hard = 0.05 * rng.standard_normal(8)
    rows = [
        ("lorenz96", 1.0, size, kind, epoch, t, score + hard[t] + deviation * rng.standard_normal())
        for size in (20, 40)
        for kind in ("heads", "all")
        for epoch, level in epochs.items()
        for score in [level if kind == "heads" else all_parameters or level]
        for t in range(8)
    ]
    columns = ["experiment", "sigma_y", "ensemble_size", "parameters", "epoch", "trajectory", "rrmse"]
    return {"figure_11": pd.DataFrame(rows, columns=columns), **PUBLISHED}


@pytest.mark.parametrize(
    ("at_fifty", "deviation", "verdict"), [(0.35, 0.001, HOLDS), (0.3, 0.001, FAILS), (0.345, 0.01, UNDECIDED)]
)
def test_twenty_epochs(at_fifty, deviation, verdict):
    judgement = judge("twenty_epochs", curves(0.35, at_fifty, deviation=deviation))
    assert judgement.verdict == verdict
    assert abs(judgement.published) < 0.02


@pytest.mark.parametrize(
    ("all_parameters", "deviation", "verdict"), [(0.351, 0.001, HOLDS), (0.3, 0.001, FAILS), (0.345, 0.01, UNDECIDED)]
)
def test_heads_alone(all_parameters, deviation, verdict):
    assert judge("heads_suffice", curves(0.35, 0.35, all_parameters, deviation)).verdict == verdict


def test_what_was_not_run_is_said_to_be_so():
    for name in ("inflation_helps", "weights_decrease", "twenty_epochs", "heads_suffice"):
        assert judge(name, {}).verdict == NOT_RUN
    short = curves(0.35, 0.35, last=2)
    assert judge("twenty_epochs", short).verdict == NOT_RUN
    assert judge("heads_suffice", short).verdict == HOLDS
    assert judge("twenty_epochs", curves(0.35, 0.35, last=20)).verdict == NOT_RUN
    gap = curves(0.35, 0.35)
    gap["figure_11"] = gap["figure_11"].query("epoch != 20")
    assert judge("twenty_epochs", gap).verdict == NOT_RUN
