"""The interface of every ensemble filter, classical or learned."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from mnmef.systems.base import System


@dataclass(frozen=True)
class CycleResult:
    """What one assimilation cycle yields.

    forecast, analysis: ensembles (..., N, Nx) at the observation time, before and after using the observation.
    carry: what the filter starts its next cycle from (for most filters the analysis itself).
    """

    forecast: Tensor
    analysis: Tensor
    carry: Any


class Filter:
    """A filter advances an ensemble through one cycle: forecast, observe, analyze.

    A filter whose analysis needs only the forecast ensemble implements `analyze`; an iterative smoother, which re-runs
    the dynamics inside its analysis, overrides `cycle` (and `start`, where it carries more than an ensemble).
    """

    name: ClassVar[str]
    needs_noise: ClassVar[bool] = False
    """Whether the analysis perturbs observations, so that `cycle` must be given `noise`."""

    def start(self, ensemble: Tensor) -> Any:
        """What the first cycle starts from, given the first ensemble (..., N, Nx) one cycle before the first
        observation.
        """
        return ensemble

    def cycle(self, carry: Any, observation: Tensor, system: System, noise: Tensor | None = None) -> CycleResult:
        """Forecast to the next observation time and assimilate `observation` (..., d) there.

        noise: standard normal draws (..., N, d) if `needs_noise`, not yet centered or scaled.
        """
        forecast = system.propagate(carry)
        analysis = self.analyze(forecast, observation, system, noise)
        return CycleResult(forecast, analysis, analysis)

    def analyze(self, forecast: Tensor, observation: Tensor, system: System, noise: Tensor | None = None) -> Tensor:
        """Map a forecast ensemble (..., N, Nx) and an observation (..., d) to the analysis ensemble (..., N, Nx)."""
        raise NotImplementedError(f"{type(self).__name__} overrides cycle() and has no stand-alone analysis")


def ensemble_mean(ensemble: Tensor) -> Tensor:
    """Mean over members, kept as an axis: (..., N, Nx) -> (..., 1, Nx)."""
    return ensemble.mean(-2, keepdim=True)


def observation_perturbations(noise: Tensor, sigma_y: float) -> Tensor:
    """Perturbations (..., N, d) with mean zero over members and the variance that centering took away given back.

    `sigma_y sqrt(N / (N - 1)) (noise - mean(noise))`, as in DAPPER's perturbed-observation EnKF and in the paper's
    code.
    """
    members = noise.shape[-2]
    return (sigma_y * (members / (members - 1)) ** 0.5) * (noise - ensemble_mean(noise))


def inflate(ensemble: Tensor, factor: Tensor | float) -> Tensor:
    """Multiply the anomalies of `ensemble` (..., N, Nx) by `factor` (broadcastable to (..., 1, 1))."""
    if isinstance(factor, Tensor):
        factor = factor.to(ensemble)
    return torch.lerp(ensemble_mean(ensemble), ensemble, factor)
