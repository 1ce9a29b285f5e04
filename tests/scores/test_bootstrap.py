"""Intervals over trajectories cover what they should, and agree with closed forms."""

import numpy as np
import pytest
from scipy import stats

from mnmef.scores import bootstrap as statistics
from mnmef.scores.bootstrap import expanded_level, improvement_with_interval, mean_with_interval


def test_the_interval_of_a_mean_of_normal_scores_is_students():
    values = np.random.default_rng(0).normal(0.4, 0.02, 64)
    estimate = mean_with_interval(values, seed=1)
    low, high = stats.t.interval(0.95, 63, values.mean(), stats.sem(values))
    assert estimate.value == pytest.approx(values.mean())
    assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=0.1 * (high - low))


def test_the_expanded_level_makes_the_normal_quantile_students():
    for size in (4, 8, 64):
        z = stats.norm.ppf(0.5 + expanded_level(0.95, size) / 2)
        assert z * np.sqrt((size - 1) / size) == pytest.approx(stats.t.ppf(0.975, size - 1))


@pytest.mark.parametrize("size", [8, 32])
def test_intervals_of_improvements_cover_the_truth_as_often_as_they_say(monkeypatch, size):
    monkeypatch.setattr(statistics, "RESAMPLES", 999)
    rng, runs, covered = np.random.default_rng(2), 400, 0
    for run in range(runs):
        common = 0.05 * rng.standard_normal(size)
        benchmark, ours = (m + common + 0.02 * rng.standard_normal(size) for m in (0.5, 0.4))
        estimate = improvement_with_interval(benchmark, ours, seed=run)
        covered += estimate.low <= 0.2 <= estimate.high
    # Three standard deviations of a binomial count about 95 %.
    assert covered / runs == pytest.approx(0.95, abs=3 * np.sqrt(0.95 * 0.05 / runs))


def test_pairing_cancels_what_makes_a_trajectory_hard_for_both():
    rng = np.random.default_rng(3)
    common = 0.1 * rng.standard_normal(16)
    benchmark, ours = 0.5 + common, 0.4 + common + 0.001 * rng.standard_normal(16)
    paired = improvement_with_interval(benchmark, ours, seed=0)
    broken = improvement_with_interval(benchmark, rng.permutation(ours), seed=0)
    assert paired.high - paired.low < 0.5 * (broken.high - broken.low)


def test_pairs_in_which_either_filter_diverged_are_left_out_and_counted():
    benchmark = np.array([0.5, np.nan, 0.7, 0.6])
    ours = np.array([0.4, 0.1, np.nan, 0.3])
    estimate = improvement_with_interval(benchmark, ours, seed=0)
    assert estimate.value == pytest.approx(1 - 0.7 / 1.1)
    assert (estimate.used, estimate.left_out) == (2, 2)
    assert mean_with_interval(benchmark, seed=0).left_out == 1


@pytest.mark.parametrize(("survivors", "value"), [(0, np.nan), (1, 0.5)])
def test_too_few_trajectories_have_no_interval(survivors, value):
    values = np.full(4, np.nan)
    values[:survivors] = 0.5
    estimate = mean_with_interval(values, seed=0)
    assert estimate.value == pytest.approx(value, nan_ok=True)
    assert np.isnan([estimate.low, estimate.high]).all()


def test_the_same_seed_gives_the_same_interval_and_unpaired_scores_are_refused():
    values = np.random.default_rng(4).random(8)
    assert mean_with_interval(values, seed=5) == mean_with_interval(values, seed=5)
    with pytest.raises(ValueError, match="not of the same trajectories"):
        improvement_with_interval(values, values[:7], seed=5)
