"""Inflation of the forecast as sampling errors of a finite ensemble ask for it (Bocquet 2011; Bocquet et al. 2015)."""

from typing import ClassVar

import torch
from torch import Tensor

from mnmef.experiments.experiment import Experiment
from mnmef.filters.base import Draws, Filter, ensemble_mean, inflate, whiten
from mnmef.filters.linalg import principal_modes, transform_deficit

NEWTON = 100, 1e-7, 1e-4
"""Most steps, and what derivative and step are small enough to stop at; as in DAPPER."""


def hyperprior_coefficients(squares: Tensor, members: int, certainty: float) -> tuple[Tensor, Tensor]:
    """Return the effect of the unknown mean and the factor on the log term (..., 1, 1), corrected by the mode.

    `squares` (..., 1, d) are the eigenvalues of S'S for whitened anomalies S sqrt(N - 1); as DAPPER's
    `hyperprior_coeffs`.
    """
    mean, log = (members + 1) / members, members / (members - 1)
    weight = (1.0 / (1.0 + squares)).sum(-1, keepdim=True).add(members - squares.shape[-1]) / members
    correction = (mean / log) ** (weight / 2.0)
    return certainty * mean / correction, certainty * log * correction


def prior_inflation(squares: Tensor, innovation: Tensor, members: int, certainty: float) -> Tensor:
    """Minimize the dual cost function over the inflation (..., 1, 1) of the forecast anomalies.

    `innovation` (..., 1, d) is whitened, in the coordinates in which S'S is diagonal.
    """
    mean, log = hyperprior_coefficients(squares, members, certainty)
    steps, small, near = NEWTON
    factor = torch.ones_like(mean)
    moving = torch.ones_like(mean, dtype=torch.bool)
    energy = innovation.square() * squares / (members - 1)
    for _ in range(steps):
        total = 1.0 + factor.square() * squares
        slope = 2 * (log / factor - mean / factor**3 - factor * (energy / total**2).sum(-1, keepdim=True))
        moving &= slope.abs() > small
        if not bool(moving.any()):
            break
        bend = 8 * factor.square() * (energy * squares / total**3).sum(-1, keepdim=True)
        step = slope / (bend + 6 * mean / factor**4 - 2 * log / factor.square())
        factor = torch.where(moving, factor - step, factor)
        moving &= step.abs() > near
    return factor


class EnKFN(Filter):
    """Finite-size EnKF in its dual form, as DAPPER's `EnKF_N`: an ESRF on a forecast inflated by what the innovation
    says.

    Parameters
    ----------
    sigma_y : float
        Standard deviation of the observation noise, state units.
    inflation : Tensor or float
        Further factor on the analysis anomalies, broadcastable to (..., 1, 1).
    hyperprior : float
        Certainty of the prior of the inflation; 1 knows nothing, larger values suit systems close to linear.
    """

    name: ClassVar[str] = "enkf_n"

    def __init__(self, sigma_y: float, inflation: Tensor | float = 1.0, hyperprior: float = 1.0) -> None:
        self.sigma_y, self.inflation, self.hyperprior = sigma_y, inflation, hyperprior

    def analyze(self, forecast: Tensor, observation: Tensor, experiment: Experiment, noise: Draws = None) -> Tensor:
        """Map a forecast ensemble to the analysis ensemble (see `Filter.analyze`)."""
        members, mean = forecast.shape[-2], ensemble_mean(forecast)
        anomalies, root_n1 = forecast - mean, (members - 1) ** 0.5
        h_anomalies, innovation = whiten(observation, experiment).departures(forecast)
        modes, squares, vectors = principal_modes(h_anomalies / (self.sigma_y * root_n1))
        innovation = (innovation / self.sigma_y) @ vectors
        factor = prior_inflation(squares, innovation, members, self.hyperprior)
        gain, cross = factor.square(), modes.mT @ anomalies
        mean = mean + (innovation * gain / (1.0 + gain * squares) / root_n1) @ cross
        anomalies = factor * (anomalies - modes @ ((gain * transform_deficit(gain * squares)).mT * cross))
        return inflate(mean + anomalies, self.inflation)
