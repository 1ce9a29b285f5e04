"""Kolmogorov flow: two-dimensional turbulence of a fluid that a sine of space drives."""

from functools import cache
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from mnmef.systems.base import System
from mnmef.systems.etd import etd_rk4_coefficients


class Kolmogorov(System):
    """`w_t = -u . grad w + laplace w / Re - f k cos(k y)`: the vorticity w of an incompressible flow u on the periodic
    square [0, 2 pi]^2 that the force (f sin(k y), 0) drives (Chandler & Kerswell 2013: f = 1, k = 4, Re = 40 to 100).

    Products are formed on the grid and cut off by the 2/3 rule; time steps are ETD-RK4, exact where the vorticity is a
    single wave. The mean vorticity stays what it is.

    Parameters
    ----------
    points : int
        Grid points in each direction. A state has points^2 components, row by row; a row is a line along the force.
    step_size : float
        Time of a step.
    reynolds : float
        Reynolds number Re; the viscosity is 1 / Re.
    wave_number : int
        k of the force.
    force : float
        f; without a force, 0, the flow decays.
    """

    name: ClassVar[str] = "kolmogorov"
    title: ClassVar[str] = "Kolmogorov flow"

    def __init__(
        self,
        points: int = 64,
        step_size: float = 0.02,
        reynolds: float = 100.0,
        wave_number: int = 4,
        force: float = 1.0,
    ) -> None:
        if points < 8 or points & (points - 1):
            raise ValueError(f"points must be a power of two from 8 on, not {points}")
        if not 1 <= wave_number <= points // 3:
            raise ValueError(f"wave_number must be from 1 to {points // 3}, a third of the points, not {wave_number}")
        self.points, self.state_size, self.step_size = points, points**2, step_size
        self.reynolds, self.wave_number, self.force = reynolds, wave_number, force
        self.check_constants("step_size", "reynolds", "force")
        if reynolds <= 0:
            raise ValueError(f"reynolds of {self.title} must be a positive number, not {reynolds}")

    def step(self, state: Tensor) -> Tensor:
        """Advance `state` (..., Nx) by one ETD-RK4 step."""
        return self._advance(state, 1)

    def _advance(self, state: Tensor, steps: int) -> Tensor:
        """Advance states (..., Nx), staying in Fourier space."""
        n, constants = self.points, (self.points, self.step_size, self.reynolds, self.wave_number, self.force)
        (e, e2, q, f1, f2, f3), (to_u, to_v, of_uv, of_squares, force) = _tables(*constants, state.dtype, state.device)
        columns = e.shape[-1]

        def modes(field: Tensor) -> Tensor:
            return torch.fft.fft(torch.fft.rfft(field)[..., :columns], dim=-2)

        def on_grid(v: Tensor) -> Tensor:
            return torch.fft.irfft(torch.fft.ifft(v, dim=-2), n=n)

        def tendency(v: Tensor) -> Tensor:
            """Modes of curl div of the products of velocities, and of the force."""
            along, across = on_grid(to_u * v), on_grid(to_v * v)
            squares = modes(along * along - across * across)
            return of_uv * modes(along * across) + of_squares * squares + force

        v = modes(state.unflatten(-1, (n, n)))
        for _ in range(steps):
            n1 = tendency(v)
            decayed = e2 * v
            v1 = decayed + q * n1
            n2a = tendency(v1)
            n2b = tendency(decayed + q * n2a)
            n3 = tendency(e2 * v1 + q * (2.0 * n2b - n1))
            v = e * v + f1 * n1 + f2 * (n2a + n2b) + f3 * n3
        return on_grid(v).flatten(-2)


@cache
def _tables(
    points: int, h: float, reynolds: float, k: int, f: float, dtype: torch.dtype, device: torch.device
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Return the ETD-RK4 coefficients (points, points / 3 + 1), zero where the 2/3 rule cuts off, with 2 f2 for f2; and
    factors of the vorticity for both velocities, of modes of their products for the vorticity, and the force.
    """
    ky, kx = np.fft.fftfreq(points, 1 / points)[:, None], np.arange(points // 3 + 1.0)
    square = kx**2 + ky**2
    e, e2, q, f1, f2, f3 = etd_rk4_coefficients(-square / reynolds, h)
    coefficients = [np.where(np.abs(ky) <= points // 3, each, 0.0) for each in (e, e2, q, f1, 2.0 * f2, f3)]
    inverse = np.divide(1.0, square, where=square > 0, out=np.zeros_like(square))
    force = np.where((kx == 0) & (np.abs(ky) == k), -0.5 * f * k * points**2, 0.0)
    factors = [1j * ky * inverse, -1j * kx * inverse, kx**2 - ky**2, -kx * ky, force]
    # All of them complex: products of real and complex tensors take longer.
    kind = torch.complex64 if dtype == torch.float32 else torch.complex128
    of_step, of_flow = ([torch.as_tensor(x).to(device, kind) for x in part] for part in (coefficients, factors))
    return tuple(of_step), tuple(of_flow)
