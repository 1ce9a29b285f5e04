"""Innovations of an assimilation: what was observed against what was forecast, which needs no truth."""

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from mnmef.core.seeds import torch_generator
from mnmef.experiments.experiment import Experiment
from mnmef.filters.base import CycleResult
from mnmef.io.files import variable


class Innovations:
    """Callback of `run_filter` that keeps the innovations of its first trajectory.

    With the forecast members v_n, the innovation is `y - mean h(v_n)`, and the variance that filter and sigma_y expect
    of it `S = H P H' + R`, where H P H' is the covariance of h(v_n) (divisor N - 1). The chi-square of a cycle is
    `d' S^-1 d` of the innovation d; the rank of an observation is the number of members h(v_n) + noise below it.
    The inverse of S from few members errs upwards: with fewer than about 10 for each observation of a cycle, chi-square
    exceeds 1 for a right filter, too.

    Parameters
    ----------
    experiment : Experiment
        The observation operator and its noise.
    sigma_y : float
        Standard deviation of the observation noise, state units.
    observations : ndarray (K, d)
        NaN where they are missing.
    seed, first_cycle : int
        Seed of the noise on the members; number of cycles before the first one. Each cycle has a stream of its own.
    """

    def __init__(
        self, experiment: Experiment, sigma_y: float, observations: np.ndarray, seed: int, first_cycle: int = 0
    ) -> None:
        self.experiment, self.sigma_y, self.observations = experiment, sigma_y, observations
        self.seed, self.first_cycle, self.has_diverged = seed, first_cycle, False
        covariance = sigma_y**2 * experiment.observation.covariance()
        self.noise = covariance if covariance.ndim == 2 else np.diag(covariance)
        self.innovation, self.variance = (np.full(observations.shape, np.nan) for _ in range(2))
        self.chi_square, self.rank = np.full(len(observations), np.nan), np.full(observations.shape, -1)

    def __call__(self, k: int, result: CycleResult, truth: Tensor) -> None:
        """Keep cycle k, unless the trajectory has diverged."""
        pair = result.forecast[0], result.analysis[0]
        self.has_diverged = self.has_diverged or not all(bool(each.isfinite().all()) for each in pair)
        gone = np.isnan(self.observations[k])
        given = np.flatnonzero(~(gone if result.rejected is None else gone | result.rejected[0].cpu().numpy()))
        if self.has_diverged or not len(given):
            return
        members = self.experiment.observe(pair[0]).to("cpu", torch.float64)
        generator = torch_generator(self.seed, "innovations", self.first_cycle + k)
        draws = torch.randn(members.shape, generator=generator, dtype=torch.float64)
        perturbed = (members + self.sigma_y * self.experiment.observation.noise_of(draws)).numpy()[:, given]
        seen, observation = members.numpy()[:, given], self.observations[k, given]
        innovation = observation - seen.mean(0)
        anomalies = seen - seen.mean(0)
        expected = anomalies.T @ anomalies / (len(seen) - 1) + self.noise[np.ix_(given, given)]
        self.innovation[k, given], self.variance[k, given] = innovation, np.diagonal(expected)
        self.chi_square[k] = innovation @ np.linalg.solve(expected, innovation)
        self.rank[k, given] = (perturbed < observation).sum(0)

    def dataset(self) -> xr.Dataset:
        """Return `innovation`, `expected_variance` and `rank` (cycle, observation), and `chi_square` (cycle).

        NaN, or -1 for a rank, where an observation is missing or rejected, and from the cycle on at which the filter
        diverged.
        """
        both = ("cycle", "observation")
        return xr.Dataset(
            {
                "innovation": variable(both, self.innovation, "observation minus forecast mean", None),
                "expected_variance": variable(both, self.variance, "variance of forecast and noise", None),
                "rank": variable(both, self.rank, "perturbed forecast members below, -1: missing", None),
                "chi_square": variable("cycle", self.chi_square, "innovation in the metric of its covariance"),
            }
        )
