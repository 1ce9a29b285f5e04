"""Interface of every ensemble filter, classical or learned."""

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from mnmef.experiments.experiment import Experiment

Draws = Tensor | None
"""Standard normal draws (..., N, d) of a cycle, not yet centered or scaled; None for a filter that needs none."""


@dataclass(frozen=True)
class Whitened:
    """Observations of one time, and h, in coordinates in which the covariance of the noise is sigma_y^2 I.

    Where something is missing, observation and observed members are zero, and an analysis is that of the smaller
    problem: anomalies and innovations of zero carry no information. Made by `whiten`.

    Parameters
    ----------
    value : Tensor (..., d)
        Observations.
    experiment : Experiment
        The observation operator.
    root : Tensor (..., d) or (..., d, d), or None
        R^-1/2 sigma_y; None for the identity.
    missing : Tensor (..., d) or None
        True where nothing is observed; None where nothing is missing.
    """

    value: Tensor
    experiment: Experiment
    root: Tensor | None = None
    missing: Tensor | None = None

    def observe(self, ensemble: Tensor) -> Tensor:
        """Return the observed members (..., N, d) of an ensemble (..., N, Nx)."""
        observed = self.experiment.observe(ensemble)
        return observed if self.root is None else self._times_root(observed)

    def masked(self, rows: Tensor) -> Tensor:
        """Return rows (..., N, d) with zeros where the observation is missing."""
        return rows if self.missing is None else rows.masked_fill(self.missing.unsqueeze(-2), 0.0)

    def departures(self, ensemble: Tensor, parts: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """Return observed anomalies `Y = h(v_n) - center` (..., N, d) and the innovation `y - center` (..., 1, d) of an
        ensemble (..., N, Nx); the center is the mean of h(v_n), for a linear h and known `parts`, mean (..., 1, Nx) and
        anomalies of the ensemble, made of these.
        """
        is_linear = self.experiment.observation.function == "identity"
        center = self.observe(parts[0]) if parts is not None and is_linear else None
        if parts is not None and center is not None and self.root is None:  # the same numbers, without a difference
            return self.observe(parts[1]), self.value.unsqueeze(-2) - center
        observed = self.observe(ensemble)
        center = ensemble_mean(observed) if center is None else center
        return observed - center, self.value.unsqueeze(-2) - center

    def _times_root(self, rows: Tensor) -> Tensor:
        assert self.root is not None
        rows = rows.to(self.root)
        return rows @ self.root if self.experiment.observation.is_correlated else rows * self.root.unsqueeze(-2)


def whiten(observation: Tensor, experiment: Experiment) -> Whitened:
    """Whiten observations (..., d), NaN where they are missing; they stay as they are where R is sigma_y^2 I."""
    missing = missing_of(observation)
    root = experiment.observation.whitener(missing, observation)
    if root is None:
        return Whitened(observation, experiment)
    given = observation if missing is None else observation.masked_fill(missing, 0.0)
    seen = Whitened(given, experiment, root, missing)
    return replace(seen, value=seen._times_root(given.unsqueeze(-2)).squeeze(-2))


def in_units_of_noise(observation: Tensor, ensemble: Tensor, experiment: Experiment) -> tuple[Tensor, Tensor]:
    """Return observations (..., d), any number where they are missing, and observed members (..., N, d), such that the
    covariance of the noise is sigma_y^2 I.
    """
    if experiment.observation.noise is None:
        return observation, experiment.observe(ensemble)
    seen = whiten(observation, experiment)
    return seen.value, seen.observe(ensemble)


def missing_of(observation: Tensor) -> Tensor | None:
    """Return where observations (..., d) are NaN; None where none is, but on a GPU, which the host would wait for."""
    # NumPy's sum takes a quarter of the time of torch's, which a filter of few variables would feel.
    is_near = observation.device.type == "cpu"
    return None if is_near and not math.isnan(observation.detach().numpy().sum()) else observation.isnan()


def unobserved(observation: Tensor) -> Tensor | None:
    """Return which ensembles (..., 1, 1) have no observation (..., d) at all; None as by `missing_of`."""
    missing = missing_of(observation)
    return None if missing is None else missing.all(-1)[..., None, None]


@dataclass(frozen=True)
class CycleResult:
    """Result of one assimilation cycle.

    Parameters
    ----------
    forecast, analysis : Tensor (..., N, Nx)
        Ensembles at the observation time, before and after the use of the observation.
    carry : object
        Start of the next cycle; for most filters the analysis itself.
    rejected : Tensor (..., d) or None
        True where an observation was taken as missing; None where none was.
    """

    forecast: Tensor
    analysis: Tensor
    carry: Any
    rejected: Tensor | None = None


class Filter:
    """Ensemble filter: advances an ensemble through one cycle of forecast, observation and analysis.

    Most filters implement `analyze`. An iterative smoother runs the dynamics again inside its analysis: it overrides
    `cycle`, and `start` if it carries more than an ensemble.
    """

    name: ClassVar[str]
    needs_noise: ClassVar[bool] = False
    """True if the analysis perturbs observations; `cycle` then needs `noise`."""
    made_for: Experiment | None = None
    """Experiment whose grid or weights it holds, and which alone it serves (`Experiment.difference`)."""
    sigma_y: Any
    """Standard deviation of the observation noise, state units, of the filters that are made for one."""
    serves_any_noise: ClassVar[bool] = False
    """True if sigma_y is an input of its weights."""
    is_batch: bool = False
    """True with settings, of which each has ensembles of its own (S, T, N, Nx)."""
    tuned_members: int | None = None
    """Number of members N that its weights were fine-tuned for."""

    def __init_subclass__(cls) -> None:
        """Call a filter by its class if it has no name."""
        super().__init_subclass__()
        cls.name = getattr(cls, "name", cls.__name__)

    def at_noise(self, sigma_y: float | Tensor) -> Self:
        """Return the filter, with the same weights, for another noise level.

        Parameters
        ----------
        sigma_y : float or Tensor (B,)
            Standard deviation of the observation noise, state units; a tensor has one for each ensemble.

        Raises
        ------
        ValueError
            If its weights serve a single level.
        """
        if not self.serves_any_noise:
            raise ValueError(f"{self.name} serves the sigma_y that it was made for alone, not {sigma_y}")
        other: Any = copy.copy(self)
        other.sigma_y = sigma_y
        return other

    def noise_like(self, forecast: Tensor) -> Tensor:
        """Return sigma_y, a number or (B,), as (1, 1) or (B, 1), where and in which precision a forecast is."""
        if isinstance(self.sigma_y, Tensor):
            return self.sigma_y.to(forecast).reshape(-1, 1)
        return forecast.new_full((1, 1), self.sigma_y)

    def start(self, ensemble: Tensor) -> Any:
        """Return the start of the first cycle from the first ensemble (..., N, Nx), one cycle before the first
        observation.
        """
        return ensemble

    def cycle(self, carry: Any, observation: Tensor, experiment: Experiment, noise: Draws = None) -> CycleResult:
        """Forecast to the next observation time and assimilate the observation there.

        Parameters
        ----------
        carry : object
            From `start` or the last `CycleResult`.
        observation : Tensor (..., d)
            Observations, NaN where they are missing. Where all are, the cycle is a forecast.
        experiment : Experiment
            The dynamics and the observation operator.
        noise : Tensor (..., N, d), optional
            Standard normal draws if `needs_noise`, not yet centered or scaled.

        Returns
        -------
        CycleResult
        """
        forecast = experiment.propagate(carry)
        refined = self.refine(carry, forecast, observation, experiment)
        analysis = self.update(refined, observation, experiment, noise)
        return CycleResult(forecast, analysis, analysis)

    def refine(self, start: Tensor, forecast: Tensor, observation: Tensor, experiment: Experiment) -> Tensor:
        """Return the forecast that is analyzed, by default as it is.

        A filter that assimilates an observation several times corrects the ensemble `start` (..., N, Nx), one cycle
        before the observation, and repeats its forecast.
        """
        return forecast

    def update(self, forecast: Tensor, observation: Tensor, experiment: Experiment, noise: Draws = None) -> Tensor:
        """Analyze as `analyze`; an ensemble without any observation keeps its forecast."""
        unseen = unobserved(observation)
        if unseen is not None and unseen.device.type == "cpu" and bool(unseen.all()):
            return forecast
        analysis = self.analyze(forecast, observation, experiment, noise)
        return analysis if unseen is None else torch.where(unseen, forecast, analysis)

    def analyze(self, forecast: Tensor, observation: Tensor, experiment: Experiment, noise: Draws = None) -> Tensor:
        """Map a forecast ensemble to the analysis ensemble.

        Parameters
        ----------
        forecast : Tensor (..., N, Nx)
            Forecast ensemble.
        observation : Tensor (..., d)
            Observations, NaN where they are missing.
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


def parts_of(filter_: Filter) -> Iterator[Filter]:
    """Yield a filter, the one that is its attribute `inner`, if any, and so on inwards."""
    part: Any = filter_
    while isinstance(part, Filter):
        yield part
        part = getattr(part, "inner", None)


def check_made_for(filter_: Filter, experiment: Experiment) -> None:
    """Raise `ValueError` if a filter is used on another experiment than the one that it was made for, if any."""
    found = filter_.made_for and filter_.made_for.difference(experiment)
    if found:
        raise ValueError(f"{filter_.name} was made for {found}; make it for this experiment")


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


def as_batch(forecast: Tensor, observation: Tensor) -> tuple[Tensor, Tensor]:
    """Return ensembles (..., N, Nx) as (B, N, Nx), and observations (..., d) as (B, d)."""
    ensembles = forecast.reshape(-1, *forecast.shape[-2:])
    return ensembles, observation.expand(*forecast.shape[:-2], -1).reshape(len(ensembles), -1)


def inflate(ensemble: Tensor, factor: Tensor | float) -> Tensor:
    """Multiply the anomalies of `ensemble` (..., N, Nx) by `factor` (broadcastable to (..., 1, 1))."""
    if isinstance(factor, Tensor):
        factor = factor.to(ensemble)
    return torch.lerp(ensemble_mean(ensemble), ensemble, factor)
