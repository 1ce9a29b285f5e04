"""The Gauss-Newton iteration of the iterative smoothers, in the d-dimensional space of observations."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mnmef.filters.base import Draws, ensemble_mean
from mnmef.filters.finite_size import hyperprior_coefficients
from mnmef.filters.linalg import add_product, has_more_observations, principal_modes
from mnmef.kernels import HAS_NUMBA

if HAS_NUMBA:
    from mnmef.core.threads import over_batch
    from mnmef.kernels.gauss_newton import PARTS, move, step
    from mnmef.kernels.lanes import LANES

FEW = 8
"""Numbers, of a member's observations and of its state, below which array operations are as fast."""


@dataclass(frozen=True)
class Transform:
    """State of an iteration: weights `w = mean_weights basis'` of the mean, `T = f (I - left basis')` of the anomalies.

    mean_weights (..., 1, m), left and basis (..., N, m) of the m modes. Neither T (N x N) nor w is ever formed.
    back (..., N, m) and core (..., m, m), None for the identity, are such that `T^-1 = (I + back core^-1 basis') / f`:
    where the core is nearly singular, only solving with it keeps the digits that iterations need. factor f (..., 1, 1)
    is the inflation of finite-size filters, None for 1.
    """

    mean_weights: Tensor
    left: Tensor
    basis: Tensor
    back: Tensor
    core: Tensor | None
    factor: Tensor | None = None

    def moved(self, ensemble: Tensor, anomalies: Tensor, factor: float = 1.0) -> Tensor:
        """`ensemble + factor (w + T - I) anomalies` for an ensemble and anomalies (..., N, Nx), in their precision."""
        left, basis = self.left, self.basis.to(ensemble)
        if self.factor is not None:
            left = left * self.factor
            shift = (factor * (self.factor - 1.0)).to(ensemble)
            ensemble = ensemble + shift * (anomalies - ensemble_mean(anomalies))
        return add_product(ensemble, ((self.mean_weights - left) * factor).to(ensemble), basis.mT @ anomalies)

    def undone(self, rows: Tensor) -> Tensor:
        """`T^-1 rows` for rows (..., N, d)."""
        seen = self.basis.mT @ rows
        rows = rows + self.back @ (seen if self.core is None else torch.linalg.solve_ex(self.core, seen)[0])
        return rows if self.factor is None else rows / self.factor


def gauss_newton_step(
    misfit: Tensor, old: Transform | None, draws: Draws, hyperprior: float | None = None
) -> Transform:
    """The next iterate, given observed members minus observation (..., N, d) in units of sigma_y, as `old` led to them.

    S sqrt(N - 1) = Y0 = T_old^-1 Y are the anomalies Y as they would be had T_old not been applied;
    `w = (dy + w_old Y0) (I + S'S)^-1 S' / sqrt(N - 1)`; without draws `T = (I + S S')^-1/2`; with draws D,
    `T = I - (S + D / sqrt(N - 1)) (I + S'S)^-1 S'`, to which DAPPER's update comes down because `T_old Y0 = Y`.
    In the coordinates of the modes Z = S V all functions of S'S are diagonal; r is the root of I + S'S. With a
    hyperprior, the forecast anomalies are inflated by f = 1 / a, where a^2 takes the place of the I in I + S'S.
    """
    scale = (misfit.shape[-2] - 1) ** 0.5
    mean = ensemble_mean(misfit)
    innovation, s = -mean, (misfit - mean) / scale
    if old is not None:
        s = old.undone(s)
        innovation = innovation + old.mean_weights @ (old.basis.mT @ s) * scale
    modes, squares, vectors = principal_modes(s)
    a = None if hyperprior is None else _effective_root(squares, old, misfit.shape[-2], hyperprior)
    r = torch.sqrt((1.0 if a is None else a.square()) + squares)
    basis = modes / r
    mean_weights = innovation @ vectors / (scale * r)
    if a is not None:
        return Transform(mean_weights, modes / (a + r), basis, modes * (r / (a * (a + r))), None, 1.0 / a)
    if draws is None:
        return Transform(mean_weights, modes / (1.0 + r), basis, modes * (r / (1.0 + r)), None)
    shifts = draws @ vectors / scale
    core = torch.diag_embed(1.0 / r.squeeze(-2)) - basis.mT @ shifts
    return Transform(mean_weights, (modes + shifts) / r, basis, modes + shifts, core)


