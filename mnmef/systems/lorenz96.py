"""Lorenz (1996), forty variables on a circle of latitude, every fourth one observed."""

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from mnmef.systems.base import System, runge_kutta_4

BLOCK = 2**16
"""Numbers advanced at a time on a CPU, so that they stay in its cache."""


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

    def _run_cycle(self, state: Tensor) -> Tensor:
        if torch.is_grad_enabled() and state.requires_grad:
            return super()._run_cycle(state)
        rows = state.reshape(-1, self.state_size)
        result = torch.empty_like(rows)
        block = BLOCK // self.state_size if rows.device.type == "cpu" else max(1, len(rows))
        for begin in range(0, len(rows), block):
            part = slice(begin, begin + block)
            result[part] = self._run_block(rows[part].T).T
        return result.view(state.shape)

    def _run_block(self, state: Tensor) -> Tensor:
        """Advance states (Nx, M) by one cycle: Runge-Kutta steps in place, in few passes over memory.

        Works on z = -x, whose tendency `-(z + (z_{i+1} - z_{i-2}) z_{i-1} + F)` takes two passes, the constant apart.
        """
        h, size = self.step_size, self.state_size
        # Two neighbors before the first component, one after the last.
        now, stage = state.new_empty(2, size + 3, state.shape[-1])
        k, half, total = state.new_empty(3, size, state.shape[-1])
        z, y = now[2:-1], stage[2:-1]

        def tendency(padded: Tensor) -> None:
            padded[:2], padded[-1] = padded[size : size + 2], padded[2]
            torch.sub(padded[3:], padded[:-3], out=k)
            torch.addcmul(padded[2:-1], k, padded[1:-2], out=k)

        z.copy_(state).neg_()
        for _ in range(self.steps_per_cycle):
            tendency(now)
            # k lacks the forcing, which enters with the point that the step starts from.
            torch.sub(z, 0.5 * h * self.forcing, out=half)
            z.sub_(h * self.forcing)
            torch.sub(z, k, alpha=h / 6, out=total)
            torch.sub(half, k, alpha=h / 2, out=y)
            tendency(stage)
            total.sub_(k, alpha=h / 3)
            torch.sub(half, k, alpha=h / 2, out=y)
            tendency(stage)
            total.sub_(k, alpha=h / 3)
            torch.sub(z, k, alpha=h, out=y)
            tendency(stage)
            torch.sub(total, k, alpha=h / 6, out=z)
        return z.neg()

    def initial_states(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draw `count` states from N(5, I)."""
        return 5.0 + rng.standard_normal((count, self.state_size))
