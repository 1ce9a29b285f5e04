"""What the assimilation loop refuses, and what it does with a diverged trajectory."""

import pytest
import torch

from mnmef.assimilation.cycling import run_filter
from mnmef.data.twin import load_trial, simulate_split
from mnmef.experiments.load import load_experiment
from mnmef.filters.classical import make_classical

SYSTEM = load_experiment("lorenz63")


@pytest.fixture(scope="module")
def trial():
    split = simulate_split(load_experiment("lorenz63"), "tune", 3, 10, [1.0], 5, seed=4)
    return load_trial(split, 1.0, 5, torch.float64)


def test_scores_of_a_trajectory_do_not_depend_on_the_others_in_the_batch(trial):
    first, observations, truth = trial
    filter_ = make_classical("esrf", SYSTEM, 1.0, 1.02)
    together = run_filter(filter_, SYSTEM, first, observations, truth)
    alone = run_filter(filter_, SYSTEM, first[1:2], observations[1:2], truth[1:2])
    torch.testing.assert_close(together.error_norm[1:2], alone.error_norm)


@pytest.mark.parametrize("method", ["esrf", "ienks"])
def test_a_trajectory_that_starts_non_finite_is_marked_at_the_first_cycle(trial, method):
    first, observations, truth = trial
    broken = first.clone()
    broken[2, 0, 0] = torch.nan
    record = run_filter(make_classical(method, SYSTEM, 1.0, 1.02), SYSTEM, broken, observations, truth)
    assert record.diverged_at.tolist() == [-1, -1, 0]
    assert bool(record.error_norm[:2].isfinite().all())
    assert bool(record.error_norm[2].isnan().all())


def test_forecast_errors_are_those_of_the_propagated_analysis(trial):
    first, observations, truth = trial
    record = run_filter(make_classical("esrf", SYSTEM, 1.0, 1.0), SYSTEM, first, observations[:, :1], truth[:, :1])
    error = SYSTEM.propagate(first).mean(-2) - truth[:, 0]
    torch.testing.assert_close(record.forecast_error_norm[:, 0], error.norm(dim=-1))


def test_bad_input_is_refused_before_the_first_cycle(trial):
    first, observations, truth = trial
    filter_ = make_classical("esrf", SYSTEM, 1.0, 1.0)
    infinite = observations.clone()
    infinite[0, 3, 0] = torch.inf
    with pytest.raises(ValueError, match="observations contain infinite"):
        run_filter(filter_, SYSTEM, first, infinite, truth)
    with pytest.raises(ValueError, match="at least 2 members, not 1"):
        run_filter(filter_, SYSTEM, first[:, :1], observations, truth)
    with pytest.raises(ValueError, match="3 components, but the first ensemble has 2"):
        run_filter(filter_, SYSTEM, first[..., :2], observations, truth)
    with pytest.raises(ValueError, match="1 observed components, but observations have 2"):
        run_filter(filter_, SYSTEM, first, observations.expand(-1, -1, 2), truth)
    with pytest.raises(ValueError, match="'enkf' perturbs observations"):
        run_filter(make_classical("enkf", SYSTEM, 1.0, 1.0), SYSTEM, first, observations, truth)
