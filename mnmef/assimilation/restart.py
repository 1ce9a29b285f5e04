"""Members that `assimilate` keeps beside moments, and the restart of a run from what it saved."""

import json
import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from mnmef.core.errors import positive_number, unknown_name, whole_number
from mnmef.experiments.experiment import Experiment
from mnmef.filters.base import CycleResult, Draws, Filter, parts_of
from mnmef.filters.particle import ParticleFilter
from mnmef.filters.static import Static
from mnmef.io.files import variable

SAVED = ("moments", "members", "innovations")
"""Parts of the result of `assimilate`; moments are always among them."""
STREAM = "random_stream_"
"""Begin of the names of variables with the states of random streams."""


class Members:
    """Callback of `run_filter` that keeps the analysis members of its first trajectory, of each cycle or the last, and
    what the next cycle starts from: what the filter carries, the states of its random streams, and the number of
    forecasts with random numbers so far.
    """

    def __init__(self, filter_: Filter, experiment: Experiment, *, all_cycles: bool) -> None:
        self.filter, self.experiment, self.all_cycles = filter_, experiment, all_cycles
        self.kept: list[np.ndarray] = []
        self.carry: Any = None
        self.states: list[np.ndarray] = []

    def __call__(self, k: int, result: CycleResult, truth: Tensor) -> None:
        """Keep cycle k."""
        if not self.all_cycles:
            self.kept.clear()
        self.kept.append(result.analysis[0].cpu().numpy().copy())
        self.carry = None if result.carry is result.analysis else result.carry
        self.states = [_state(stream) for stream in random_streams(self.filter)]

    def carried(self) -> dict[str, Any]:
        """Return the variables from which the next cycle starts beside the analysis.

        `carried`: ensembles (part, carried_member, state), weights of members repeated along the state, and numbers as
        an attribute; none where the next cycle starts from the analysis, or from other things. `random_stream_0` and so
        on: the bytes of the state of each random stream of the filter. `forecasts`: the number of those with random
        numbers.
        """
        text = "state of a random stream of the filter"
        names = [f"{STREAM}{k}" for k in range(len(self.states))]
        states = {name: variable(f"{name}_byte", state, text) for name, state in zip(names, self.states, strict=True)}
        if self.experiment.seeds is not None:
            done = self.experiment.seeds.n_children_spawned
            states["forecasts"] = variable((), done, "forecasts with random numbers so far", None)
        parts = _as_tuple(self.carry)
        tensors = [part for part in parts if isinstance(part, Tensor)]
        numbers = [part for part in parts if isinstance(part, int)]
        is_whole = len(tensors) + len(numbers) == len(parts) and tensors and {part.ndim for part in tensors} == {3}
        if not is_whole:
            return states
        text = "what the next cycle starts from, in place of the analysis"
        values = torch.cat(torch.broadcast_tensors(*tensors)).cpu().numpy()
        dims, values, attributes = variable(("part", "carried_member", "state"), values, text)
        return states | {"carried": (dims, values, attributes | ({"numbers": numbers} if numbers else {}))}


def parts_to_save(save: str | Collection[str]) -> set[str]:
    """Return the parts that `save` names; `ValueError` for a part that is none."""
    parts = set(save) if isinstance(save, Collection) and not isinstance(save, str) else {save}
    for part in parts - set(SAVED):
        raise ValueError(unknown_name("part to save", part, SAVED))
    return parts


def assumed_noise(filter_: Filter) -> float:
    """Return the sigma_y of a filter, for its innovations; `ValueError` without one or without a forecast ensemble."""
    if isinstance(filter_, ParticleFilter | Static):
        raise ValueError(f"innovations need a forecast ensemble of equal weights, which {filter_.name} does not have")
    levels = (getattr(part, "sigma_y", None) for part in parts_of(filter_))
    sigma_y = next((level for level in levels if level is not None), None)
    return positive_number(f"sigma_y of {filter_.name}, which innovations need,", sigma_y)


class Resumed(Filter):
    """A filter that goes on from the result of an earlier run: from its variable `carried`, if it has one, and from the
    states of its random streams.
    """

    name: ClassVar[str] = "resumed"

    def __init__(self, inner: Filter, saved: xr.Dataset) -> None:
        self.inner, self.saved, self.made_for = inner, saved, inner.made_for
        self.name, self.needs_noise = inner.name, inner.needs_noise  # type: ignore[misc]

    def start(self, ensemble: Tensor) -> Any:
        """Return what the filter carried; `ValueError` if it is not of the form that this filter starts from."""
        for k, stream in enumerate(random_streams(self.inner)):
            _set_state(stream, self.saved[f"{STREAM}{k}"].values)
        start = self.inner.start(ensemble)
        if "carried" not in self.saved:
            return start
        carried = self.saved["carried"]
        values = torch.from_numpy(carried.values).to(ensemble)
        numbers = np.atleast_1d(carried.attrs.get("numbers", [])).tolist()
        shapes = [part.shape[-2:] for part in _as_tuple(start) if isinstance(part, Tensor)]
        whole_shapes = [torch.broadcast_shapes(*shapes)] * len(shapes)
        if whole_shapes != [part.shape for part in values] or len(shapes) + len(numbers) != len(_as_tuple(start)):
            right, count = ", ".join(str(tuple(shape)) for shape in shapes), len(_as_tuple(start)) - len(shapes)
            raise ValueError(
                f"first_ensemble: `carried` has the shape {tuple(values.shape)} and the numbers {numbers}, which are "
                f"of another filter or size: {self.name} goes on from {right} and {count} numbers"
            )
        tensors, whole = iter(values), iter(numbers)
        parts = [
            next(tensors)[None, : part.shape[-2], : part.shape[-1]].contiguous()
            if isinstance(part, Tensor)
            else next(whole)
            for part in _as_tuple(start)
        ]
        return tuple(parts) if isinstance(start, tuple) else parts[0]

    def cycle(self, carry: Any, observation: Tensor, experiment: Experiment, noise: Draws = None) -> CycleResult:
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


