"""Process noise: Gaussian noise that is added to a state by the truth and by every forecast."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

TIMES = ("per_step", "per_cycle")
"""When it is added."""


class ProcessNoise:
    """Independent Gaussian noise of every component.

    Parameters
    ----------
    options : mapping
        `per_step` or `per_cycle`: its standard deviation, a number or one for each component, state units.
    state_size : int
        Number of components Nx.

    Raises
    ------
    ValueError
        For both or neither, and for what are no standard deviations.
    """

    def __init__(self, options: Mapping[str, Any], state_size: int) -> None:
        if len(options) != 1 or not set(options) <= set(TIMES):
            raise ValueError(f"process_noise = {dict(options)}: give either per_step or per_cycle")
        [(self.when, given)] = options.items()
        deviation = np.asarray(given, dtype=np.float64)
        if deviation.shape not in ((), (state_size,)) or not (np.isfinite(deviation) & (deviation >= 0)).all():
            raise ValueError(
                f"process_noise.{self.when} = {given}: must be a standard deviation of at least 0, or {state_size} of "
                "them, one for each component"
            )
        self.deviation = deviation

    def add(self, state: Tensor, rng: np.random.Generator) -> Tensor:
        """Return states (..., Nx) with noise of their own."""
        draws = self.deviation * rng.standard_normal(state.shape)
        return state + torch.from_numpy(draws).to(state)
