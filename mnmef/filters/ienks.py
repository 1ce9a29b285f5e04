"""Iterative ensemble Kalman smoother (Bocquet and Sakov 2014); with lag 1 the iterative ensemble Kalman filter."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from mnmef.experiments.experiment import Experiment
from mnmef.filters.base import (
    CycleResult,
    Draws,
    Filter,
    ensemble_mean,
    inflate,
    observation_perturbations,
    unobserved,
    whiten,
)
from mnmef.filters.gauss_newton import gauss_newton
from mnmef.filters.spreading import Rotation

EIGHT, PART = 8, 2**14
"""Trajectories in one vector, and numbers of an ensemble in a thread's share of the batch, which fits a CPU's cache."""


class IEnKS(Filter):
    """Gauss-Newton smoother over a window of `lag` cycles, as DAPPER's `iEnKS` with its default of 10 iterations.

    The ensemble carried between cycles is the one at the start of the window; the analysis at its end is the last
    forecast plus a linear increment. Weights and transforms stay in the d-dimensional observation space: an iteration
    costs the forecasts and products linear in N.

    Parameters
    ----------
    sigma_y : float
        Standard deviation of the observation noise, state units.
    inflation : Tensor or float
        Factor on the anomalies, broadcastable to (..., 1, 1).
    lag : int
        Cycles of the window.
    perturbed : bool
        The stochastic form (EnRML; "PertObs"), else the square-root form ("Sqrt").
    iterations : int
        Gauss-Newton iterations in a cycle.
    hyperprior : float or None
        Certainty of the prior of finite-size inflation (DAPPER's xN), for the square-root form; None: without it.
    rotation : Rotation or None
        Of the anomalies at the start of the window.

    Raises
    ------
    ValueError
        For finite-size inflation with perturbed observations.
    """

    name: ClassVar[str] = "ienks"

    def __init__(
        self,
        sigma_y: float,
        inflation: Tensor | float = 1.0,
        *,
        lag: int = 1,
        perturbed: bool = False,
        iterations: int = 10,
        hyperprior: float | None = None,
        rotation: Rotation | None = None,
    ) -> None:
        if perturbed and hyperprior is not None:
            raise ValueError(
                "finite-size inflation needs the square-root form: no hyperprior with perturbed observations"
            )
        self.sigma_y, self.inflation = sigma_y, inflation
        self.lag, self.perturbed, self.iterations = lag, perturbed, iterations
        self.hyperprior, self.rotation = hyperprior, rotation
        self.needs_noise = perturbed  # type: ignore[misc]

    def start(self, ensemble: Tensor) -> tuple[Tensor, int]:
        """Return the start of the first window (..., N, Nx) and the number of cycles that the window spans so far."""
        return ensemble, 0

    def cycle(self, carry: Any, observation: Tensor, experiment: Experiment, noise: Draws = None) -> CycleResult:
        """Assimilate `observation` (..., d) at the end of the window and shift the window once it is full."""
        if self.perturbed and noise is None:
            raise ValueError("the perturbed-observation smoother needs standard normal noise (..., N, d)")
        start, spanned = carry
        if spanned >= self.lag:
            raise ValueError(f"{self.name} with lag {self.lag} cannot go on from a window of {spanned + 1} cycles")
        lead, (members, size) = start.shape[:-2], start.shape[-2:]

        def flat(x: Tensor | float | None, *shape: int) -> Any:
            return x.expand(*lead, *shape).reshape(-1, *shape) if isinstance(x, Tensor) else x

        draws = observation_perturbations(noise, 1.0) if self.perturbed and noise is not None else None
        ensembles, observations = flat(start, members, size), flat(observation, observation.shape[-1])
        unseen = unobserved(observation)  # an ensemble without observations is not inflated
        one = torch.ones_like(start[..., :1, :1])
        factor = self.inflation if unseen is None else torch.where(unseen, one, self.inflation)
        draws, factor = flat(draws, members, observation.shape[-1]), flat(factor, 1, 1)
        part = torch.get_num_threads() * EIGHT * -(-PART // (members * size))
        part = part if start.device.type == "cpu" else len(ensembles)
        results = [torch.empty_like(ensembles) for _ in range(3)]
        for begin in range(0, len(ensembles), part):
            given = (x[begin : begin + part] if isinstance(x, Tensor) else x for x in (observations, draws, factor))
            window = self._window(ensembles[begin : begin + part], spanned + 1, experiment, *given)
            for result, computed in zip(results, window, strict=True):
                result[begin : begin + part] = computed
        forecast, analysis, smoothed = (x.view(start.shape) for x in results)
        return CycleResult(forecast, analysis, (smoothed, min(spanned + 1, self.lag - 1)))

    def _window(
        self,
        start: Tensor,
        spanned: int,
        experiment: Experiment,
        observation: Tensor,
        draws: Draws,
        inflation: Tensor | float,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return forecast, analysis and next start of a batch of windows (B, N, Nx) that span some cycles."""
        # Ensembles for the model are rounded to its precision.
        pair = start, start - ensemble_mean(start)
        model_start, model_anomalies = (x.to(experiment.model_dtype or x.dtype) for x in pair)
        seen = whiten(observation, experiment)
        iteration: Any = gauss_newton(seen.value, self.sigma_y, draws, start.shape, self.hyperprior)

        def end_of_window(ensemble: Tensor) -> Tensor:
            for _ in range(spanned):
                ensemble = experiment.propagate(ensemble)
            return ensemble

        ensemble = forecast = end_of_window(start)
        old, new = None, iteration.step(seen.observe(forecast), None)
        is_forecast = seen.missing is not None and bool(seen.missing.all())
        for _ in range(0 if is_forecast else self.iterations - 1):
            ensemble = end_of_window(new.moved(model_start, model_anomalies))
            old, new = new, iteration.step(seen.observe(ensemble), new)
        # A transform takes the mean off: in double precision, ensembles serve as their anomalies.
        analysis = new.moved(ensemble.to(forecast), forecast)
        if old is not None:
            analysis = old.moved(analysis, forecast, -1.0)
        smoothed = inflate(new.moved(start, start), inflation)
        smoothed = smoothed if self.rotation is None else self.rotation(smoothed)
        return forecast, analysis, experiment.propagate(smoothed) if spanned == self.lag else smoothed
