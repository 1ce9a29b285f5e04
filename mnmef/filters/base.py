"""Interface of every ensemble filter, classical or learned."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from mnmef.experiments.experiment import Experiment


@dataclass(frozen=True)
class CycleResult:
    """Result of one assimilation cycle.

    Parameters
    ----------
    forecast, analysis : Tensor (..., N, Nx)
        Ensembles at the observation time, before and after the use of the observation.
    carry : object
        Start of the next cycle; for most filters the analysis itself.
    """

    forecast: Tensor
    analysis: Tensor
    carry: Any


class Filter:
    """Ensemble filter: advances an ensemble through one cycle of forecast, observation and analysis.

    Most filters implement `analyze`. An iterative smoother runs the dynamics again inside its analysis: it overrides
    `cycle`, and `start` if it carries more than an ensemble.
    """

    name: ClassVar[str]
    needs_noise: ClassVar[bool] = False
    """True if the analysis perturbs observations; `cycle` then needs `noise`."""

    def start(self, ensemble: Tensor) -> Any:
        """Return the start of the first cycle from the first ensemble (..., N, Nx), one cycle before the first
        observation.
        """
        return ensemble

    def cycle(
        self, carry: Any, observation: Tensor, experiment: Experiment, noise: Tensor | None = None
    ) -> CycleResult:
        """Forecast to the next observation time and assimilate the observation there.

        Parameters
        ----------
        carry : object
            From `start` or the last `CycleResult`.
        observation : Tensor (..., d)
            Observed components.
        experiment : Experiment
            The dynamics and the observation operator.
        noise : Tensor (..., N, d), optional
            Standard normal draws if `needs_noise`, not yet centered or scaled.

        Returns
        -------
        CycleResult
        """
        forecast = experiment.propagate(carry)
        analysis = self.analyze(forecast, observation, experiment, noise)
        return CycleResult(forecast, analysis, analysis)

    def analyze(
        self, forecast: Tensor, observation: Tensor, experiment: Experiment, noise: Tensor | None = None
    ) -> Tensor:
        """Map a forecast ensemble to the analysis ensemble.

        Parameters
        ----------
        forecast : Tensor (..., N, Nx)
            Forecast ensemble.
        observation : Tensor (..., d)
            Observed components.
        experiment : Experiment
            The observation operator.
        noise : Tensor (..., N, d), optional
            Standard normal draws if `needs_noise`, not yet centered or scaled.

        Returns
        -------
        Tensor (..., N, Nx)
            Analysis ensemble.

        Raises
        ------
        ValueError
            Without noise, if the filter needs it.
        """
        raise NotImplementedError(f"{type(self).__name__} overrides cycle() and has no stand-alone analysis")


def ensemble_mean(ensemble: Tensor) -> Tensor:
    """Average over members (..., N, Nx); the axis is kept (..., 1, Nx)."""
    return ensemble.mean(-2, keepdim=True)


def observation_perturbations(noise: Tensor, sigma_y: float) -> Tensor:
    """Compute perturbations (..., N, d) of observations: mean zero over members, variance sigma_y^2.

    `sigma_y sqrt(N / (N - 1)) (noise - mean(noise))`, as in DAPPER's perturbed-observation EnKF and in the paper's
    code: the factor restores the variance lost by centering.
    """
    members = noise.shape[-2]
    return (sigma_y * (members / (members - 1)) ** 0.5) * (noise - ensemble_mean(noise))


def inflate(ensemble: Tensor, factor: Tensor | float) -> Tensor:
    """Multiply the anomalies of `ensemble` (..., N, Nx) by `factor` (broadcastable to (..., 1, 1))."""
    if isinstance(factor, Tensor):
        factor = factor.to(ensemble)
    return torch.lerp(ensemble_mean(ensemble), ensemble, factor)
