"""Lorenz (1963), three variables, the first one observed."""

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from mnmef.systems.base import System, runge_kutta_4


class Lorenz63(System):
    """`x' = s (y - x), y' = r x - y - x z, z' = x y - b z` with s = 10, r = 28, b = 8/3."""

    name: ClassVar[str] = "lorenz63"
    title: ClassVar[str] = "Lorenz '63"
    step_size: ClassVar[float] = 0.03
    steps_per_cycle: ClassVar[int] = 5
    clamp: ClassVar[float] = 60.0
    first_spread: ClassVar[float] = 0.1
    burn_in_time: ClassVar[float] = 30.0
    is_periodic: ClassVar[bool] = False
    has_compiled_cycle: ClassVar[bool] = True

    sigma: ClassVar[float] = 10.0
    rho: ClassVar[float] = 28.0
    beta: ClassVar[float] = 8.0 / 3.0

    def __init__(self) -> None:
        self.state_size = 3
        self.observed = (0,)

    def tendency(self, state: Tensor) -> Tensor:
        """Time derivative (..., 3) of `state` (..., 3)."""
        x, y, z = state.unbind(-1)
        derivative = self.sigma * (y - x), x * (self.rho - z) - y, torch.addcmul(-self.beta * z, x, y)
        return torch.stack(derivative, -1)

    def step(self, state: Tensor) -> Tensor:
        """Advance `state` (..., 3) by one Runge-Kutta step."""
        return runge_kutta_4(self.tendency, state, self.step_size)

    def _run_compiled(self, rows: np.ndarray, result: np.ndarray, precision: str) -> None:
        from mnmef.kernels.lorenz63 import lorenz63_cycle

        h = self.step_size
        constants = np.array([self.sigma, self.rho, self.beta, h, h / 2, h / 3, h / 6], dtype=precision)
        lorenz63_cycle(rows, result, self.steps_per_cycle, constants)

    def initial_states(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draw `count` states from N(0, I)."""
        return rng.standard_normal((count, self.state_size))
