"""Training losses (B,) of analysis ensembles (B, N, Nx) against truths (B, Nx), both in state units."""

from collections.abc import Callable

import torch
from torch import Tensor


def nl2(analysis: Tensor, truth: Tensor) -> Tensor:
    """Squared error of the ensemble mean, relative to the squared truth (the paper's loss)."""
    return l2(analysis, truth) / truth.square().sum(-1)


def l2(analysis: Tensor, truth: Tensor) -> Tensor:
    """Squared error of the ensemble mean, state units squared."""
    return (analysis.mean(-2) - truth).square().sum(-1)


def rmse(analysis: Tensor, truth: Tensor) -> Tensor:
    """Root-mean-square error of the ensemble mean over components, state units."""
    return (analysis.mean(-2) - truth).square().mean(-1).sqrt()


ALMOST = 0.95
"""Fairness of the CRPS. At 1, a single member may run away at no cost, since its error and its distances balance.

Members that move together may still lower the score with some of them far off: look at the spread of a trained filter
(docs/log/training_schedules.md, on large batches)."""


def crps(analysis: Tensor, truth: Tensor, fairness: float = ALMOST) -> Tensor:
    """Almost fair continuous ranked probability score (Lang et al. 2024), relative to the truth's root-mean-square.

    Mean over components of `E|x - t| - (1 - (1 - fairness) / N) E|x - x'| / 2`, with an unbiased mean over pairs of the
    N members. Unlike the losses above it sees the spread: at fairness 1 it is smallest, in expectation, for members
    that are draws from the truth's distribution.

    Parameters
    ----------
    analysis : Tensor (B, N, Nx)
    truth : Tensor (B, Nx)
    fairness : float
        From 0, the score of the empirical distribution, to 1, the fair score.

    Returns
    -------
    Tensor (B,)
    """
    members = analysis.shape[-2]
    error = (analysis - truth.unsqueeze(-2)).abs().mean(-2)
    # The sum over pairs of sorted members counts each member as often as it is the larger, minus the smaller.
    count = 2.0 * torch.arange(members, dtype=analysis.dtype, device=analysis.device) - (members - 1)
    pairs = (count.unsqueeze(-1) * analysis.sort(-2).values).sum(-2) / (members * (members - 1))
    return (error - (1.0 - (1.0 - fairness) / members) * pairs).mean(-1) / truth.square().mean(-1).sqrt()


SPREAD_WEIGHT = 0.01
"""Factor on the loss of the spread, so that a sum with `nl2` is still ruled by the error of the mean."""


def spread(analysis: Tensor, truth: Tensor) -> Tensor:
    """Gaussian log score of the ensemble's variance s^2: `SPREAD_WEIGHT (log s^2 + e^2 / s^2)`.

    e^2 is the squared error of the mean; both are averaged over components. In expectation the score is smallest where
    s^2 is the expected e^2. Its gradient leaves the mean alone, so that no ensemble is made worse to fit its spread.
    """
    variance = analysis.var(-2).mean(-1)
    error = (analysis.detach().mean(-2) - truth).square().mean(-1)
    return SPREAD_WEIGHT * (variance.log() + error / variance)


def log_mse(analysis: Tensor, truth: Tensor) -> Tensor:
    """Logarithm of the squared error of the mean over components, e^2: `SPREAD_WEIGHT log e^2`.

    Its gradient is relative to the error, so that windows of different noise weigh alike and none that has lost the
    truth rules the others. With `spread` it is a score of mean and spread that has no unit.
    """
    return SPREAD_WEIGHT * (analysis.mean(-2) - truth).square().mean(-1).log()


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {f.__name__: f for f in (nl2, l2, rmse, log_mse, crps, spread)}
"""Losses by name; a sum of them is written `nl2+rmse`."""

OF_TRUTH = ("crps", "spread")
"""Losses that see the spread: against the mean of a large ensemble, which is nearer than the truth, they shrink it."""
