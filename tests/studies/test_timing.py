"""Timings: what is counted where, and what the repeats come down to."""

import numpy as np
import pandas as pd
import pytest
import torch

from mnmef.experiments.load import load_experiment
from mnmef.filters.classical import Setting, make_classical
from mnmef.report.figures.timing import timing_summary
from mnmef.studies import timing
from mnmef.studies.timing import TimingPlan, tile, time_filter
from mnmef.studies.timing_study import TIMING_COLUMNS, nearest_published_setting, time_dapper_letkf


@pytest.fixture
def runs():
    rng = torch.Generator().manual_seed(0)
    first = torch.randn((2, 5, 40), generator=rng, dtype=torch.float64) + 5.0
    return first, torch.randn((2, 12, 10), generator=rng, dtype=torch.float64)


@pytest.mark.parametrize(("method", "model_runs"), [("enkf", 1), ("ienkf_pertobs", 11)])
def test_every_run_of_the_model_counts_as_forecast_and_the_rest_as_analysis(monkeypatch, runs, method, model_runs):
    # A clock that moves by one second in each run of the model, and by 100 in each analysis, tells them apart.
    clock = {"now": 0.0}
    monkeypatch.setattr(timing, "now", lambda device: clock["now"])
    experiment = load_experiment("lorenz96")
    filter_ = make_classical(method, experiment, 1.0, 1.0)
    step, cycle = experiment.propagate, filter_.cycle

    def propagate(state):
        clock["now"] += 1.0
        return step(state)

    def whole(*arguments):
        clock["now"] += 100.0
        return cycle(*arguments)

    experiment.propagate, filter_.cycle = propagate, whole
    table = time_filter(filter_, experiment, runs, TimingPlan(repeats=3, seconds=250.0, batch=2))
    assert table["repeat"].tolist() == [1, 2, 3]
    assert (table["cycles"] == 3).all()
    np.testing.assert_allclose(table["forecast_seconds"], model_runs)
    np.testing.assert_allclose(table["analysis_seconds"], 100.0)


def test_a_run_starts_over_where_observations_end(runs):
    experiment = load_experiment("lorenz96")
    filter_ = make_classical("esrf", experiment, 1.0, 1.0)
    starts = []
    start = filter_.start
    filter_.start = lambda ensemble: starts.append(1) or start(ensemble)
    table = time_filter(filter_, experiment, runs, TimingPlan(repeats=3, seconds=1e9, batch=2))
    assert (table["cycles"] == 12).all()
    # At first, and before each stretch of all twelve cycles.
    assert len(starts) == 4


def test_a_batch_larger_than_the_split_repeats_its_trajectories(runs):
    first, observations = tile(*runs, 5)
    assert first.shape == (5, 5, 40)
    torch.testing.assert_close(first[4], runs[0][0])
    torch.testing.assert_close(observations[3], runs[1][1])


def test_dapper_gives_finite_seconds_of_several_cycles(runs):
    first, observations = (t.numpy()[0] for t in runs)
    experiment, plan = load_experiment("lorenz96"), TimingPlan(repeats=2, seconds=0.01, batch=2)
    setting = Setting(1.02, 4.0)
    table = time_dapper_letkf(experiment, 1.0, first, observations, plan, setting)
    assert len(table) == 2
    assert (table["forecast_seconds"] > 0).all()
    # Analyses of every grid point take DAPPER far longer than its model.
    assert (table["analysis_seconds"] > 0).any()
    assert (table["cycles"] >= 5).all()


def test_the_summary_is_of_a_single_trajectory():
    cell = dict(zip(TIMING_COLUMNS[:8], ("ks", 0.7, "enkf", "cpu", "chip", 1, 10, 4), strict=True))
    table = pd.DataFrame({"repeat": [1, 2, 3], "cycles": 5, "forecast_seconds": [4, 8, 40], "analysis_seconds": 2.0})
    found = timing_summary(table.assign(**cell)).set_index("part")
    assert found.loc["forecast", ["seconds", "seconds_low", "seconds_high"]].tolist() == [2.0, 1.0, 10.0]
    assert found.loc["analysis", "seconds"] == 0.5
    assert (found["repeats"] == 3).all()


def test_settings_are_those_of_the_nearest_published_size_and_noise_level():
    rows = [("ks", s, "letkf", n, n / 100, 10 * s) for s in (0.7, 1.0) for n in (10, 40)]
    columns = ["experiment", "sigma_y", "method", "ensemble_size", "inflation", "localization_radius"]
    winners = pd.DataFrame(rows, columns=columns)
    found = nearest_published_setting(winners, "ks", 0.75, "letkf", 50)
    assert found == (0.4, pytest.approx(7.0))
    with pytest.raises(ValueError, match="no setting of esrf on ks"):
        nearest_published_setting(winners, "ks", 0.7, "esrf", 10)
