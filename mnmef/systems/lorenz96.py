"""Lorenz (1996), forty variables on a circle of latitude, every fourth one observed."""

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from mnmef.systems.base import System, runge_kutta_4


class Lorenz96(System):
    """`x_i' = (x_{i+1} - x_{i-2}) x_{i-1} - x_i + F`, indices cyclic, F = 8."""

    name: ClassVar[str] = "lorenz96"
    title: ClassVar[str] = "Lorenz '96"
    step_size: ClassVar[float] = 0.03
    steps_per_cycle: ClassVar[int] = 5
    clamp: ClassVar[float] = 20.0
    first_spread: ClassVar[float] = 1.0
    burn_in_time: ClassVar[float] = 30.0
    is_periodic: ClassVar[bool] = True
    has_compiled_cycle: ClassVar[bool] = True

    def __init__(self, state_size: int = 40, forcing: float = 8.0) -> None:
        if state_size % 4:
            raise ValueError(f"state_size must be a multiple of 4 (every fourth component observed), not {state_size}")
        self.state_size = state_size
        self.forcing = forcing
        self.observed = tuple(range(0, state_size, 4))

    def tendency(self, state: Tensor) -> Tensor:
        """Time derivative (..., Nx) of `state` (..., Nx)."""
        # One padded copy and three views of it: cheaper than three rolls.
        padded = torch.cat((state[..., -2:], state, state[..., :1]), -1)
        return (padded[..., 3:] - padded[..., :-3]) * padded[..., 1:-2] - state + self.forcing

    def step(self, state: Tensor) -> Tensor:
        """Advance `state` (..., Nx) by one Runge-Kutta step."""
        return runge_kutta_4(self.tendency, state, self.step_size)

    def _run_compiled(self, rows: np.ndarray, result: np.ndarray, precision: str) -> None:
        from mnmef.kernels.lorenz96 import LANES, lorenz96_cycle

        if self.state_size < LANES:  # a row is shorter than a vector
            result[...] = self._run_cycle(torch.from_numpy(rows).to(getattr(torch, precision))).numpy()
            return
        h = self.step_size
        constants = np.array([self.forcing, h, h / 2, h / 3, h / 6], dtype=precision)
        lorenz96_cycle(rows, result, self.steps_per_cycle, constants)

    def initial_states(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draw `count` states from N(5, I)."""
        return 5.0 + rng.standard_normal((count, self.state_size))
