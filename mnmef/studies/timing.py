"""Wall seconds of a cycle of every filter, forecast and analysis apart (figure 8 of arXiv 2504.17836).

A timing is a stretch of cycles of a twin experiment, on one thread of a CPU, or on a GPU. The forecast is the time in
the model; an iterative filter runs it several times, and all of these count as forecast. The analysis is what remains
of the cycle. Analysis noise is drawn before the clock starts.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any, cast

import pandas as pd
import torch
from torch import Tensor

from mnmef.core.seeds import torch_generator
from mnmef.filters.base import Filter
from mnmef.systems.base import System

Experiment = tuple[Tensor, Tensor]
"""First ensembles (B, N, Nx) and observations (B, K, d)."""


@dataclass(frozen=True)
class Plan:
    """Timings of each filter, how long one lasts in seconds, and trajectories of the batch beside a single one."""

    repeats: int
    seconds: float
    batch: int


class TimedSystem:
    """A system that adds up the seconds that its model takes; everything else is the system's."""

    def __init__(self, system: System, device: torch.device | str) -> None:
        self._system, self._device, self.seconds = system, device, 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._system, name)

    def propagate(self, state: Tensor) -> Tensor:
        """As the system's, with the clock running."""
        began = now(self._device)
        result = self._system.propagate(state)
        self.seconds += now(self._device) - began
        return result


def now(device: torch.device | str) -> float:
    """Seconds of the clock, once a GPU has done what it was given."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
    return perf_counter()


def tile(first: Tensor, observations: Tensor, batch: int) -> Experiment:
    """`batch` trajectories from those that there are, over and over."""
    index = torch.arange(batch) % len(first)
    return first[index], observations[index]


def cycles_for(seconds: float, each: float, most: int) -> int:
    """How many cycles last `seconds` where one takes `each`: at least one, at most `most`."""
    return max(1, min(math.ceil(seconds / max(each, 1e-9)), most))


def time_filter(
    make_filter: Callable[[], Filter],
    system: System,
    experiment: Experiment,
    plan: Plan,
    *,
    device: torch.device | str = "cpu",
    seed: int = 0,
) -> pd.DataFrame:
    """A row for each repeat: repeat, cycles, and the seconds of a cycle in forecast and analysis.

    The run starts over where observations end, or where an ensemble is no longer finite.
    """
    filter_ = make_filter()
    first, observations = (t.to(device) for t in experiment)
    timed = TimedSystem(system, device)
    generator = torch_generator(seed, "timing", filter_.name, first.shape[1])
    noise = torch.randn((len(first), first.shape[1], system.observation_size), generator=generator).to(first)
    carry, at, length = filter_.start(first), 0, observations.shape[1]
    rows: list[dict[str, float]] = []
    with torch.no_grad():

        def run(count: int) -> tuple[float, float]:
            nonlocal carry, at
            if at + count > length:
                carry, at = filter_.start(first), 0
            timed.seconds = 0.0
            began = now(device)
            for k in range(at, at + count):
                result = filter_.cycle(carry, observations[:, k], cast(System, timed), noise)
                carry = result.carry
            total = now(device) - began
            at = at + count if bool(result.analysis.isfinite().all()) else length
            return timed.seconds / count, (total - timed.seconds) / count

        run(1)  # compiles, allocates, fills caches
        cycles = cycles_for(plan.seconds, sum(run(1)), length)
        for repeat in range(1, plan.repeats + 1):
            forecast, analysis = run(cycles)
            found = {"forecast_seconds": forecast, "analysis_seconds": analysis}
            rows.append({"repeat": repeat, "cycles": cycles, **found})
    return pd.DataFrame(rows)
