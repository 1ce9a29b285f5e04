"""Lorenz (1996): variables on a circle of latitude."""

from collections.abc import Callable
from importlib import import_module
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from mnmef.systems.base import System, runge_kutta_4


class Lorenz96(System):
    """`x_i' = (x_{i+1} - x_{i-2}) x_{i-1} - x_i + F`, indices cyclic, F = 8."""

    name: ClassVar[str] = "lorenz96"
    title: ClassVar[str] = "Lorenz '96"
    has_compiled_steps = True

    def __init__(self, state_size: int = 40, forcing: float = 8.0, step_size: float = 0.03) -> None:
        if state_size < 4:
            raise ValueError(f"state_size must be at least 4, as the tendency has four neighbors, not {state_size}")
        self.state_size, self.forcing, self.step_size = state_size, forcing, step_size
        self.check_constants("forcing", "step_size")

    def tendency(self, state: Tensor) -> Tensor:
        """Time derivative (..., Nx) of `state` (..., Nx)."""
        # One padded copy and three views of it: cheaper than three rolls.
        padded = torch.cat((state[..., -2:], state, state[..., :1]), -1)
        return (padded[..., 3:] - padded[..., :-3]) * padded[..., 1:-2] - state + self.forcing

    def step(self, state: Tensor) -> Tensor:
        """Advance `state` (..., Nx) by one Runge-Kutta step."""
        return runge_kutta_4(self.tendency, state, self.step_size)

    def _advance_compiled(self, rows: np.ndarray, result: np.ndarray, steps: int, precision: str) -> None:
        from mnmef.kernels.lorenz import lorenz96_cycle

        h = self.step_size
        constants = np.array([self.forcing, h, h / 2, h / 3, h / 6], dtype=precision)
        lorenz96_cycle(rows, result, steps, constants)

    def initial_mean(self) -> float:
        """Return the mean of first states, 5 for each variable."""
        return 5.0

    def dapper_step(self) -> Callable[..., Any] | None:
        """Return DAPPER's step, which has the usual constants alone.

        Its module holds the forcing in a variable that a setting of DAPPER overwrites for all, and so it is given here.
        """
        if self.forcing != 8.0:
            return None
        model, rk4 = import_module("dapper.mods.Lorenz96"), import_module("dapper.mods.integration").rk4
        return lambda x, t, dt: rk4(lambda state, _: model.dxdt_autonomous(state) + 8.0, x, np.nan, dt)

    def reference_state(self) -> np.ndarray:
        """Return the first unit vector."""
        return np.eye(1, self.state_size)[0]
