"""The linear-Gaussian system of figure C.13, for which the exact filter is known; no system of the headline figures."""

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from mnmef.systems.base import System


class LinearGaussian(System):
    """`v <- A v + sigma_v xi` with `xi ~ N(0, I)` and A orthogonal, so that its eigenvalues lie on the unit circle;
    every other component is observed, and v starts from N(0, I).

    Each call of `step` draws process noise for every state that it is given from `generator`, on the CPU: a truth and
    the members of an ensemble have their own. `transition` is A (Nx, Nx): planes, in a basis drawn from `rng`, are
    turned by angles drawn from it. state_size: even. sigma_v: standard deviation of the process noise, state units.
    """

    name: ClassVar[str] = "linear_gaussian"
    title: ClassVar[str] = "linear-Gaussian system"
    step_size: ClassVar[float] = 1.0
    steps_per_cycle: ClassVar[int] = 1
    clamp: ClassVar[float] = 20.0
    first_spread: ClassVar[float] = 1.0
    burn_in_time: ClassVar[float] = 0.0
    is_periodic: ClassVar[bool] = False

    def __init__(
        self, state_size: int, sigma_v: float, rng: np.random.Generator, generator: torch.Generator | None = None
    ) -> None:
        if state_size % 2:
            raise ValueError(f"state_size must be even (planes are turned, half is observed), not {state_size}")
        if sigma_v < 0:
            raise ValueError(f"sigma_v must not be negative, but is {sigma_v}")
        self.state_size, self.sigma_v, self.generator = state_size, sigma_v, generator
        self.observed = tuple(range(0, state_size, 2))
        self.transition = _rotation(state_size, rng)

    def step(self, state: Tensor) -> Tensor:
        """Advance `state` (..., Nx) by one cycle, each with noise of its own."""
        moved = state @ torch.from_numpy(self.transition.T).to(state)
        noise = torch.randn(state.shape, generator=self.generator, dtype=state.dtype)
        return moved + self.sigma_v * noise.to(state.device)

    def initial_states(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draw `count` states from N(0, I)."""
        return rng.standard_normal((count, self.state_size))


def _rotation(size: int, rng: np.random.Generator) -> np.ndarray:
    """An orthogonal matrix with `size` / 2 random pairs of eigenvalues `exp(+-i angle)`."""
    turned = np.zeros((size, size))
    for first, angle in zip(range(0, size, 2), rng.uniform(0, np.pi, size // 2), strict=True):
        plane = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        turned[first : first + 2, first : first + 2] = plane
    basis, _ = np.linalg.qr(rng.standard_normal((size, size)))
    return basis @ turned @ basis.T
