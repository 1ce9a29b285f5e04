"""The linear-Gaussian system of figure C.13, for which the exact filter is known."""

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from mnmef.core.devices import upload
from mnmef.systems.base import System


class LinearGaussian(System):
    """`v <- A v + sigma_v xi` with `xi ~ N(0, I)` and A orthogonal; v starts from N(0, I).

    Parameters
    ----------
    state_size : int
        Number of components Nx, even.
    sigma_v : float
        Standard deviation of the process noise, state units.
    rng : numpy.random.Generator
        Source of `transition`, A (Nx, Nx): a rotation of planes by random angles, in a random basis.
    generator : torch.Generator
        Source of the process noise, on the CPU; each call of `step` draws noise of its own for every state.
    """

    name: ClassVar[str] = "linear_gaussian"
    title: ClassVar[str] = "linear-Gaussian system"
    step_size = 1.0

    def __init__(
        self, state_size: int, sigma_v: float, rng: np.random.Generator, generator: torch.Generator | None = None
    ) -> None:
        if state_size % 2:
            raise ValueError(f"state_size must be even, since planes are turned, not {state_size}")
        if sigma_v < 0:
            raise ValueError(f"sigma_v must not be negative, but is {sigma_v}")
        self.state_size, self.sigma_v, self.generator = state_size, sigma_v, generator
        self.transition = _rotation(state_size, rng)

    def step(self, state: Tensor) -> Tensor:
        """Advance `state` (..., Nx) by one cycle, each with noise of its own."""
        moved = state @ upload(torch.from_numpy(self.transition.T).to(state.dtype), state.device)
        noise = torch.randn(state.shape, generator=self.generator, dtype=state.dtype)
        return moved + self.sigma_v * upload(noise, state.device)


def _rotation(size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw an orthogonal matrix with `size` / 2 random pairs of eigenvalues `exp(+-i angle)`."""
    turned = np.zeros((size, size))
    for first, angle in zip(range(0, size, 2), rng.uniform(0, np.pi, size // 2), strict=True):
        plane = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        turned[first : first + 2, first : first + 2] = plane
    basis, _ = np.linalg.qr(rng.standard_normal((size, size)))
    return basis @ turned @ basis.T
