"""Scores of a run: definition, estimator and the order of mean and root."""

import numpy as np


def relative_rmse(error_norm: np.ndarray, truth_norm: np.ndarray) -> np.ndarray:
    """Compute R-RMSE, the paper's score: `sum_k ||mean_k - truth_k|| / sum_k ||truth_k||` over all cycles k.

    The root is inside the sum over cycles: norms are averaged, not squares.

    Parameters
    ----------
    error_norm, truth_norm : ndarray (..., K)
        Euclidean norms of error and truth.

    Returns
    -------
    ndarray (...)
        NaN where a cycle is NaN, hence for a diverged trajectory.
    """
    return error_norm.sum(-1) / truth_norm.sum(-1)


def time_mean_rmse(rmse: np.ndarray, burn_in: int = 0) -> np.ndarray:
    """Average the RMSE of every cycle over cycles `k >= burn_in`, DAPPER's 'rmse.a'.

    Parameters
    ----------
    rmse : ndarray (..., K)
        RMSE of each cycle, state units.
    burn_in : int
        Number of first cycles to leave out.

    Returns
    -------
    ndarray (...)
    """
    return rmse[..., burn_in:].mean(-1)


def mean_over_survivors(values: np.ndarray) -> tuple[float, float, int]:
    """Average the scores of trajectories that did not diverge.

    Parameters
    ----------
    values : ndarray (T,)
        Score of each trajectory, NaN where it diverged.

    Returns
    -------
    mean, deviation, diverged : float, float, int
        Mean and standard deviation (divisor T - 1) over the survivors, NaN without any, and the number of NaNs.
    """
    finite = values[np.isfinite(values)]
    diverged = int(values.size - finite.size)
    if finite.size == 0:
        return float("nan"), float("nan"), diverged
    return float(finite.mean()), float(finite.std(ddof=1)) if finite.size > 1 else 0.0, diverged
