"""Scores against brute force and closed forms."""

import numpy as np
import pytest

from mnmef.assimilation.metrics import mean_over_survivors, relative_rmse, time_mean_rmse


def test_relative_rmse_is_the_ratio_of_sums_of_norms():
    rng = np.random.default_rng(0)
    mean, truth = rng.standard_normal((2, 3, 7, 5))
    expected = []
    for t in range(3):
        above = sum(np.sqrt(sum((mean[t, k, i] - truth[t, k, i]) ** 2 for i in range(5))) for k in range(7))
        below = sum(np.sqrt(sum(truth[t, k, i] ** 2 for i in range(5))) for k in range(7))
        expected.append(above / below)
    result = relative_rmse(np.linalg.norm(mean - truth, axis=-1), np.linalg.norm(truth, axis=-1))
    np.testing.assert_allclose(result, expected)


def test_an_estimate_of_zero_has_relative_rmse_one_and_a_diverged_cycle_makes_it_nan():
    norms = np.random.default_rng(1).random((4, 6)) + 1
    np.testing.assert_allclose(relative_rmse(norms, norms), 1.0)
    broken = norms.copy()
    broken[2, 4:] = np.nan
    assert np.isnan(relative_rmse(broken, broken)).tolist() == [False, False, True, False]


def test_the_mean_over_survivors_counts_the_others():
    mean, deviation, diverged = mean_over_survivors(np.array([1.0, np.nan, 3.0]))
    assert (mean, diverged) == (2.0, 1)
    assert deviation == pytest.approx(np.sqrt(2))
    mean, deviation, diverged = mean_over_survivors(np.full(3, np.nan))
    assert np.isnan(mean)
    assert np.isnan(deviation)
    assert diverged == 3


def test_burn_in_drops_the_first_cycles():
    assert time_mean_rmse(np.array([[9.0, 1.0, 3.0]]), burn_in=1) == 2.0
