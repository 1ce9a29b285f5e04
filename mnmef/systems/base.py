"""Interface of every dynamical system: a forecast model and nothing else."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from mnmef.kernels import HAS_NUMBA


class System(ABC):
    """Discrete-time dynamical system.

    States are tensors `(..., Nx)` of either floating dtype on any device. Every method acts on the last axis;
    settings, trajectories and members are leading dimensions.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    state_size: int
    """Number of components Nx."""
    step_size: float
    """Model time units that one step spans."""
    has_compiled_steps: bool = False
    """True if `_advance_compiled` is there and worth its call."""
    is_stochastic: bool = False
    """True if steps draw random numbers: `step` then takes a second argument, a NumPy generator."""

    def check_constants(self, *names: str) -> None:
        """Raise ValueError for a constant that is not finite, and for a step size or length that is not positive."""
        for name in names:
            value, is_length = getattr(self, name), name in ("step_size", "length")
            if not math.isfinite(value) or (is_length and value <= 0):
                right = "a positive number" if is_length else "a finite number"
                raise ValueError(f"{name} of {self.title} must be {right}, not {value}")

    @abstractmethod
    def step(self, state: Tensor) -> Tensor:
        """Advance `state` (..., Nx) by `step_size`."""

    def initial_mean(self) -> np.ndarray | float:
        """Return the mean, broadcastable to (Nx,), of the states that `initial_states` draws."""
        return 0.0

    def initial_states(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draw `count` states (count, Nx) from N(`initial_mean`, I); a burn-in takes them to the attractor."""
        return self.initial_mean() + rng.standard_normal((count, self.state_size))

    def reference_state(self) -> np.ndarray:
        """Return the state (Nx,) from which DAPPER's model of the system starts."""
        raise NotImplementedError(f"DAPPER has no model of {self.title}")

    def dapper_step(self) -> Callable[..., Any] | None:
        """Return DAPPER's own step `(state, time, step_size) -> state`; None where it has none with these options."""
        return None

    def advance(
        self, state: Tensor, steps: int, precision: torch.dtype | None = None, rng: np.random.Generator | None = None
    ) -> Tensor:
        """Advance `state` (..., Nx) by a number of steps; keeps its dtype.

        Parameters
        ----------
        state : Tensor (..., Nx)
            States to start from.
        steps : int
            Number of steps.
        precision : dtype or None
            Of the arithmetic; that of the state by default.
        rng : numpy.random.Generator, optional
            Source of the random numbers of a stochastic system.

        Returns
        -------
        Tensor (..., Nx)
            By compiled steps on a CPU, if the system has them and no gradient is asked for.
        """
        precision = precision or state.dtype
        differentiated = torch.is_grad_enabled() and state.requires_grad
        if HAS_NUMBA and self.has_compiled_steps and state.device.type == "cpu" and not differentiated:
            rows = state.detach().reshape(-1, self.state_size).contiguous().numpy()
            result = np.empty_like(rows)
            self._advance_compiled(rows, result, steps, str(precision).removeprefix("torch."))
            return torch.from_numpy(result).view(state.shape)
        if not self.is_stochastic:
            return self._advance(state.to(precision), steps).to(state.dtype)
        random = state.to(precision)
        for _ in range(steps):
            random = self.step(random, rng)  # type: ignore[call-arg]
        return random.to(state.dtype)

    def _advance(self, state: Tensor, steps: int) -> Tensor:
        for _ in range(steps):
            state = self.step(state)
        return state

    def _advance_compiled(self, rows: np.ndarray, result: np.ndarray, steps: int, precision: str) -> None:
        """Advance `rows` (M, Nx) into `result` (M, Nx), computed in `precision`, such as "float32"."""
        raise NotImplementedError


def runge_kutta_4(tendency: Callable[[Tensor], Tensor], state: Tensor, step_size: float) -> Tensor:
    """Take one classical fourth-order Runge-Kutta step of `d state / dt = tendency(state)`."""
    k1 = tendency(state)
    k2 = tendency(state + 0.5 * step_size * k1)
    k3 = tendency(state + 0.5 * step_size * k2)
    k4 = tendency(state + step_size * k3)
    return state + (step_size / 6.0) * (k1 + 2.0 * (k2 + k3) + k4)