def _effective_root(squares: Tensor, old: Transform | None, members: int, hyperprior: float) -> Tensor:
    """The root (..., 1, 1) of the effective ensemble size over N - 1, as DAPPER's `zeta_a`."""
    mean, log = hyperprior_coefficients(squares, members, hyperprior)
    if old is not None:
        mean = mean + (old.mean_weights @ old.basis.mT).square().sum(-1, keepdim=True)
    return torch.sqrt(log / mean)


class GaussNewton:
    """One cycle's iteration: observations (..., d), their standard deviation, draws (..., N, d) or None, hyperprior."""

    def __init__(self, observation: Tensor, sigma_y: float, draws: Draws, hyperprior: float | None = None) -> None:
        self.observation, self.sigma_y, self.draws, self.hyperprior = observation, sigma_y, draws, hyperprior

    def step(self, observed: Tensor, old: Transform | None) -> Transform:
        """The iterate after `old`, which led to observed members (..., N, d)."""
        misfit = observed.to(self.observation) - self.observation.unsqueeze(-2)
        return gauss_newton_step(misfit.div_(self.sigma_y), old, self.draws, self.hyperprior)


@dataclass(frozen=True)
class PackedTransform:
    """Transforms as `mnmef.kernels.gauss_newton` keeps them, of `count` trajectories."""

    state: Tensor
    count: int

    def moved(self, ensemble: Tensor, anomalies: Tensor, factor: float = 1.0) -> Tensor:
        """`ensemble + factor (w + T - I) anomalies` for an ensemble and anomalies (..., N, Nx), in their precision."""
        result = torch.empty_like(ensemble, memory_format=torch.contiguous_format)
        arrays = (t.reshape(-1, *t.shape[-2:]).contiguous().numpy() for t in (ensemble, anomalies, result))
        over_batch(move, self.count, self.state.numpy(), factor, *arrays)
        return result


class CompiledGaussNewton:
    """The same as `GaussNewton` on a CPU in double precision, several times faster."""

    def __init__(self, observation: Tensor, sigma_y: float, draws: Draws, batch: torch.Size) -> None:
        size = observation.shape[-1]
        # Arrays of one layout and precision, so that the kernel is compiled once.
        self.observation = observation.expand(*batch, size).reshape(-1, size).contiguous()
        self.sigma_y = sigma_y
        self.draws = observation.new_empty(0, 0, size)
        if draws is not None:
            shifts = draws / (draws.shape[-2] - 1) ** 0.5
            self.draws = shifts.expand(*batch, *draws.shape[-2:]).reshape(-1, *draws.shape[-2:]).contiguous()

    def step(self, observed: Tensor, old: PackedTransform | None) -> PackedTransform:
        """The iterate after `old`, which led to observed members (..., N, d)."""
        members, size = observed.shape[-2:]
        observed = observed.reshape(len(self.observation), members, size).to(self.observation.dtype).contiguous()
        rows = PARTS * members + 1 + (size if len(self.draws) else 0)
        blocks = -(-len(observed) // LANES)
        state = self.observation.new_empty(blocks, rows, size, LANES)
        before = self.observation.new_empty(0, 0, size, LANES) if old is None else old.state
        arrays = [t.numpy() for t in (self.draws, before, state)]
        over_batch(step, blocks, observed.numpy(), self.observation.numpy(), self.sigma_y, *arrays)
        return PackedTransform(state, len(observed))


def gauss_newton(
    observation: Tensor, sigma_y: float, draws: Draws, shape: torch.Size, hyperprior: float | None = None
) -> GaussNewton | CompiledGaussNewton:
    """The iteration for ensembles of a shape (..., N, Nx), the fastest there is where the observation is kept."""
    is_double = observation.device.type == "cpu" and observation.dtype == torch.float64 and hyperprior is None
    # The kernel works in the space of observations, array operations in that of members where it is much smaller.
    is_small = not has_more_observations(observation.shape[-1], 2 * shape[-2])
    if HAS_NUMBA and is_double and is_small and min(shape[-2] * observation.shape[-1], shape[-1]) >= FEW:
        return CompiledGaussNewton(observation, sigma_y, draws, shape[:-2])
    return GaussNewton(observation, sigma_y, draws, hyperprior)
