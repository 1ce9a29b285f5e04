"""Scores of a run. Each docstring states definition, estimator and the order of mean and root."""

import numpy as np


def relative_rmse(error_norm: np.ndarray, truth_norm: np.ndarray) -> np.ndarray:
    """R-RMSE of each trajectory: `sum_k ||mean_k - truth_k|| / sum_k ||truth_k||` over all cycles k (last axis).

    error_norm, truth_norm: Euclidean norms (..., K). The root is inside the sum over cycles: norms are averaged, not
    squares.
    Returns (...); NaN where any cycle is NaN (a diverged trajectory). Source: the paper's definition of R-RMSE.
    """
    return error_norm.sum(-1) / truth_norm.sum(-1)


def time_mean_rmse(rmse: np.ndarray, burn_in: int = 0) -> np.ndarray:
    """Mean over cycles `k >= burn_in` of the per-cycle RMSE (..., K); returns (...). The field's usual 'rmse.a'
    average.
    """
    return rmse[..., burn_in:].mean(-1)


def mean_over_survivors(values: np.ndarray) -> tuple[float, float, int]:
    """Mean, standard deviation (divisor T - 1) and number of NaNs of per-trajectory scores (T,).

    Diverged trajectories are NaN and counted, not averaged; the mean is NaN if none survives.
    """
    finite = values[np.isfinite(values)]
    diverged = int(values.size - finite.size)
    if finite.size == 0:
        return float("nan"), float("nan"), diverged
    return float(finite.mean()), float(finite.std(ddof=1)) if finite.size > 1 else 0.0, diverged


def relative_improvement(benchmark: np.ndarray, ours: np.ndarray) -> np.ndarray:
    """`(benchmark - ours) / benchmark`: the fraction by which our error is below the benchmark's."""
    return (benchmark - ours) / benchmark
