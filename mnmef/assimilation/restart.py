"""Members that `assimilate` keeps beside moments, and the restart of a run from what it saved."""

from collections.abc import Callable, Collection
from typing import Any, ClassVar

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from mnmef.core.errors import positive_number, unknown_name, whole_number
from mnmef.experiments.experiment import Experiment
from mnmef.filters.base import CycleResult, Filter
from mnmef.filters.particle import ParticleFilter
from mnmef.filters.static import Static
from mnmef.io.files import variable

SAVED = ("moments", "members", "innovations")
"""Parts of the result of `assimilate`; moments are always among them."""


class Members:
    """Callback of `run_filter` that keeps the analysis members of its first trajectory, of each cycle or the last, and
    what the next cycle starts from.
    """

    def __init__(self, *, all_cycles: bool) -> None:
        self.all_cycles = all_cycles
        self.kept: list[np.ndarray] = []
        self.carry: Any = None

    def __call__(self, k: int, result: CycleResult, truth: Tensor) -> None:
        """Keep cycle k."""
        if not self.all_cycles:
            self.kept.clear()
        self.kept.append(result.analysis[0].cpu().numpy().copy())
        self.carry = None if result.carry is result.analysis else result.carry

    def carried(self) -> dict[str, Any]:
        """Return the variable `carried`: ensembles (part, carried_member, state) beside the analysis from which the
        next cycle starts, and numbers as an attribute. Nothing where it starts from the analysis, or from other things.
        """
        parts = _as_tuple(self.carry)
        tensors = [part for part in parts if isinstance(part, Tensor)]
        numbers = [part for part in parts if isinstance(part, int)]
        is_whole = len(tensors) + len(numbers) == len(parts) and len({part.shape for part in tensors}) == 1
        if not is_whole or tensors[0].ndim != 3:
            return {}
        text = "what the next cycle starts from, in place of the analysis"
        dims, values, attributes = variable(("part", "carried_member", "state"), torch.cat(tensors).cpu().numpy(), text)
        return {"carried": (dims, values, attributes | ({"numbers": numbers} if numbers else {}))}


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


class Resumed(Filter):
    """A filter that goes on from what it carried at the end of an earlier run, the variable `carried` of its result."""

    name: ClassVar[str] = "resumed"

    def __init__(self, inner: Filter, carried: xr.DataArray) -> None:
        self.inner, self.carried, self.made_for = inner, carried, inner.made_for
        self.name, self.needs_noise = inner.name, inner.needs_noise  # type: ignore[misc]

    def start(self, ensemble: Tensor) -> Any:
        """Return what the filter carried; `ValueError` if it is not of the form that this filter starts from."""
        start = self.inner.start(ensemble)
        values = torch.from_numpy(self.carried.values).to(ensemble)
        numbers = np.atleast_1d(self.carried.attrs.get("numbers", [])).tolist()
        shapes = [part.shape[-2:] for part in _as_tuple(start) if isinstance(part, Tensor)]
        if shapes != [part.shape for part in values] or len(shapes) + len(numbers) != len(_as_tuple(start)):
            right, count = ", ".join(str(tuple(shape)) for shape in shapes), len(_as_tuple(start)) - len(shapes)
            raise ValueError(
                f"first_ensemble: `carried` has the shape {tuple(values.shape)} and the numbers {numbers}, which are "
                f"of another filter or size: {self.name} goes on from {right} and {count} numbers"
            )
        tensors, whole = iter(values), iter(numbers)
        parts = [next(tensors)[None] if isinstance(part, Tensor) else next(whole) for part in _as_tuple(start)]
        return tuple(parts) if isinstance(start, tuple) else parts[0]

    def cycle(
        self, carry: Any, observation: Tensor, experiment: Experiment, noise: Tensor | None = None
    ) -> CycleResult:
        """Run a cycle of the inner filter (see `Filter.cycle`)."""
        return self.inner.cycle(carry, observation, experiment, noise)


def earlier_run(first_ensemble: Any, first_cycle: int, experiment: Experiment) -> tuple[Any, int, xr.Dataset | None]:
    """Return first ensemble, number of cycles done and, where that is what was given, the result of an earlier run.

    `ValueError` for another number of cycles than those of the earlier run, and for one of another experiment.
    """
    first_cycle, saved = whole_number("first_cycle", first_cycle, 0), first_ensemble
    if not (isinstance(saved, xr.Dataset) and "last_ensemble" in saved and saved.sizes.get("cycle")):
        return first_ensemble, first_cycle, None
    done, name = int(saved["cycle"][-1]), saved.attrs.get("experiment", experiment.name)
    if name != experiment.name:
        raise ValueError(f"{_source(saved)} is a run of the experiment {name}, not of {experiment.name}")
    if first_cycle not in (0, done):
        raise ValueError(f"first_cycle = {first_cycle}, but {_source(saved)} ends with cycle {done}; leave it out")
    return saved["last_ensemble"], done, saved


def going_on(filter_: Filter, first: np.ndarray, first_cycle: int, saved: xr.Dataset | None) -> Filter:
    """Return the filter that goes on after some cycles; `ValueError` if it needs more than there is."""
    ensemble = torch.from_numpy(first)
    if first_cycle == 0:
        return filter_
    if _draws(filter_):
        raise ValueError(
            f"{filter_.name} carries a random stream of its own from cycle to cycle, so that first_cycle must be 0: "
            "give it all observations in one call, or begin anew from the ensemble"
        )
    if saved is not None and "carried" in saved:
        return Resumed(filter_, saved["carried"])
    if filter_.start(ensemble) is not ensemble:
        lacks = "an array has not" if saved is None else f"{_source(saved)} has not, of an earlier version or filter"
        raise ValueError(
            f"{filter_.name} carries more than its last ensemble (a window or a mean) from cycle to cycle: "
            f"first_ensemble must be the whole result of its earlier run, with the variable `carried`, which {lacks}. "
            "Or begin anew from the ensemble, with first_cycle 0"
        )
    return filter_


def _source(saved: xr.Dataset) -> str:
    """Return the file of the result of an earlier run, if it is known."""
    return str(saved.encoding.get("source", "first_ensemble"))


def _as_tuple(carry: Any) -> tuple[Any, ...]:
    """Return what a filter carries as a tuple."""
    return carry if isinstance(carry, tuple) else (carry,)


def _draws(part: Any) -> bool:
    """Say whether a filter, or a part of one, has a random stream of its own."""
    if isinstance(part, torch.Generator | np.random.Generator) or hasattr(part, "generator"):
        return True
    return isinstance(part, Filter) and any(map(_draws, vars(part).values()))


def advance(draw: Callable[[], Tensor], cycles: int) -> Callable[[], Tensor]:
    """Return `draw` after the draws of some cycles."""
    for _ in range(cycles):
        draw()
    return draw
