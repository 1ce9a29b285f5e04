"""The iterative smoother is a baseline like any other: its window is an option, and every stage and figure takes it."""

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
import yaml

from mnmef.assimilation.cycling import run_filter
from mnmef.config.settings import at_scale
from mnmef.core.names import CLASSICAL_METHODS, LOCALIZED_METHODS, METHODS, stream_of
from mnmef.data.published import KEYS, load_curves, load_searches
from mnmef.data.twin import load_trial, simulate_split
from mnmef.evaluation.baseline import evaluate_baseline
from mnmef.evaluation.evaluate import EvaluationOptions
from mnmef.experiments.load import load_experiment
from mnmef.filters.classical import Setting, make_classical
from mnmef.filters.dapper_bridge import DAPPER_METHODS, run_dapper
from mnmef.io.files import provenance, write_dataset
from mnmef.report.figures.calibration import figure_rank_histograms, figure_spread_skill
from mnmef.report.figures.curves import figure_curves
from mnmef.report.figures.heatmaps import figure_search
from mnmef.scores.calibration import add_calibration
from mnmef.scores.comparisons import add_trainings, compare_filters, score_trainings
from mnmef.scores.scoring import summarize, trajectory_scores
from mnmef.search.grids import Candidates, settings_of, winner_of
from mnmef.search.search import search_method

LORENZ63 = load_experiment("lorenz63")
METHOD, SIZES, CYCLES = "ienks", [5, 10], 21
CURVES, SEARCHES = (f"resources/published/{name}.csv" for name in ("rrmse_figures_1_4_7", "dapper_grid_search_best"))


@pytest.fixture(scope="module")
def split():
    return simulate_split(LORENZ63, "tune", 3, CYCLES, [1.0], 10, seed=5)


@pytest.fixture(scope="module")
def search(root):
    """The section `search` of Lorenz '63, with a tenth of the settings on short trials."""
    section = at_scale(yaml.safe_load((root / "config.yaml").read_text()), "paper", "lorenz63")["search"]
    small = {"settings": 2, "trajectories": 2, "cycles": 10}
    sizes = {"trajectories": 3, "cycles": CYCLES, "inflation_stride": 4, "screen": small, "confirm": small}
    return section | {"engine": "screened"} | sizes


def find(search, split, method, lag):
    winners, stride = load_searches(SEARCHES), search["inflation_stride"]
    settings = {}
    for n in SIZES:
        of_cell = winners, ("lorenz63", 1.0, method, n)
        settings[n] = Candidates(settings_of(search, *of_cell, inflation_stride=stride), winner_of(*of_cell))
    return search_method(search, split, 1.0, method, settings, seed=1, lag=lag)


def means(split, method, members, **options):
    first, observations, truth = load_trial(split, 1.0, members, torch.float64)
    filter_ = make_classical(method, LORENZ63, 1.0, 1.02, **options)
    return run_filter(filter_, LORENZ63, first, observations, truth, traced=len(first)).mean.numpy()


def test_it_is_a_classical_method_without_localization_whose_draws_do_not_depend_on_its_name():
    method = METHODS[METHOD]
    assert (method.filter, method.stage, method.is_learned) == ("ienks", "searched", False)
    assert METHOD in CLASSICAL_METHODS
    assert METHOD in DAPPER_METHODS
    assert METHOD not in LOCALIZED_METHODS
    assert stream_of(METHOD) == "ienks_sqrt_lag2"
    # No other line of a figure looks the same.
    assert sum((m.color, m.marker) == (method.color, method.marker) for m in METHODS.values()) == 1


@pytest.mark.parametrize("members", [4, 10])
@pytest.mark.parametrize("lag", [1, 2, 3])
def test_its_analyses_are_those_of_dapper_with_the_same_lag(split, members, lag):
    ours = means(split, METHOD, members, lag=lag)
    first, observations, _ = load_trial(split, 1.0, members, torch.float64)
    for t in range(len(first)):
        theirs = run_dapper(METHOD, LORENZ63, 1.0, first[t].numpy(), observations[t].numpy(), Setting(1.02), lag=lag)
        np.testing.assert_allclose(ours[t], theirs, rtol=0, atol=1e-8)


def test_the_window_spans_two_cycles_unless_told_otherwise_and_one_cycle_is_the_filter(split):
    np.testing.assert_array_equal(means(split, METHOD, 10), means(split, METHOD, 10, lag=2))
    np.testing.assert_array_equal(means(split, METHOD, 10, lag=1), means(split, "ienkf_sqrt", 10))
    assert not np.allclose(means(split, METHOD, 10, lag=2), means(split, METHOD, 10, lag=1))


