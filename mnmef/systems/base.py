"""What every dynamical system of a twin experiment has to provide."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property
from importlib.util import find_spec
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

HAS_NUMBA = find_spec("numba") is not None
"""Without numba, as on many a machine with a GPU, a CPU takes the same steps by array operations."""


class System(ABC):
    """A discrete-time dynamical system observed through a subset of its components.

    States are tensors `(..., Nx)` of either floating dtype on any device; every method acts on the last axis, so that
    trajectories, hyperparameter settings and members are all just leading dimensions.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    state_size: int
    observed: tuple[int, ...]
    step_size: ClassVar[float]
    steps_per_cycle: ClassVar[int]
    clamp: ClassVar[float]
    """Bound on the absolute value of an analysis component of a learned filter (METHOD: +-60, +-20, +-10)."""
    first_spread: ClassVar[float]
    """Standard deviation of the first ensemble about the truth."""
    burn_in_time: ClassVar[float]
    """Time units after which a trajectory started from `initial_states` is taken to be on the attractor."""
    model_dtype: torch.dtype | None = None
    """Precision in which the dynamics are computed, whatever the dtype of the state; None for the state's own.

    Single precision halves the cost of a forecast and is far below the model error of any real system, while the
    analyses of iterative filters need double precision: computed in single precision they diverge where they should
    not.
    """
    has_compiled_cycle: ClassVar[bool] = False
    """Whether `_run_compiled` is there."""
    is_periodic: ClassVar[bool]
    """Whether components are grid points of a periodic domain (cyclic distances and localization make sense)."""

    @property
    def observation_size(self) -> int:
        """Number of observed components, d."""
        return len(self.observed)

    @property
    def cycle_length(self) -> float:
        """Time units between observations."""
        return self.step_size * self.steps_per_cycle

    @abstractmethod
    def step(self, state: Tensor) -> Tensor:
        """Advance `state` (..., Nx) by `step_size`."""

    @abstractmethod
    def initial_states(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draw `count` states (count, Nx) from which a burn-in leads to the attractor."""

    def propagate(self, state: Tensor) -> Tensor:
        """Advance `state` (..., Nx) from one observation time to the next, in the precision `model_dtype`; keeps the
        dtype.

        On a CPU by the compiled cycle, if the system has one and no gradient is asked for.
        """
        precision = self.model_dtype or state.dtype
        differentiated = torch.is_grad_enabled() and state.requires_grad
        if HAS_NUMBA and self.has_compiled_cycle and state.device.type == "cpu" and not differentiated:
            rows = state.detach().reshape(-1, self.state_size).contiguous().numpy()
            result = np.empty_like(rows)
            self._run_compiled(rows, result, str(precision).removeprefix("torch."))
            return torch.from_numpy(result).view(state.shape)
        return self._run_cycle(state.to(precision)).to(state.dtype)

    def _run_cycle(self, state: Tensor) -> Tensor:
        for _ in range(self.steps_per_cycle):
            state = self.step(state)
        return state

    def _run_compiled(self, rows: np.ndarray, result: np.ndarray, precision: str) -> None:
        """Advance `rows` (M, Nx) by a cycle into `result` (M, Nx), computed in `precision`, such as "float32"."""
        raise NotImplementedError

    def observe(self, state: Tensor) -> Tensor:
        """The observation operator H: the observed components (..., d) of `state` (..., Nx); a view where they are
        evenly spaced.
        """
        return state[..., self._places or self.observation_index(state.device)]

    @cached_property
    def _places(self) -> slice | None:
        """Where the observed components are, if they are evenly spaced."""
        first, *others = self.observed
        step = others[0] - first if others else 1
        last = self.observed[-1]
        return slice(first, last + 1, step) if self.observed == tuple(range(first, last + 1, step)) else None

    def observation_index(self, device: torch.device | str = "cpu") -> Tensor:
        """Indices (d,) of the observed components."""
        return torch.tensor(self.observed, device=device)

    def distances(self) -> np.ndarray:
        """Cyclic distances (Nx, d), in grid points, from every component to every observed component.

        Raises `ValueError` for a system without a spatial grid.
        """
        if not self.is_periodic:
            raise ValueError(f"{self.title} has no spatial grid, so there is no distance to localize with")
        gap = np.abs(np.arange(self.state_size)[:, None] - np.array(self.observed)[None, :])
        return np.minimum(gap, self.state_size - gap)


def runge_kutta_4(tendency: Callable[[Tensor], Tensor], state: Tensor, step_size: float) -> Tensor:
    """One classical fourth-order Runge-Kutta step of `d state / dt = tendency(state)`."""
    k1 = tendency(state)
    k2 = tendency(state + 0.5 * step_size * k1)
    k3 = tendency(state + 0.5 * step_size * k2)
    k4 = tendency(state + step_size * k3)
    return state + (step_size / 6.0) * (k1 + 2.0 * (k2 + k3) + k4)
