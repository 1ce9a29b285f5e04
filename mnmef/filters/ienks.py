"""The iterative ensemble Kalman smoother (Bocquet and Sakov 2014) and, with lag 1, the iterative ensemble Kalman
filter.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from mnmef.filters.base import CycleResult, Filter, ensemble_mean, inflate, observation_perturbations
from mnmef.filters.linalg import add_product, principal_modes
from mnmef.systems.base import System


@dataclass(frozen=True)
class Transform:
    """Where an iteration stands: weights `w = mean_weights basis'` of the mean, `T = I - left basis'` of the anomalies.

    mean_weights (..., 1, d), left and basis (..., N, d). Neither T (N x N) nor w is ever formed.
    back (..., N, d) and core (..., d, d), None for the identity, are such that `T^-1 = I + back core^-1 basis'`.
    """

    mean_weights: Tensor
    left: Tensor
    basis: Tensor
    back: Tensor
    core: Tensor | None

    def moved(self, ensemble: Tensor, anomalies: Tensor) -> Tensor:
        """`ensemble + (w + T - I) anomalies` for an ensemble and anomalies (..., N, Nx), in their precision."""
        weights, basis = (self.mean_weights - self.left).to(ensemble), self.basis.to(ensemble)
        return add_product(ensemble, weights, basis.mT @ anomalies)

    def undone(self, rows: Tensor) -> Tensor:
        """`T^-1 rows` for rows (..., N, d)."""
        seen = self.basis.mT @ rows
        return rows + self.back @ (seen if self.core is None else torch.linalg.solve_ex(self.core, seen)[0])


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

        def end_of_window(ensemble: Tensor) -> tuple[Tensor, Tensor]:
            for _ in range(spanned):
                ensemble = system.propagate(ensemble)
            misfit = system.observe(ensemble).to(start) - observation.unsqueeze(-2)
            return ensemble, misfit.div_(self.sigma_y)

        forecast, misfit = end_of_window(start)
        ensemble, old, new = forecast, None, _gauss_newton_step(misfit, None, draws)
        for _ in range(self.iterations - 1):
            ensemble, misfit = end_of_window(new.moved(model_start, model_anomalies))
            old, new = new, _gauss_newton_step(misfit, new, draws)
        forecast_anomalies = forecast - ensemble_mean(forecast)
        analysis = new.moved(ensemble.to(forecast), forecast_anomalies)
        if old is not None:
            analysis = old.moved(analysis, -forecast_anomalies)
        smoothed = inflate(new.moved(start, anomalies), self.inflation)
        if spanned == self.lag:
            smoothed, spanned = system.propagate(smoothed), spanned - 1
        return CycleResult(forecast, analysis, (smoothed, spanned))


def _gauss_newton_step(misfit: Tensor, old: Transform | None, draws: Tensor | None) -> Transform:
    """The next iterate, given observed members minus observation (..., N, d) in units of sigma_y, as `old` led to them.

    S sqrt(N - 1) = Y0 = T_old^-1 Y are the anomalies Y as they would be had T_old not been applied;
    `w = (dy + w_old Y0) (I + S'S)^-1 S' / sqrt(N - 1)`; without draws `T = (I + S S')^-1/2`; with draws D,
    `T = I - (S + D / sqrt(N - 1)) (I + S'S)^-1 S'`, to which DAPPER's update comes down because `T_old Y0 = Y`.
    In the coordinates of the modes Z = S V all functions of S'S are diagonal; r is the root of I + S'S.
    """
    scale = (misfit.shape[-2] - 1) ** 0.5
    mean = ensemble_mean(misfit)
    innovation, s = -mean, (misfit - mean) / scale
    if old is not None:
        s = old.undone(s)
        innovation = innovation + old.mean_weights @ (old.basis.mT @ s) * scale
    modes, squares, vectors = principal_modes(s)
    r = torch.sqrt(1.0 + squares)
    basis = modes / r
    mean_weights = innovation @ vectors / (scale * r)
    if draws is None:
        return Transform(mean_weights, modes / (1.0 + r), basis, modes * (r / (1.0 + r)), None)
    shifts = draws @ vectors / scale
    core = torch.diag_embed(1.0 / r.squeeze(-2)) - basis.mT @ shifts
    return Transform(mean_weights, (modes + shifts) / r, basis, modes + shifts, core)
