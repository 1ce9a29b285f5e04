"""The iterative ensemble Kalman smoother (Bocquet and Sakov 2014) and, with lag 1, the iterative ensemble Kalman
filter.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from mnmef.filters.base import CycleResult, Filter, ensemble_mean, inflate, observation_perturbations
from mnmef.filters.linalg import inverse_transform_excess, precision, symmetric_functions, transform_deficit
from mnmef.systems.base import System


@dataclass(frozen=True)
class Transform:
    """An N x N matrix `I - left right'` that is never formed: left, right (..., N, d)."""

    left: Tensor
    right: Tensor

    def apply(self, rows: Tensor) -> Tensor:
        """The matrix times `rows` (..., N, m)."""
        return rows - self.left @ (self.right.mT @ rows)


class IEnKS(Filter):
    """Gauss-Newton smoother over a window of `lag` cycles, as DAPPER's `iEnKS` with its default of 10 iterations.

    The ensemble carried between cycles is the one at the start of the window; the analysis at its end is the last
    forecast plus a
    linear increment. perturbed: the stochastic form (EnRML; "PertObs"), else the square-root form ("Sqrt").
    Weights and transforms stay in the d-dimensional observation space: an iteration costs the forecasts and products
    linear in N.
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
        start, spanned = carry
        spanned += 1
        n1 = start.shape[-2] - 1
        mean, anomalies = ensemble_mean(start), start - ensemble_mean(start)
        zero = torch.zeros(*start.shape[:-1], system.observation_size, dtype=start.dtype, device=start.device)
        weights, transform = torch.zeros_like(start[..., :1].mT), Transform(zero, zero)  # (..., 1, N)
        update = _perturbed_update if self.perturbed else _square_root_update
        draws = observation_perturbations(noise, 1.0) if self.perturbed and noise is not None else None
        decondition = None
        for iteration in range(self.iterations):
            ensemble = mean + weights @ anomalies + transform.apply(anomalies)
            for _ in range(spanned):
                ensemble = system.propagate(ensemble)
            if iteration == 0:
                forecast = ensemble
            observed = system.observe(ensemble) / self.sigma_y
            y = observed - ensemble_mean(observed)
            dy = observation.unsqueeze(-2) / self.sigma_y - ensemble_mean(observed)
            y0 = y if decondition is None else decondition(y)
            old_weights, old_transform = weights, transform
            inner, (transform, decondition) = update(y, y0, transform, draws, n1)
            weights = (dy + weights @ y0) @ inner @ y0.mT
        forecast_anomalies = forecast - ensemble_mean(forecast)
        increment = (
            (weights - old_weights) @ forecast_anomalies
            + transform.apply(forecast_anomalies)
            - old_transform.apply(forecast_anomalies)
        )
        smoothed = inflate(mean + weights @ anomalies + transform.apply(anomalies), self.inflation)
        if spanned == self.lag:
            smoothed, spanned = system.propagate(smoothed), spanned - 1
        return CycleResult(forecast, ensemble + increment, (smoothed, spanned))


def _square_root_update(y: Tensor, y0: Tensor, old: Transform, draws: Tensor | None, n1: int) -> tuple[Tensor, tuple]:
    """`(Y0'Y0 + N - 1)^-1`, T = (I + S S')^-1/2 with S = Y0 / sqrt(N - 1), and the map T^-1."""
    s = y0 / n1**0.5
    deficit, excess, inverse = symmetric_functions(s.mT @ s, transform_deficit, inverse_transform_excess, precision)
    backward = Transform(-(s @ excess), s)
    return inverse / n1, (Transform(s @ deficit, s), backward.apply)


def _perturbed_update(y: Tensor, y0: Tensor, old: Transform, draws: Tensor | None, n1: int) -> tuple[Tensor, tuple]:
    """`M = (Y0'Y0 + N - 1)^-1`, T = I - P Y0' with P = ((I - T_old) Y0 + Y + D) M, and the map (T + 1 1')^-1.

    The ones added before inverting keep T invertible on the mean, as in DAPPER.
    """
    (inverse,) = symmetric_functions(y0.mT @ y0 / n1, precision)
    inner = inverse / n1
    left = (y0 - old.apply(y0) + y + draws) @ inner
    new = Transform(left, y0)

    def decondition(rows: Tensor) -> Tensor:
        members = rows.shape[-2]

        def base(x: Tensor) -> Tensor:  # (I + 1 1')^-1
            return x - x.sum(-2, keepdim=True) / (1 + members)

        small = torch.eye(y0.shape[-1], dtype=y0.dtype, device=y0.device) - y0.mT @ base(left)
        return base(rows) + base(left) @ torch.linalg.solve_ex(small, y0.mT @ base(rows))[0]

    return inner, (new, decondition)
