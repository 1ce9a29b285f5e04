"""Losses against their definitions, and what the CRPS prefers."""

import itertools

import numpy as np
import pytest
import torch

from mnmef.learning.losses import LOSSES, SPREAD_WEIGHT, crps, spread


@pytest.fixture
def case():
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.standard_normal((4, 6, 5))), torch.from_numpy(2.0 + rng.standard_normal((4, 5)))


def test_losses_of_the_mean_are_their_formulas(case):
    analysis, truth = case
    error = analysis.mean(1) - truth
    torch.testing.assert_close(LOSSES["l2"](analysis, truth), (error**2).sum(1))
    torch.testing.assert_close(LOSSES["nl2"](analysis, truth), (error**2).sum(1) / (truth**2).sum(1))
    torch.testing.assert_close(LOSSES["rmse"](analysis, truth), (error**2).mean(1).sqrt())
    torch.testing.assert_close(LOSSES["log_mse"](analysis, truth), SPREAD_WEIGHT * (error**2).mean(1).log())


def test_the_fair_crps_is_its_sum_over_pairs_of_members(case):
    analysis, truth = case
    pairs = list(itertools.combinations(range(6), 2))
    between = sum((analysis[:, n] - analysis[:, m]).abs() for n, m in pairs) / len(pairs)
    expected = (analysis - truth[:, None]).abs().mean(1) - between / 2
    torch.testing.assert_close(crps(analysis, truth, 1.0), expected.mean(1) / (truth**2).mean(1).sqrt())


@pytest.mark.parametrize("members", [2, 10])
def test_the_fair_crps_is_smallest_for_members_drawn_as_the_truth_is(members):
    rng = np.random.default_rng(1)
    members_ = torch.from_numpy(rng.standard_normal((40_000, members, 1)))
    truth = torch.from_numpy(rng.standard_normal((40_000, 1)))
    # Times the size of the truth: the score itself, not the relative one.
    expected = {
        spread: float((crps(spread * members_, truth, 1.0) * truth.abs().squeeze(-1)).mean())
        for spread in (0.7, 1.0, 1.4)
    }
    assert min(expected, key=expected.__getitem__) == 1.0
    assert expected[1.0] == pytest.approx(1 / np.pi**0.5, rel=0.02)  # in closed form for a normal distribution


def test_a_member_that_runs_away_costs_nothing_in_the_fair_score_and_something_in_the_almost_fair_one(case):
    analysis, truth = case
    far, farther = analysis.clone(), analysis.clone()
    far[:, 0], farther[:, 0] = 100.0, 1000.0
    torch.testing.assert_close(crps(far, truth, 1.0), crps(farther, truth, 1.0), rtol=1e-9, atol=1e-9)
    assert (crps(farther, truth) > crps(far, truth)).all()


def test_gradients_are_finite_where_members_agree():
    analysis = torch.ones(1, 3, 2, requires_grad=True)
    crps(analysis, torch.tensor([[1.0, 2.0]])).sum().backward()
    assert analysis.grad.isfinite().all()


def test_the_spread_scores_best_at_the_expected_error_of_the_mean_and_leaves_the_mean_alone():
    rng = np.random.default_rng(2)
    members = torch.from_numpy(rng.standard_normal((2000, 50, 40)))
    members -= members.mean(1, keepdim=True)
    truth = 0.5 * torch.from_numpy(rng.standard_normal((2000, 40)))
    expected = {size: float(spread(size * members, truth).mean()) for size in (0.4, 0.5, 0.6)}
    assert min(expected, key=expected.__getitem__) == 0.5
    assert expected[0.5] / SPREAD_WEIGHT == pytest.approx(np.log(0.25) + 1, rel=0.02)
    analysis = (2.0 + members[:4]).requires_grad_()
    spread(analysis, truth[:4]).sum().backward()
    assert analysis.grad.abs().max() > 0
    torch.testing.assert_close(analysis.grad.mean(1), torch.zeros(4, 40, dtype=torch.float64), rtol=0, atol=1e-12)
