"""Calibration: a calibrated ensemble is recognized as one, and scores are those of closed forms."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import norm

from mnmef.data.twin import simulate_split
from mnmef.evaluation.calibration import Calibration
from mnmef.evaluation.evaluate import EvaluationOptions, climatological_ensemble, evaluate
from mnmef.experiments.load import load_experiment
from mnmef.filters.base import CycleResult
from tests.evaluation.test_evaluate import FreeRun

TRAJECTORIES, MEMBERS, CYCLES = 3, 5, 400
TRACED = {"ensemble_size": 5, "trajectories": 1}


def watch(spread: float, members: int = MEMBERS, stride: int = 1, lost: tuple[bool, ...] = (False,) * TRAJECTORIES):
    """Results for Gaussian members with standard deviation `spread` and a truth drawn from the standard normal."""
    experiment = load_experiment("lorenz96")
    rng = np.random.default_rng(7)
    calibration = Calibration(TRAJECTORIES, members, experiment, stride)
    for k in range(CYCLES):
        ensemble = torch.from_numpy(spread * rng.standard_normal((TRAJECTORIES, members, 40)))
        truth = torch.from_numpy(rng.standard_normal((TRAJECTORIES, 40)))
        calibration(k, CycleResult(ensemble, ensemble, ensemble), truth)
    return calibration.results(np.array(lost))


@pytest.mark.parametrize("members", [2, 5, 20])
def test_a_truth_drawn_like_the_members_has_uniform_ranks_and_nominal_coverage(members):
    results = watch(1.0, members)
    counts = results["rank_count"].sum(0)
    expected = TRAJECTORIES * CYCLES * 40 / (members + 1)
    assert counts.sum() == TRAJECTORIES * CYCLES * 40
    assert np.abs(counts - expected).max() < 5 * np.sqrt(expected)
    assert results["coverage"].mean() == pytest.approx(0.95, abs=0.005)


def test_too_little_spread_makes_a_cup_and_too_much_a_hill():
    narrow, wide = (watch(spread)["rank_count"].sum(0) for spread in (0.3, 3.0))
    assert narrow[[0, -1]].min() > 2 * narrow[1:-1].max()
    assert wide[[0, -1]].max() < 0.5 * wide[1:-1].min()


def test_crps_of_a_large_ensemble_is_that_of_its_distribution():
    rng = np.random.default_rng(1)
    truth = rng.standard_normal((TRAJECTORIES, 40))
    members = norm.ppf((np.arange(500) + 0.5) / 500)[None, :, None] * np.ones((TRAJECTORIES, 1, 40))
    calibration = Calibration(TRAJECTORIES, 500, load_experiment("lorenz96"), 1)
    ensemble = torch.from_numpy(members)
    calibration(0, CycleResult(ensemble, ensemble, ensemble), torch.from_numpy(truth))
    closed = truth * (2 * norm.cdf(truth) - 1) + 2 * norm.pdf(truth) - 1 / np.sqrt(np.pi)
    np.testing.assert_allclose(calibration.results(np.zeros(TRAJECTORIES, bool))["crps"], closed.mean(-1), rtol=2e-3)


def test_crps_and_energy_score_are_their_definitions():
    rng = np.random.default_rng(2)
    members, truth = rng.standard_normal((TRAJECTORIES, 4, 40)), rng.standard_normal((TRAJECTORIES, 40))
    calibration = Calibration(TRAJECTORIES, 4, load_experiment("lorenz96"), 1)
    ensemble = torch.from_numpy(members)
    calibration(0, CycleResult(ensemble, ensemble, ensemble), torch.from_numpy(truth))
    pairs = np.linalg.norm(members[:, :, None] - members[:, None], axis=-1).mean((1, 2))
    expected = np.linalg.norm(members - truth[:, None], axis=-1).mean(1) - pairs / 2
    results = calibration.results(np.zeros(TRAJECTORIES, bool))
    np.testing.assert_allclose(results["energy_score"], expected)
    pairs = np.abs(members[:, :, None] - members[:, None]).mean((1, 2))
    expected = np.abs(members - truth[:, None]).mean(1) - pairs / 2
    np.testing.assert_allclose(results["crps"], expected.mean(-1), rtol=1e-12)


def test_errors_of_observed_and_unobserved_components_are_apart():
    experiment = load_experiment("lorenz96")
    calibration = Calibration(1, 2, experiment, 1)
    error = np.where(np.isin(np.arange(40), experiment.observed), 3.0, 4.0)
    ensemble = torch.from_numpy(np.broadcast_to(error, (1, 2, 40)).copy())
    calibration(0, CycleResult(ensemble, ensemble, ensemble), torch.zeros(1, 40, dtype=torch.float64))
    results = calibration.results(np.array([False]))
    assert (results["rmse_observed"], results["rmse_unobserved"]) == (3.0, 4.0)


def test_a_diverged_trajectory_has_no_scores_and_no_counts():
    results = watch(1.0, lost=(False, True, False))
    assert np.isnan(results["crps"]).tolist() == [False, True, False]
    assert results["rank_count"].sum(-1).tolist() == [CYCLES * 40, 0, CYCLES * 40]


def test_the_stride_scores_fewer_cycles_and_counts_all_errors():
    every, tenth = watch(1.0), watch(1.0, stride=10)
    assert tenth["rank_count"].sum() == every["rank_count"].sum() // 10
    np.testing.assert_array_equal(tenth["rmse_observed"], every["rmse_observed"])


def test_watching_a_run_changes_nothing_else_in_it():
    split = simulate_split(load_experiment("lorenz63"), "test", 4, 12, [1.0], 6, seed=0)
    filters, options = {n: FreeRun() for n in (3, 5)}, EvaluationOptions(0, TRACED)
    plain = evaluate(filters, split, "free_run", 1.0, options)
    more = replace(options, calibration_stride=4, climatology={"ensemble_size": 5, "cycles": 6})
    watched = evaluate(filters, split, "free_run", 1.0, more)
    for name in ("error_norm", "spread", "diverged_at"):
        np.testing.assert_array_equal(plain[name], watched[name])
    assert watched["rank_count"].shape == (2, 4, 6)
    assert watched["rank_count"].values[0, :, 4:].sum() == 0
    assert watched["climatology_error_norm"].shape == (4, 6)


def test_climatological_members_are_states_of_other_trajectories():
    truth = np.arange(4)[:, None, None] + np.zeros((4, 9, 2))
    first = climatological_ensemble(truth, 50, seed=0)
    assert first.shape == (4, 50, 2)
    for trajectory in range(4):
        assert set(first[trajectory, :, 0]) == set(range(4)) - {trajectory}
    with pytest.raises(ValueError, match="there is only one"):
        climatological_ensemble(truth[:1], 5, seed=0)
