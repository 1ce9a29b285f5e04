"""Verdicts follow from the numbers: each can be reached, and only by the numbers that call for it."""

import math

import numpy as np
import pandas as pd
import pytest

from mnmef.data.published import KEYS, load_curves
from mnmef.report.claims import CLAIM_COLUMNS, CLAIMS, ScoredRun, claims_page, judge_claims
from mnmef.report.verdicts import FAILS, HOLDS, NOT_RUN, UNDECIDED, Finding, Region, judge_cells
from mnmef.scores.comparisons import add_trainings, is_learned

CURVES = load_curves("resources/published/rrmse_figures_1_4_7.csv")
LEVELS, SIZES = (1.0, 0.7), (5, 10, 20)
METHODS = {
    "lorenz63": ("enkf", "esrf", "ienkf_pertobs"),
    "lorenz96": ("enkf_localized", "esrf", "letkf", "ienkf_pertobs"),
    "ks": ("enkf_localized", "esrf", "letkf", "ienkf_pertobs"),
}


def cell(low, high, slack=0.0):
    middle = (low + high) / 2
    return Finding("here", middle, (low, high), (low - slack, high + slack), published=0.3, trainings=2)


@pytest.mark.parametrize(
    ("cells", "verdict"),
    [
        ([cell(0.1, 0.2), cell(0.3, 0.4)], HOLDS),
        ([cell(0.1, 0.2), cell(-0.1, 0.4)], UNDECIDED),
        ([cell(0.1, 0.2), cell(-0.2, -0.1)], FAILS),
        # The cell alone would fail; among several it has to fail by more.
        ([cell(0.1, 0.2), cell(-0.2, -0.1, slack=0.15)], UNDECIDED),
        ([cell(math.nan, math.nan)], UNDECIDED),
        ([], NOT_RUN),
    ],
)
def test_a_claim_about_every_cell(cells, verdict):
    assert judge_cells(cells, Region(low=0.0), "gain").verdict == verdict


def test_the_number_beside_a_verdict_is_that_of_the_least_favorable_cell():
    judgement = judge_cells([cell(0.1, 0.2), cell(-0.2, -0.1), cell(0.3, 0.4)], Region(low=0.0), "gain")
    assert (judgement.ours, judgement.low, judgement.high) == pytest.approx((-0.15, -0.2, -0.1))
    assert (judgement.n_cells, judgement.n_holding, judgement.n_failing, judgement.n_trainings) == (3, 2, 1, 2)
    assert judge_cells([cell(0.0, 0.02), cell(-0.02, -0.01)], Region(-0.05, 0.05), "gain").ours == pytest.approx(-0.015)


@pytest.mark.parametrize(
    ("cells", "needs"),
    [
        ([cell(0.1, 0.2), cell(-0.2, -0.1)], ""),
        ([cell(0.1, 0.2), cell(-0.1, 0.4)], "About 3 times the test trajectories"),  # (0.25 / 0.15)^2 = 2.8
        ([cell(0.1, 0.2), cell(-0.2, -0.1, slack=0.15)], "About 2 times"),  # (0.2 / 0.15)^2 = 1.8
        ([cell(-0.2, 0.2)], "A cell lies at the limit"),
    ],
)
def test_an_undecided_claim_says_how_many_trajectories_it_needs(cells, needs):
    found = judge_cells(cells, Region(low=0.0), "gain").needs
    assert found.startswith(needs)
    assert bool(found) == bool(needs)


@pytest.mark.parametrize(
    ("intervals", "verdict"),
    [
        ([(0.2, 0.3), (0.2, 0.3), (0.0, 0.1)], HOLDS),
        ([(0.2, 0.3), (0.0, 0.1), (0.0, 0.1)], FAILS),
        ([(0.2, 0.3), (0.1, 0.2), (0.0, 0.1)], UNDECIDED),
        ([], NOT_RUN),
    ],
)
def test_a_claim_about_most_cells(intervals, verdict):
    assert judge_cells([cell(*ends) for ends in intervals], Region(low=0.15), "gain", most=True).verdict == verdict


def make_run(level_of, trajectories=16, spread=0.0, trainings=1):
    """A run in which a filter scores `level_of(experiment, method, size)` but for noise that all filters share."""
    rng = np.random.default_rng(0)
    rows = []
    for experiment, methods in METHODS.items():
        common = 1 + 0.01 * rng.standard_normal(trajectories)
        for level in LEVELS:
            for method in (*methods, "mnmef_pretrained", "mnmef_finetuned"):
                for size in SIZES:
                    own = 1 + 0.001 * rng.standard_normal(trajectories)
                    values = level_of(experiment, method, size) * common * own
                    rows += [(experiment, level, method, size, t, v) for t, v in enumerate(values)]
    table = pd.DataFrame(rows, columns=[*KEYS, "trajectory", "rrmse"])
    scores = table.groupby(KEYS)["rrmse"].mean().reset_index().assign(n_trajectories=trajectories)
    at = scores[(scores["method"] == "mnmef_pretrained") & (scores["ensemble_size"] == 10)]
    steps = np.linspace(-1, 1, trainings) / np.std(np.linspace(-1, 1, trainings), ddof=1) if trainings > 1 else []
    seeds = [at.assign(rrmse=at["rrmse"] * (1 + spread * step)) for step in steps]
    scores = add_trainings(scores, pd.concat(seeds) if seeds else at.iloc[:0])
    return ScoredRun(table, scores, CURVES, seed=0, training_size=10)


