"""Members that `assimilate` keeps beside moments, and the restart of a run from its last ensemble."""

from collections.abc import Callable, Collection

import numpy as np
import torch
from torch import Tensor

from mnmef.core.errors import positive_number, unknown_name, whole_number
from mnmef.filters.base import CycleResult, Filter
from mnmef.filters.particle import ParticleFilter
from mnmef.filters.static import Static

SAVED = ("moments", "members", "innovations")
"""Parts of the result of `assimilate`; moments are always among them."""


class Members:
    """Callback of `run_filter` that keeps the analysis members of its first trajectory, of each cycle or the last."""

    def __init__(self, *, all_cycles: bool) -> None:
        self.all_cycles = all_cycles
        self.kept: list[np.ndarray] = []

    def __call__(self, k: int, result: CycleResult, truth: Tensor) -> None:
        """Keep cycle k."""
        if not self.all_cycles:
            self.kept.clear()
        self.kept.append(result.analysis[0].cpu().numpy().copy())


def parts_to_save(save: str | Collection[str]) -> set[str]:
    """Return the parts that `save` names; `ValueError` for a part that is none."""
    parts = {save} if isinstance(save, str) else set(save)
    for part in sorted(parts - set(SAVED)):
        raise ValueError(unknown_name("part to save", part, SAVED))
    return parts


def assumed_noise(filter_: Filter) -> float:
    """Return the sigma_y of a filter, for its innovations; `ValueError` without one or without a forecast ensemble."""
    if isinstance(filter_, ParticleFilter | Static):
        raise ValueError(f"innovations need a forecast ensemble of equal weights, which {filter_.name} does not have")
    sigma_y = getattr(getattr(filter_, "inner", filter_), "sigma_y", None)
    return positive_number(f"sigma_y of {filter_.name}, which innovations need,", sigma_y)


def checked_restart(filter_: Filter, first: np.ndarray, first_cycle: int) -> int:
    """Return the number of cycles done; `ValueError` if a filter needs more than an ensemble (N, Nx) to go on."""
    ensemble, generators = torch.from_numpy(first), (torch.Generator, np.random.Generator)
    parts = (filter_, *vars(filter_).values())
    if whole_number("first_cycle", first_cycle, 0) == 0:
        return 0
    if filter_.start(ensemble) is not ensemble:
        held = "more than its last ensemble (a window, weights or a mean)"
    elif any(isinstance(part, generators) or hasattr(part, "generator") for part in parts):
        held = "a random stream of its own"
    else:
        return first_cycle
    raise ValueError(
        f"{filter_.name} carries {held} from cycle to cycle, so that first_cycle must be 0: give it all observations "
        "in one call, or begin anew from the ensemble"
    )


def advance(draw: Callable[[], Tensor], cycles: int) -> Callable[[], Tensor]:
    """Return `draw` after the draws of some cycles."""
    for _ in range(cycles):
        draw()
    return draw
