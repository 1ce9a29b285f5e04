"""Kuramoto-Sivashinsky on a periodic domain."""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from mnmef.systems.base import System
from mnmef.systems.etd import etd_rk4_coefficients


@cache
def etd_coefficients(size: int, h: float, length: float) -> tuple[np.ndarray, ...]:
    """ETD-RK4 coefficients (size/2 + 1,) on a circle of some length: exp(hL), exp(hL/2), and Q, 2 Q, f1, 2 f2, f3 times
    -ik/2.
    """
    wave_number = np.append(np.arange(0, size / 2), 0) * (2 * np.pi / length)
    e, e2, q, f1, f2, f3 = etd_rk4_coefficients(wave_number**2 - wave_number**4, h)
    factor = -0.5j * wave_number
    forced = (factor * c for c in (q, 2 * q, f1, 2 * f2, f3))
    return e, e2, *forced


class KuramotoSivashinsky(System):
    """`u_t = -u u_x - u_xx - u_xxxx`, stepped by ETD-RK4 (Cox & Matthews 2002; Kassam & Trefethen 2005).

    The coefficients are contour means over 16 points, and the wave number of the Nyquist mode is set to zero, both as
    in DAPPER's `mods.KS`, so that a step agrees with DAPPER's to rounding.
    """

    name: ClassVar[str] = "ks"
    title: ClassVar[str] = "Kuramoto-Sivashinsky"
    has_compiled_steps = True

    def __init__(self, state_size: int = 128, step_size: float = 0.25, length: float = 32 * np.pi) -> None:
        if state_size < 8 or state_size & (state_size - 1):
            raise ValueError(f"state_size must be a power of two from 8 on, not {state_size}")
        self.state_size, self.step_size, self.length = state_size, step_size, length
        self.check_constants("step_size", "length")

    def step(self, state: Tensor) -> Tensor:
        """Advance `state` (..., Nx) by one ETD-RK4 step."""
        return self._advance(state, 1)

    def _advance_compiled(self, rows: np.ndarray, result: np.ndarray, steps: int, precision: str) -> None:
        from mnmef.kernels.ks import ks_cycle

        ks_cycle(rows, result, steps, _tables(precision, self.state_size, self.step_size, self.length))

    def _advance(self, state: Tensor, steps: int) -> Tensor:
        """Advance states (..., Nx), staying in Fourier space. The coefficients hold the factor -ik/2."""
        dtype = torch.complex64 if state.dtype == torch.float32 else torch.complex128
        constants = self.state_size, self.step_size, self.length
        e, e2, q, q2, f1, f2, f3 = _coefficients(*constants, dtype, state.device)

        def squared(v: Tensor) -> Tensor:
            return torch.fft.rfft(torch.fft.irfft(v, n=self.state_size).square())

        v = torch.fft.rfft(state)
        for _ in range(steps):
            n1 = squared(v)
            decayed = e2 * v
            v1 = torch.addcmul(decayed, q, n1)
            n2a = squared(v1)
            n2b = squared(decayed.addcmul(q, n2a))
            n3 = squared((e2 * v1).addcmul(q2, n2b - 0.5 * n1))
            v = (e * v).addcmul(f1, n1).addcmul(f2, n2a + n2b).addcmul(f3, n3)
        return torch.fft.irfft(v, n=self.state_size)

    def initial_mean(self) -> np.ndarray:
        """Return the state that DAPPER's KS model starts from."""
        return self.reference_state()

    def dapper_step(self) -> Callable[..., Any] | None:
        """Return DAPPER's step, which is for 128 grid points alone."""
        return import_module("dapper.mods.KS").Model(dt=self.step_size).step if self.state_size == 128 else None

    def reference_state(self) -> np.ndarray:
        """Return the Kassam-Trefethen initial profile, 150 time units later (as DAPPER's `x0`)."""
        return _reference_state(self.state_size, self.step_size, self.length)


@cache
def _reference_state(size: int, h: float, length: float) -> np.ndarray:
    grid = length * np.linspace(0, 1, size + 1)[1:]
    profile = torch.from_numpy(np.cos(grid / 16) * (1 + np.sin(grid / 16)))
    return KuramotoSivashinsky(size, h, length)._advance(profile, int(150 / h)).numpy()


@cache
def _coefficients(size: int, h: float, length: float, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, ...]:
    """`etd_coefficients` as tensors, kept where they are needed."""
    return tuple(torch.as_tensor(c).to(device, dtype) for c in etd_coefficients(size, h, length))


@cache
def _tables(precision: str, size: int, h: float, length: float) -> tuple:
    from mnmef.kernels.ks import make_tables

    return make_tables(precision, size, etd_coefficients(size, h, length))
