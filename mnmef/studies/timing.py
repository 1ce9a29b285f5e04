"""Wall seconds of a cycle of every filter, forecast and analysis apart (figure 8 of arXiv 2504.17836).

A timing is a stretch of cycles of a twin experiment, on one thread of a CPU, or on a GPU. The forecast is the time in
the model; an iterative filter runs it several times, and all of these count as forecast. The analysis is what remains
of the cycle. Analysis noise is drawn before the clock starts.
"""

from copy import copy
from dataclasses import dataclass

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
    generator = torch_generator(seed, "timing", filter_.name, first.shape[1])
    noise = torch.randn((len(first), first.shape[1], experiment.observation_size), generator=generator).to(first)
    length = observations.shape[1]
    timed, forecasts = _with_clock(experiment, device)
    carry, at = filter_.start(first), 0

    def run(count: int) -> tuple[float, float]:
        nonlocal carry, at
        if at + count > length:
            carry, at = filter_.start(first), 0
        forecasts.clear()
        began = now(device)
        for k in range(at, at + count):
            result = filter_.cycle(carry, observations[:, k], timed, noise)
            carry = result.carry
        total, forecast = now(device) - began, sum(forecasts)
        at = at + count if bool(result.analysis.isfinite().all()) else length
        return forecast / count, (total - forecast) / count

    with torch.no_grad():
        run(1)  # compiles, allocates, fills caches
        cycles = cycles_for(plan.seconds, sum(run(1)), length)
        rows = [(repeat, cycles, *run(cycles)) for repeat in range(1, plan.repeats + 1)]
    return pd.DataFrame(rows, columns=["repeat", "cycles", "forecast_seconds", "analysis_seconds"])


def _with_clock(experiment: Experiment, device: torch.device | str) -> tuple[Experiment, list[float]]:
    """Return the experiment with a model that adds the seconds of each of its runs to a list, and the list."""
    timed, seconds = copy(experiment), list[float]()

    def propagate(state: Tensor) -> Tensor:
        began = now(device)
        result = experiment.propagate(state)
        seconds.append(now(device) - began)
        return result

    timed.propagate = propagate  # type: ignore[method-assign]
    return timed, seconds
