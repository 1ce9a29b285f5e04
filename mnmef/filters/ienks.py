"""The iterative ensemble Kalman smoother (Bocquet and Sakov 2014) and, with lag 1, the iterative ensemble Kalman
filter.
"""

from typing import Any, ClassVar

from torch import Tensor

from mnmef.filters.base import CycleResult, Filter, ensemble_mean, inflate, observation_perturbations
from mnmef.filters.gauss_newton import gauss_newton
from mnmef.systems.base import System


class IEnKS(Filter):
    """Gauss-Newton smoother over a window of `lag` cycles, as DAPPER's `iEnKS` with its default of 10 iterations.

    The ensemble carried between cycles is the one at the start of the window; the analysis at its end is the last
    forecast plus a linear increment. perturbed: the stochastic form (EnRML; "PertObs"), else the square-root form
    ("Sqrt"). Weights and transforms stay in the d-dimensional observation space: an iteration costs the forecasts and
    products linear in N.
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
    ) -> None:
        self.sigma_y, self.inflation = sigma_y, inflation
        self.lag, self.perturbed, self.iterations = lag, perturbed, iterations
        self.needs_noise = perturbed  # type: ignore[misc]

    def start(self, ensemble: Tensor) -> tuple[Tensor, int]:
        """The first window starts at the first ensemble (..., N, Nx); the number counts the cycles it already spans."""
        return ensemble, 0

    def cycle(self, carry: Any, observation: Tensor, system: System, noise: Tensor | None = None) -> CycleResult:
        """Assimilate `observation` (..., d) at the end of the window and shift the window once it is full."""
        if self.perturbed and noise is None:
            raise ValueError("the perturbed-observation smoother needs standard normal noise (..., N, d)")
        start, spanned = carry
        spanned += 1
        anomalies = start - ensemble_mean(start)
        draws = observation_perturbations(noise, 1.0) if self.perturbed and noise is not None else None

        # What the model sees needs no more digits than it keeps.
        model_start, model_anomalies = (x.to(system.model_dtype or x.dtype) for x in (start, anomalies))

        iteration: Any = gauss_newton(observation, self.sigma_y, draws, start.shape)

        def end_of_window(ensemble: Tensor) -> Tensor:
            for _ in range(spanned):
                ensemble = system.propagate(ensemble)
            return ensemble

        ensemble = forecast = end_of_window(start)
        old, new = None, iteration.step(system.observe(forecast), None)
        for _ in range(self.iterations - 1):
            ensemble = end_of_window(new.moved(model_start, model_anomalies))
            old, new = new, iteration.step(system.observe(ensemble), new)
        forecast_anomalies = forecast - ensemble_mean(forecast)
        analysis = new.moved(ensemble.to(forecast), forecast_anomalies)
        if old is not None:
            analysis = old.moved(analysis, -forecast_anomalies)
        smoothed = inflate(new.moved(start, anomalies), self.inflation)
        if spanned == self.lag:
            smoothed, spanned = system.propagate(smoothed), spanned - 1
        return CycleResult(forecast, analysis, (smoothed, spanned))