def warn_of_change(saved: xr.Dataset | None, filter_name: str, seed: int) -> None:
    """Warn where a run goes on with another filter or seed: it does not end as one that was not cut."""
    for key, now in {"filter": filter_name, "seed": str(seed)}.items():
        before = now if saved is None else str(saved.attrs.get(key, now))
        if before != now:
            warnings.warn(
                f"first_ensemble is the result of a run with {key} = {before}, and this one has {key} = {now}: it goes "
                "on from that ensemble, but not with the bits of one run",
                stacklevel=3,
            )


def forecasts_done(first_cycle: int, saved: xr.Dataset | None) -> int:
    """Return how many forecasts with random numbers an earlier run has made: of most filters, one a cycle."""
    return first_cycle if saved is None else int(saved.get("forecasts", first_cycle))


def going_on(filter_: Filter, first: np.ndarray, first_cycle: int, saved: xr.Dataset | None) -> Filter:
    """Return the filter that goes on after some cycles; `ValueError` if it needs more than there is."""
    ensemble = torch.from_numpy(first)
    if first_cycle == 0:
        return filter_
    streams = {f"{STREAM}{k}" for k in range(len(random_streams(filter_)))}
    given = set() if saved is None else {str(name) for name in saved.data_vars}
    needed = streams | (set() if filter_.start(ensemble) is ensemble else {"carried"})
    if needed - given:
        lacks = "an array has not" if saved is None else f"{_source(saved)} has not, of an earlier version or filter"
        raise ValueError(
            f"{filter_.name} carries more than its last ensemble (a window, a mean, weights or random numbers of its "
            "own) from cycle to cycle: first_ensemble must be the whole result of its earlier run, with the variable "
            f"`{min(needed - given)}`, which {lacks}. Or begin anew from the ensemble, with first_cycle 0"
        )
    others = {name for name in given if name.startswith(STREAM)} - streams
    if saved is not None and others:
        raise ValueError(f"{_source(saved)} has `{min(others)}`, of another filter: {filter_.name} has no such stream")
    return filter_ if saved is None else Resumed(filter_, saved)


def random_streams(part: Any) -> list[torch.Generator | np.random.Generator]:
    """Return the random generators of a filter and of its parts, in the order in which these were made."""
    if isinstance(part, torch.Generator | np.random.Generator):
        return [part]
    if isinstance(part, Filter) or hasattr(part, "generator"):
        return [stream for each in vars(part).values() for stream in random_streams(each)]
    return []


@contextmanager
def unchanged_streams(filter_: Filter) -> Iterator[None]:
    """Leave the random streams of a filter as they were, so that the same run again has the same bits."""
    streams = random_streams(filter_)
    states = [_state(stream) for stream in streams]
    try:
        yield
    finally:
        for stream, state in zip(streams, states, strict=True):
            _set_state(stream, state)


def _state(stream: torch.Generator | np.random.Generator) -> np.ndarray:
    """Return the state of a random stream as bytes."""
    if isinstance(stream, torch.Generator):
        return stream.get_state().numpy()
    return np.frombuffer(json.dumps(stream.bit_generator.state, default=np.ndarray.tolist).encode(), dtype=np.uint8)


def _set_state(stream: torch.Generator | np.random.Generator, state: np.ndarray) -> None:
    """Set the state of a random stream; `ValueError` for one of another kind."""
    try:
        if isinstance(stream, torch.Generator):
            stream.set_state(torch.from_numpy(state.copy()))
        else:
            stream.bit_generator.state = json.loads(state.tobytes())
    except (RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"first_ensemble has a random stream of another kind: {error}") from error


def _source(saved: xr.Dataset) -> str:
    """Return the file of the result of an earlier run, if it is known."""
    return str(saved.encoding.get("source", "first_ensemble"))


def _as_tuple(carry: Any) -> tuple[Any, ...]:
    """Return what a filter carries as a tuple."""
    return carry if isinstance(carry, tuple) else (carry,)


def advance(draw: Callable[[], Tensor], cycles: int) -> Callable[[], Tensor]:
    """Return `draw` after the draws of some cycles."""
    for _ in range(cycles):
        draw()
    return draw
