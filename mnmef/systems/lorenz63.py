"""Lorenz (1963): three variables."""

from collections.abc import Callable
from importlib import import_module
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from mnmef.systems.base import System, runge_kutta_4


class Lorenz63(System):
    """`x' = s (y - x), y' = r x - y - x z, z' = x y - b z` with s = 10, r = 28, b = 8/3."""

    name: ClassVar[str] = "lorenz63"
    title: ClassVar[str] = "Lorenz '63"
    state_size = 3
    has_compiled_steps = True

    def __init__(
        self, sigma: float = 10.0, rho: float = 28.0, beta: float = 8.0 / 3.0, step_size: float = 0.03
    ) -> None:
        self.sigma, self.rho, self.beta, self.step_size = sigma, rho, beta, step_size
        self.check_constants("sigma", "rho", "beta", "step_size")

    def tendency(self, state: Tensor) -> Tensor:
        """Time derivative (..., 3) of `state` (..., 3)."""
        x, y, z = state.unbind(-1)
        derivative = self.sigma * (y - x), x * (self.rho - z) - y, torch.addcmul(-self.beta * z, x, y)
        return torch.stack(derivative, -1)

    def step(self, state: Tensor) -> Tensor:
        """Advance `state` (..., 3) by one Runge-Kutta step."""
        return runge_kutta_4(self.tendency, state, self.step_size)

    def _advance_compiled(self, rows: np.ndarray, result: np.ndarray, steps: int, precision: str) -> None:
        from mnmef.kernels.lorenz import lorenz63_cycle

        h = self.step_size
        constants = np.array([self.sigma, self.rho, self.beta, h, h / 2, h / 3, h / 6], dtype=precision)
        lorenz63_cycle(rows, result, steps, constants)

    def dapper_step(self) -> Callable[..., Any] | None:
        """Return DAPPER's step, which has the usual constants alone."""
        is_usual = (self.sigma, self.rho, self.beta) == (10.0, 28.0, 8.0 / 3.0)
        return import_module("dapper.mods.Lorenz63").step if is_usual else None

    def reference_state(self) -> np.ndarray:
        """Return a state near the attractor."""
        return np.array([1.509, -1.531, 25.46])
