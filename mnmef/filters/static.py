"""Filters whose gain never changes: climatology, optimal interpolation and 3D-Var, the references of any other."""

from typing import ClassVar

import torch
from torch import Tensor

from mnmef.core.seeds import numpy_generator
from mnmef.experiments.experiment import Experiment
from mnmef.filters.base import CycleResult, Draws, Filter, ensemble_mean, missing_of

SAMPLE = 100, 50
"""Trajectories of a climate's sample, and states of each."""


def climate_sample(experiment: Experiment, seed: int) -> Tensor:
    """Simulate states (M, Nx) of the climate, a tenth of the burn-in, but at least a cycle, apart."""
    trajectories, count = SAMPLE
    experiment = experiment.with_seed(seed, experiment.name, "climate")
    state = torch.from_numpy(experiment.initial_states(trajectories, numpy_generator(seed, experiment.name, "climate")))
    cycles = round(experiment.burn_in_time / experiment.cycle_length)
    states = []
    for k in range(cycles + count * max(1, cycles // 10)):
        state = experiment.propagate(state)
        if k >= cycles and (k - cycles) % max(1, cycles // 10) == 0:
            states.append(state)
    return torch.cat(states)


class Static(Filter):
    """A mean that the forecast model moves, or that stays, and a gain that stays, as DAPPER's `Climatology`,
    `OptInterp` and `Var3D`.

    Covariances of the state with what is observed of it are those of a sample of the climate, so that any observation
    operator will do. The ensembles of a result are the mean and, about it, members of the right variance.

    Parameters
    ----------
    kind : str
        What the analysis is made of. "climatology": the climate alone; "optimal_interpolation": the climate and the
        observation; "var3d": the last analysis, with the climate's covariance times `background` as that of its errors,
        and the observation.
    experiment : Experiment
        Source of the observation operator.
    sigma_y : float
        Standard deviation of the observation noise, state units.
    climate : Tensor (M, Nx)
        States of the climate.
    background : float
        Factor on the climate's covariance, for `var3d`.
    """

    name: ClassVar[str] = "static"

    def __init__(
        self, kind: str, experiment: Experiment, sigma_y: float, climate: Tensor, background: float = 1.0
    ) -> None:
        self.made_for = experiment
        self.kind, scale = kind, background if kind == "var3d" else 1.0
        self.climate = ensemble_mean(climate)
        anomalies, observed = climate - self.climate, experiment.observe(climate)
        observed = observed - ensemble_mean(observed)
        scale = scale / (len(climate) - 1)
        noise = sigma_y**2 * torch.from_numpy(experiment.observation.covariance()).to(climate)
        self.seen = scale * (observed.mT @ observed) + (noise if noise.ndim == 2 else torch.diag(noise))  # (d, d)
        self.cross = scale * (observed.mT @ anomalies)  # (d, Nx)
        self.variance = scale * anomalies.square().sum(0)
        self.gain = torch.linalg.solve(self.seen, self.cross)

    def start(self, ensemble: Tensor) -> Tensor:
        """Return the mean (..., 2, Nx) of the first ensemble (..., N, Nx), twice, as two are the least ensemble."""
        return ensemble_mean(ensemble).expand(*ensemble.shape[:-2], 2, -1)

    def cycle(self, carry: Tensor, observation: Tensor, experiment: Experiment, noise: Draws = None) -> CycleResult:
        """Move the mean and correct it by the observation (see `Filter.cycle`)."""
        stays = self.kind != "var3d"
        forecast = self.climate.to(carry).expand(carry.shape) if stays else experiment.without_noise().propagate(carry)
        mean = self.analyze(forecast, observation, experiment)
        explained = (self.cross * self._gain(missing_of(observation))).sum(-2, keepdim=True)
        deviation = (self.variance - explained).clamp(min=0.0).sqrt().to(mean)
        return CycleResult(forecast, mean + torch.tensor([[1.0], [-1.0]]).to(mean) * deviation / 2**0.5, mean)

    def analyze(self, forecast: Tensor, observation: Tensor, experiment: Experiment, noise: Draws = None) -> Tensor:
        """Correct forecasts (..., N, Nx), each by itself."""
        missing = missing_of(observation)
        innovation = observation.unsqueeze(-2) - experiment.observe(forecast)
        innovation = innovation if missing is None else innovation.masked_fill(missing.unsqueeze(-2), 0.0)
        return forecast + innovation @ self._gain(missing).to(forecast)

    def _gain(self, missing: Tensor | None) -> Tensor:
        """Return the gain (d, Nx), or (..., d, Nx) without what is missing (..., d)."""
        if self.kind == "climatology":
            return torch.zeros_like(self.cross)
        if missing is None:
            return self.gain
        gone = missing.to(self.seen.device)
        apart = gone.unsqueeze(-1) | gone.unsqueeze(-2)
        seen = torch.where(apart, torch.eye(len(self.seen)).to(self.seen), self.seen)
        return torch.linalg.solve(seen, self.cross.masked_fill(gone.unsqueeze(-1), 0.0))
