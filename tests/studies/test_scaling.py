"""Runs on longer grids: what they measure, and that a filter's error does not grow with the grid."""

import numpy as np
import pytest
import torch

from mnmef.assimilation.cycling import run_filter
from mnmef.experiments.load import load_experiment
from mnmef.filters.base import Filter
from mnmef.filters.classical import Setting, make_classical
from mnmef.filters.mnmef_local import MnmefLocal
from mnmef.learning.checkpoints import load_checkpoint
from mnmef.studies.runs import Candidate
from mnmef.studies.scaling import (
    SCALING_COLUMNS,
    GridPlan,
    longer,
    measure,
    peak_megabytes,
    reset_peak,
    simulate_grid,
)
from mnmef.studies.timing_study import time_dapper_on_grid

LORENZ96 = load_experiment("lorenz96")
PLAN = GridPlan(points=160, cycles=6, timed_cycles=3, ensemble_size=10)


def grid(size):
    return longer(LORENZ96, size)


class FreeRun(Filter):
    """A filter that ignores observations."""

    name = "free_run"

    def analyze(self, forecast, observation, experiment, noise=None):
        return forecast


@pytest.mark.parametrize(("size", "count"), [(40, 4), (80, 2), (400, 1)])
def test_trajectories_make_up_the_points(size, count):
    first, observations, truth = simulate_grid(grid(size), 0.5, PLAN, 0)
    assert first.shape == (count, 10, size)
    assert observations.shape == (count, 6, size // 4)
    assert truth.shape == (count, 6, size)
    assert float((observations - truth[..., ::4]).std()) == pytest.approx(0.5, abs=0.1)


def test_long_grids_take_the_steps_of_the_system():
    states = 5.0 + torch.randn(3, 80)
    torch.testing.assert_close(grid(80).propagate(states), LORENZ96.with_system({"state_size": 80}).propagate(states))


def test_the_row_has_the_scores_of_the_run():
    row = measure(Candidate("free_run", lambda _: FreeRun()), grid(80), 1.0, PLAN, seed=0).iloc[0]
    assert list(row.index) == list(SCALING_COLUMNS)
    experiment = grid(80)
    first, observations, truth = simulate_grid(experiment, 1.0, PLAN, 0)
    record = run_filter(FreeRun(), experiment, first, observations, truth)
    scores = (record.error_norm.sum(-1) / record.truth_norm.sum(-1)).numpy()
    assert row["rrmse"] == pytest.approx(scores.mean())
    squares = (record.error_norm.square().sum() / record.truth_norm.square().sum()).sqrt()
    assert row["relative_rms"] == pytest.approx(float(squares))
    assert row["rrmse_std"] == pytest.approx(scores.std(ddof=1))
    assert (row["n_trajectories"], row["n_cycles"], row["timed_cycles"]) == (2, 6, 3)
    assert 0 < row["seconds_per_cycle"] <= row["seconds_per_cycle_median"]


def test_dapper_is_timed_on_the_same_grid():
    row = time_dapper_on_grid(grid(40), 1.0, PLAN, Setting(1.05, 2.0), seed=0).iloc[0]
    assert row["engine"] == "dapper"
    assert row["seconds_per_cycle"] > 0
    assert np.isnan(row["rrmse"])


def test_the_peak_of_memory_sees_what_was_given_back():
    before = reset_peak()
    if np.isnan(before):
        pytest.skip("this machine does not tell a process its memory")
    held = np.ones(20_000_000)
    del held
    assert peak_megabytes() - before == pytest.approx(160, abs=20)
    assert reset_peak() - before < 20


def test_the_shipped_filter_errs_as_little_on_a_grid_ten_times_as_long(root):
    weights = root / "resources" / "weights" / "lorenz96_1.0" / "mnmef_local_pretrained.safetensors"
    trained = load_checkpoint(weights, name="mnmef_local", experiment="lorenz96", sigma_y=1.0)

    def make(experiment):
        filter_ = MnmefLocal(experiment, 1.0, trained.options)
        filter_.load_state_dict(trained.state_dict())
        return filter_

    plan = GridPlan(points=800, cycles=150, timed_cycles=1, ensemble_size=10)
    rows = [measure(Candidate("mnmef_local", make), grid(size), 1.0, plan, seed=0).iloc[0] for size in (40, 400)]
    assert [row["n_trajectories"] for row in rows] == [20, 2]
    # As many points in both, hence about the same standard error, that of the mean over twenty trajectories.
    error = rows[0]["rrmse_std"] / rows[0]["n_trajectories"] ** 0.5
    assert abs(rows[0]["relative_rms"] - rows[1]["relative_rms"]) < 3 * 2**0.5 * error
    # Far below an ensemble that sees nothing.
    assert rows[1]["rrmse"] < 0.35


def test_the_classical_filter_takes_a_longer_grid_too():
    letkf = Candidate("letkf", lambda experiment: make_classical("letkf", experiment, 1.0, 1.04, 2.0), torch.float64)
    row = measure(letkf, grid(120), 1.0, PLAN, seed=0).iloc[0]
    assert row["rrmse"] < 0.6