def as_claimed(experiment, method, size):
    learned = {"lorenz96": 0.4 - 0.002 * size, "ks": 0.6 - 0.0005 * size, "lorenz63": 0.05 - 1e-4 * size}[experiment]
    if method == "mnmef_finetuned":
        return learned * (0.9 if experiment == "lorenz96" else 0.99)
    if method == "mnmef_pretrained":
        return learned
    if experiment == "lorenz63" and method == "ienkf_pertobs":
        return 0.06 if size == 5 else 0.04
    return 0.6 if experiment == "lorenz96" else 0.9


def the_other_way(experiment, method, size):
    if method == "ienkf_pertobs":
        return 1.0 if size == 5 else 50.0
    return 1.0 / as_claimed(experiment, method, size) if method != "mnmef_finetuned" else 5.0 + 0.1 * size


SCORED = [claim for claim in CLAIMS if claim.shown_in in ("figure_1", "figure_4", "figure_7", "figure_1, figure_4")]
"""Claims that need the scores of all filters alone."""


def test_a_run_like_the_paper_makes_every_claim_hold_and_the_opposite_makes_every_claim_fail():
    names = [claim.name for claim in SCORED]
    held = judge_claims(make_run(as_claimed), "paper", SCORED).set_index("claim")["verdict"]
    assert held.to_dict() == dict.fromkeys(names, HOLDS)
    failed = judge_claims(make_run(the_other_way), "paper", SCORED).set_index("claim")["verdict"]
    assert failed.to_dict() == dict.fromkeys(names, FAILS)


def test_two_trajectories_that_disagree_decide_nothing():
    def noisy(experiment, method, size):
        return np.array([0.4, 0.6]) if is_learned(method) else np.array([0.6, 0.4])

    table = judge_claims(make_run(noisy, trajectories=2), "quick").set_index("claim")
    for name in ("lorenz96_beats_letkf", "ks_beats_letkf", "fifteen_percent", "lorenz63_ienkf", "lorenz63_few"):
        assert table.loc[name, "verdict"] == UNDECIDED


def test_the_spread_over_trainings_can_undo_a_verdict_on_trajectories_alone():
    def close(experiment, method, size):
        return 0.49 if is_learned(method) else 0.5

    def verdict(spread, trainings):
        table = judge_claims(make_run(close, spread=spread, trainings=trainings), "laptop").set_index("claim")
        return tuple(table.loc["lorenz96_beats_letkf", ["verdict", "n_trainings"]])

    assert verdict(0.0, 1) == (HOLDS, 1)
    assert verdict(0.001, 3) == (HOLDS, 3)
    assert verdict(0.02, 3) == (UNDECIDED, 3)


def test_the_deviation_over_trainings_is_pooled_and_has_as_many_degrees_of_freedom_as_further_trainings():
    scores = pd.DataFrame(
        {
            "experiment": ["lorenz63", "lorenz96", "ks", "ks"],
            "n_trainings": [2, 2, 3, 1],
            "rrmse": [0.05, 0.4, 0.6, 0.7],
            "rrmse_training_std": [0.05 * 0.01, 0.4 * 0.02, 0.6 * 0.03, np.nan],
        }
    )
    run = ScoredRun(pd.DataFrame(), scores, CURVES, seed=0, training_size=10)
    expected = 2.776445 * ((0.01**2 + 0.02**2 + 2 * 0.03**2) / 4) ** 0.5  # Student's t of four degrees of freedom
    assert run.training_spread() == (2, pytest.approx(expected, rel=1e-6))


def test_the_published_curves_stand_beside_ours_and_make_the_published_claims_true():
    table = judge_claims(make_run(as_claimed), "paper", SCORED).set_index("claim")
    assert table["published"].notna().all()
    for name in ("lorenz96_beats_letkf", "ks_beats_letkf", "ks_beats_all", "lorenz63_few"):
        assert table.loc[name, "published"] > 0
    assert table.loc["lorenz63_ienkf", "published"] < 0
    assert table.loc["fifteen_percent", "published"] > 0.5


def test_a_system_that_is_not_run_is_said_so_and_the_page_shows_every_claim():
    run = make_run(as_claimed)
    few = ScoredRun(
        *(t[t["experiment"] == "ks"] for t in (run.trajectories, run.scores)), CURVES, seed=0, training_size=10
    )
    table = judge_claims(few, "laptop")
    assert list(table.columns) == CLAIM_COLUMNS
    assert set(table.loc[table["shown_in"] == "figure_1", "verdict"]) == {NOT_RUN}
    assert set(table.loc[table["shown_in"] == "figure_4", "verdict"]) == {HOLDS}
    assert len(claims_page(table)) == len(CLAIMS)
