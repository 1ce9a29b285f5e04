"""Wall seconds of a cycle of every filter, forecast and analysis apart (figure 8 of arXiv 2504.17836).

A timing is a stretch of cycles of a twin experiment, on one thread of a CPU, or on a GPU. The forecast is the time in
the model; an iterative filter runs it several times, and all of these count as forecast. The analysis is what remains
of the cycle. Analysis noise is drawn before the clock starts.
"""

from dataclasses import dataclass
from typing import Any, cast

import pandas as pd
import torch
from torch import Tensor

from mnmef.core.clock import cycles_for, now
from mnmef.core.seeds import torch_generator
from mnmef.experiments.experiment import Experiment
from mnmef.filters.base import Filter

TimedData = tuple[Tensor, Tensor]
"""First ensembles (B, N, Nx) and observations (B, K, d)."""


@dataclass(frozen=True)
class TimingPlan:
    """Amount of timing.

    Parameters
    ----------
    repeats : int
        Timings of each filter.
    seconds : float
        Duration of one timing.
    batch : int
        Trajectories of the batch that is timed beside a single one.
    """

    repeats: int
    seconds: float
    batch: int


class TimedExperiment:
    """An experiment that adds up the seconds of its model; everything else is the experiment's."""

    def __init__(self, experiment: Experiment, device: torch.device | str) -> None:
        self._experiment, self._device, self.seconds = experiment, device, 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._experiment, name)

    def propagate(self, state: Tensor) -> Tensor:
        """Advance the state as the experiment does, with the clock running."""
        began = now(self._device)
        result = self._experiment.propagate(state)
        self.seconds += now(self._device) - began
        return result


def tile(first: Tensor, observations: Tensor, batch: int) -> TimedData:
    """Return `batch` trajectories, repeating the given ones over and over."""
    index = torch.arange(batch) % len(first)
    return first[index], observations[index]


def time_filter(
    filter_: Filter,
    experiment: Experiment,
    data: TimedData,
    plan: TimingPlan,
    *,
    device: torch.device | str = "cpu",
    seed: int = 0,
) -> pd.DataFrame:
    """Time a filter, forecast and analysis apart.

    The run starts over where observations end, or where an ensemble is no longer finite.

    Parameters
    ----------
    filter_ : Filter
    experiment : Experiment
        Forecast model and observation operator.
    data : tuple of Tensor
        First ensembles (B, N, Nx) and observations (B, K, d).
    plan : TimingPlan
    device : device
        Where the filter runs.
    seed : int
        Root of the analysis noise.

    Returns
    -------
    DataFrame
        A row for each repeat: repeat, cycles, forecast_seconds and analysis_seconds of a cycle.
    """
    first, observations = (t.to(device) for t in data)
    timed = TimedExperiment(experiment, device)
    generator = torch_generator(seed, "timing", filter_.name, first.shape[1])
    noise = torch.randn((len(first), first.shape[1], experiment.observation_size), generator=generator).to(first)
    length = observations.shape[1]
    carry, at = filter_.start(first), 0

    def run(count: int) -> tuple[float, float]:
        nonlocal carry, at
        if at + count > length:
            carry, at = filter_.start(first), 0
        timed.seconds = 0.0
        began = now(device)
        for k in range(at, at + count):
            result = filter_.cycle(carry, observations[:, k], cast(Experiment, timed), noise)
            carry = result.carry
        total = now(device) - began
        at = at + count if bool(result.analysis.isfinite().all()) else length
        return timed.seconds / count, (total - timed.seconds) / count

    with torch.no_grad():
        run(1)  # compiles, allocates, fills caches
        cycles = cycles_for(plan.seconds, sum(run(1)), length)
        rows = [(repeat, cycles, *run(cycles)) for repeat in range(1, plan.repeats + 1)]
    return pd.DataFrame(rows, columns=["repeat", "cycles", "forecast_seconds", "analysis_seconds"])
