"""Ensemble Kalman filter with perturbed observations, with or without covariance localization."""

from typing import ClassVar

import torch
from torch import Tensor

from mnmef.experiments.experiment import Experiment
from mnmef.filters.base import Draws, Filter, ensemble_mean, inflate, observation_perturbations, whiten
from mnmef.filters.linalg import add_product, solve_rows


class EnKF(Filter):
    """Perturbed-observation EnKF (Burgers et al. 1998), as DAPPER's `EnKF("PertObs")`, inflated after the analysis.

    Parameters
    ----------
    sigma_y : float
        Standard deviation of the observation noise, state units.
    inflation : Tensor or float
        Factor on the analysis anomalies, broadcastable to (..., 1, 1).
    taper : Tensor (..., Nx, d) or None
        Covariance taper L_vh for localization: `K = (C_vh o L_vh) (C_hh o L_hh + R)^-1`, with the rows at the observed
        sites as L_hh, all in the coordinates of `whiten`.
    """

    name: ClassVar[str] = "enkf"
    needs_noise: ClassVar[bool] = True

    def __init__(self, sigma_y: float, inflation: Tensor | float = 1.0, taper: Tensor | None = None) -> None:
        self.sigma_y, self.inflation, self.taper = sigma_y, inflation, taper

    def analyze(self, forecast: Tensor, observation: Tensor, experiment: Experiment, noise: Draws = None) -> Tensor:
        """Map a forecast ensemble to the analysis ensemble (see `Filter.analyze`)."""
        if noise is None:
            raise ValueError("the perturbed-observation EnKF needs standard normal noise (..., N, d)")
        seen = whiten(observation, experiment)
        observed = seen.observe(forecast)
        innovation = seen.value.unsqueeze(-2) - observed - observation_perturbations(noise, self.sigma_y)
        return self._corrected(forecast, observed, innovation, experiment)

    def _corrected(self, forecast: Tensor, observed: Tensor, innovation: Tensor, experiment: Experiment) -> Tensor:
        """Correct each member of a forecast, observed as (..., N, d), by its innovation (..., N, d)."""
        members = forecast.shape[-2]
        h_anomalies = observed - ensemble_mean(observed)
        # The mean forecast drops out of the first product, as anomalies sum to zero.
        cross, covariance = h_anomalies.mT @ forecast, h_anomalies.mT @ h_anomalies
        if self.taper is not None:
            taper = self.taper.to(forecast)
            cross = cross * taper.mT
            covariance = covariance * taper.index_select(-2, experiment.observation_index(forecast.device))
        eye = torch.eye(experiment.observation_size, dtype=forecast.dtype, device=forecast.device)
        weights = solve_rows(covariance + (members - 1) * self.sigma_y**2 * eye, innovation)
        return inflate(add_product(forecast, weights, cross), self.inflation)


class DEnKF(EnKF):
    """Deterministic EnKF (Sakov and Oke 2008), as DAPPER's `EnKF("DEnKF")`: anomalies get half the gain.

    Parameters are those of `EnKF`; no observation is perturbed.
    """

    name: ClassVar[str] = "denkf"
    needs_noise: ClassVar[bool] = False

    def analyze(self, forecast: Tensor, observation: Tensor, experiment: Experiment, noise: Draws = None) -> Tensor:
        """Map a forecast ensemble to the analysis ensemble (see `Filter.analyze`)."""
        seen = whiten(observation, experiment)
        observed = seen.observe(forecast)
        innovation = seen.value.unsqueeze(-2) - (observed + ensemble_mean(observed)) / 2
        return self._corrected(forecast, observed, innovation, experiment)
