"""Intervals for scores, by the bootstrap over test trajectories.

All filters see the same truths, observations and first ensembles, so a comparison of two resamples trajectories in
pairs: what makes a trajectory hard for both cancels. Trajectories start independently on the attractor and are the
units that are drawn again; cycles within one are correlated and are never split.

What T trajectories can support: an interval says how far the score of these filters, with these weights and tuned
settings, may lie from what infinitely many trajectories of the same length would give. It does not cover another
training (its spread is in the table `seeds.csv`) nor another tuning. With T = 8, as at scale laptop, the plain
percentile interval is too narrow, since it has the spread of T - 1 degrees of freedom with the tails of a normal
distribution; here its level is raised so that it is exact for means of normal scores ("expanded percentile interval":
Hesterberg, What Teachers Should Know About the Bootstrap, The American Statistician 69, 2015). Its ends then lie in
tails which only a few of the 6435 different resamples of 8 reach: they show the size of the uncertainty, not its shape,
and a skewed or heavy-tailed score, such as one with occasional near-divergence, is covered less often than stated. With
T = 64, as at scale paper, none of this matters. With T = 4, as at scale quick, no resample lies beyond the extreme
scores, and an interval covers less than stated in any case.

Diverged trajectories are left out and counted, as in `mnmef.assimilation.metrics.mean_over_survivors`: from a mean,
those that diverged; from a comparison, pairs in which either did. Intervals hold for survivors; the count stands beside
them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

LEVEL = 0.95
RESAMPLES = 9999


@dataclass(frozen=True)
class Estimate:
    """A number with its interval, NaN where there are too few trajectories.

    Parameters
    ----------
    value : float
        NaN without any trajectory.
    low, high : float
        Ends of the interval, NaN with fewer than two trajectories.
    used, left_out : int
        Trajectories, or pairs of them, that enter, and that diverged.
    """

    value: float
    low: float
    high: float
    used: int
    left_out: int


def mean_with_interval(values: np.ndarray, seed: int, *, level: float = LEVEL) -> Estimate:
    """Estimate the mean of the scores (T,) of trajectories, NaN where one diverged, with its interval."""
    finite = values[np.isfinite(values)]
    return _estimate((finite,), _mean, seed, level, left_out=values.size - finite.size)


def improvement_with_interval(benchmark: np.ndarray, ours: np.ndarray, seed: int, *, level: float = LEVEL) -> Estimate:
    """Estimate `(mean(benchmark) - mean(ours)) / mean(benchmark)` of paired scores (T,), with its interval.

    The means are over the trajectories that neither filter lost.

    Raises
    ------
    ValueError
        If the scores are not paired.
    """
    if benchmark.shape != ours.shape:
        raise ValueError(f"scores of {benchmark.shape} and {ours.shape} trajectories are not of the same trajectories")
    both = np.isfinite(benchmark) & np.isfinite(ours)
    return _estimate((benchmark[both], ours[both]), _improvement, seed, level, left_out=int((~both).sum()))


def expanded_level(level: float, size: int) -> float:
    """Return the level at which the percentile interval of the mean of `size` normal numbers covers with `level`.

    Its half width `z sqrt((T - 1) / T) s / sqrt(T)` becomes Student's `t s / sqrt(T)`.
    """
    quantile = stats.t.ppf(0.5 + level / 2, size - 1)
    return float(1 - 2 * stats.norm.sf(np.sqrt(size / (size - 1)) * quantile))


def _mean(values: np.ndarray, axis: int = -1) -> np.ndarray:
    return values.mean(axis)


def _improvement(benchmark: np.ndarray, ours: np.ndarray, axis: int = -1) -> np.ndarray:
    return 1 - ours.mean(axis) / benchmark.mean(axis)


def _estimate(
    data: tuple[np.ndarray, ...], statistic: Callable[..., np.ndarray], seed: int, level: float, left_out: int
) -> Estimate:
    used = len(data[0])
    value = float(statistic(*data)) if used else float("nan")
    if used < 2:
        return Estimate(value, float("nan"), float("nan"), used, left_out)
    # The same draws for every cell: a table does not depend on the order of its rows, and cells can be compared.
    result = stats.bootstrap(
        data,
        statistic,
        paired=True,
        vectorized=True,
        n_resamples=RESAMPLES,
        # A level of 1 is refused; no percentile lies beyond the most extreme resample anyway.
        confidence_level=min(expanded_level(level, used), 1 - 1e-9),
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    low, high = result.confidence_interval
    return Estimate(value, float(low), float(high), used, left_out)