@pytest.mark.parametrize("lag", [0, -1])
def test_a_window_without_a_cycle_is_refused(lag):
    with pytest.raises(ValueError, match=f"lag must be a whole number of at least 1, not {lag}"):
        make_classical(METHOD, LORENZ63, 1.0, 1.0, lag=lag)


def test_both_engines_of_its_search_and_its_evaluation_have_the_window_that_they_are_given(split, search):
    grids = {lag: find(search, split, METHOD, lag)[0] for lag in (1, 2)}
    for engine, part in grids[1].groupby("engine"):
        other = grids[2][grids[2]["engine"] == engine]
        assert len(part) == len(other) > 0
        assert not np.allclose(part["rrmse"], other["rrmse"])
    # With a window of one cycle it is the filter, in all settings of both searches; their published winners differ.
    keys = ["ensemble_size", "inflation", "engine", "n_trajectories", "n_cycles"]
    both = grids[1].merge(find(search, split, "ienkf_sqrt", 2)[0], on=keys, suffixes=("", "_of_filter"))
    assert set(both["engine"]) == {"batched", "dapper"}
    np.testing.assert_allclose(both["rrmse"], both["rrmse_of_filter"], rtol=1e-10)
    best = pd.DataFrame({"ensemble_size": [5], "inflation": [1.02], "localization_radius": [np.nan]})
    options = EvaluationOptions(0, {"ensemble_size": 5, "trajectories": 1})
    runs = {lag: evaluate_baseline(split, METHOD, 1.0, best, options, lag=lag)["error_norm"] for lag in (1, 2)}
    twin = evaluate_baseline(split, "ienkf_sqrt", 1.0, best, options)["error_norm"]
    np.testing.assert_array_equal(runs[1], twin)
    assert not np.allclose(runs[1], runs[2])


@pytest.fixture(scope="module")
def evaluations(split, search, tmp_path_factory):
    """Evaluations of the smoother and the filter with the settings that a search chose, and the smoother's search."""
    folder, found = tmp_path_factory.mktemp("evaluations"), {}
    test = simulate_split(LORENZ63, "test", 3, 30, [1.0], 10, seed=6)
    for method in (METHOD, "ienkf_sqrt"):
        found[method] = find(search, split, method, 2)
        options = EvaluationOptions(0, {"ensemble_size": 5, "trajectories": 1}, calibration_stride=3)
        run = evaluate_baseline(test, method, 1.0, found[method][1], options)
        write_dataset(run, folder / f"{method}.nc", provenance=provenance("evaluation", {}, 0))
    return found[METHOD], [folder / f"{method}.nc" for method in found]


def test_its_search_can_be_drawn(evaluations):
    grid, best = evaluations[0]
    figure = figure_search(grid, best, load_searches(SEARCHES))
    assert METHODS[METHOD].label in figure.get_suptitle()
    assert [axis.get_title() for axis in figure.axes] == ["$N$ = 5", "$N$ = 10"]
    for axis, members in zip(figure.axes, SIZES, strict=True):
        stars = [line.get_xdata()[0] for line in axis.lines if line.get_marker() == "*" and len(line.get_xdata())]
        assert stars == best.loc[best["ensemble_size"] == members, "inflation"].tolist()


def test_it_has_a_line_in_figures_of_scores_and_of_calibration(evaluations):
    files, look = evaluations[1], METHODS[METHOD]
    trajectories = trajectory_scores(files)
    scores = summarize(trajectories, KEYS, seed=0)
    scores = add_calibration(add_trainings(scores, score_trainings(scores, [], seed=0)), files)
    # As if the filter were the learned one, on which improvements are.
    improvements = compare_filters(trajectories.replace({"method": {"ienkf_sqrt": "mnmef_finetuned"}}), seed=0)
    figure = figure_curves(scores, improvements, load_curves(CURVES), "lorenz63")
    ours = scores[scores["method"] == METHOD]["rrmse"].to_numpy()
    gain = improvements[improvements["benchmark"] == METHOD]["improvement"].to_numpy()
    assert len(ours) == len(gain) == 2
    for axis, values in zip(figure.axes, (ours, gain), strict=True):
        drawn = [line.get_ydata() for line in axis.lines if line.get_color() == look.color]
        assert any(np.array_equal(values, y) for y in drawn)
    assert look.label in [text.get_text() for text in figure.legends[0].get_texts()]

    runs = [xr.load_dataset(file) for file in files]
    figure = figure_rank_histograms(runs, 10)
    assert look.label in [text.get_text() for axis in figure.axes for text in axis.texts]
    figure = figure_spread_skill(scores, runs, 10)
    for axis in figure.axes:
        assert look.color in {line.get_color() for line in axis.lines}
    assert look.label in [text.get_text() for text in figure.legends[0].get_texts()]
