"""Lorenz (1996) with two scales: slow variables on a circle of latitude, each with fast ones below it."""

from collections.abc import Callable
from importlib import import_module
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from mnmef.systems.base import System, runge_kutta_4


class Lorenz96TwoScale(System):
    """Slow `x_i' = (x_{i+1} - x_{i-2}) x_{i-1} - x_i + F - (h c / b) sum_j y_ij` and fast
    `y_k' = c b (y_{k-1} - y_{k+2}) y_{k+1} - c y_k + (h c / b) x_i(k)`, indices cyclic, k counting all fast variables.

    The state is that of the slow variables, then of the fast ones, J for each.
    """

    name: ClassVar[str] = "lorenz96_twoscale"
    title: ClassVar[str] = "two-scale Lorenz '96"

    def __init__(
        self,
        slow: int = 40,
        fast: int = 10,
        forcing: float = 10.0,
        coupling: float = 1.0,
        amplitude_ratio: float = 10.0,
        time_ratio: float = 10.0,
        step_size: float = 0.005,
    ) -> None:
        if slow < 4 or fast < 1:
            raise ValueError(f"slow must be at least 4 and fast at least 1, not {slow} and {fast}")
        self.slow, self.fast, self.state_size = slow, fast, slow * (1 + fast)
        self.forcing, self.coupling, self.step_size = forcing, coupling, step_size
        self.amplitude_ratio, self.time_ratio = amplitude_ratio, time_ratio
        self.check_constants("forcing", "coupling", "amplitude_ratio", "time_ratio", "step_size")

    def tendency(self, state: Tensor) -> Tensor:
        """Time derivative (..., Nx) of `state` (..., Nx)."""
        x, y = state[..., : self.slow], state[..., self.slow :]
        exchange = self.coupling * self.time_ratio / self.amplitude_ratio
        drag = exchange * y.unflatten(-1, (self.slow, self.fast)).sum(-1)
        slow = (x.roll(-1, -1) - x.roll(2, -1)) * x.roll(1, -1) - x + self.forcing - drag
        advection = self.time_ratio * self.amplitude_ratio * (y.roll(1, -1) - y.roll(-2, -1)) * y.roll(-1, -1)
        fast = advection - self.time_ratio * y + exchange * x.repeat_interleave(self.fast, -1)
        return torch.cat((slow, fast), -1)

    def step(self, state: Tensor) -> Tensor:
        """Advance `state` (..., Nx) by one Runge-Kutta step."""
        return runge_kutta_4(self.tendency, state, self.step_size)

    def initial_states(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draw `count` states (count, Nx) from N(5, I) for slow and N(0, 0.1^2 I) for fast variables."""
        drawn = rng.standard_normal((count, self.state_size))
        return np.concatenate((5.0 + drawn[:, : self.slow], 0.1 * drawn[:, self.slow :]), -1)

    def dapper_step(self) -> Callable[..., Any]:
        """Return the step of DAPPER's model with the same constants."""
        model = import_module("dapper.mods.LorenzUV").model_instance(
            nU=self.slow, J=self.fast, F=self.forcing, h=self.coupling, b=self.amplitude_ratio, c=self.time_ratio
        )
        rk4 = import_module("dapper.mods.integration").rk4
        return lambda x, t, dt: rk4(lambda state, _: model.dxdt(state), x, np.nan, dt)

    def reference_state(self) -> np.ndarray:
        """Return the first unit vector."""
        return np.eye(1, self.state_size)[0]
