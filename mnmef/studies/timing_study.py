"""The timings of figure 8: all filters on one experiment, at all ensemble sizes, one trajectory alone and many
together.

Classical filters have the published best settings of the nearest published noise level, so that DAPPER's LETKF does the
work that the published times are of, and timing waits for no search.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from mnmef.core.clock import cycles_for, elapsed, now
from mnmef.core.devices import default_device
from mnmef.core.hardware import hardware_name
from mnmef.core.names import LOCALIZED_METHODS
from mnmef.data.published import load_searches
from mnmef.data.twin import load_trial
from mnmef.experiments.experiment import Experiment
from mnmef.experiments.load import experiment_of, load_experiment
from mnmef.filters.base import Filter
from mnmef.filters.classical import Setting, make_classical
from mnmef.filters.dapper_bridge import dapper_step, run_dapper
from mnmef.learning.checkpoints import load_checkpoint
from mnmef.studies.scaling import GridPlan, as_row, simulate_grid
from mnmef.studies.timing import TimingPlan, tile, time_filter

TIMING_COLUMNS = [
    *("experiment", "sigma_y", "method", "device", "hardware", "threads", "ensemble_size", "batch", "repeat", "cycles"),
    *("forecast_seconds", "analysis_seconds"),
]
"""Columns of the timings, one a row.

Seconds are those of a cycle of all `batch` trajectories together; the timing spans `cycles`.
"""
LEAST_CYCLES = 5
"""Of a timing of DAPPER: setting up a run takes as long as a cycle or two, and is taken off."""
DAPPER = "dapper_letkf"
"""In the table, DAPPER's own LETKF; every other classical filter is the batched engine's."""


def nearest_published_setting(
    winners: pd.DataFrame, experiment: str, sigma_y: float, method: str, members: int
) -> Setting:
    """Return the published best inflation and, for a method that localizes, radius: of the nearest noise level and N.

    Raises `ValueError` if the published search has none.
    """
    rows = winners[(winners["experiment"] == experiment) & (winners["method"] == method)]
    if rows.empty:
        raise ValueError(f"the published search has no setting of {method} on {experiment}")
    gap = (rows["sigma_y"] - sigma_y).abs() + np.log(rows["ensemble_size"] / members).abs() * 1e3
    setting = Setting.of(rows.loc[gap.idxmin()])
    return setting if method in LOCALIZED_METHODS else Setting(setting.inflation)


@dataclass(frozen=True)
class TimedFilters:
    """Filters that are timed, learned ones with their weights.

    Parameters
    ----------
    methods : sequence of str
        Learned filters by their names in `weights`, classical ones, and `DAPPER`.
    ensemble_sizes : sequence of int
        Numbers of members N.
    sigma_y : float
        Noise level, state units.
    weights : mapping
        A checkpoint of each learned filter.
    models : mapping
        Options of the network of each learned filter.
    winners : Path
        The published best settings.
    """

    methods: Sequence[str]
    ensemble_sizes: Sequence[int]
    sigma_y: float
    weights: Mapping[str, Path]
    models: Mapping[str, Mapping[str, Any]]
    winners: Path


def time_all(split: xr.Dataset, filters: TimedFilters, plan: TimingPlan, *, threads: int, seed: int) -> pd.DataFrame:
    """Time all filters on the CPU and, but for DAPPER, on the GPU if there is one.

    Parameters
    ----------
    split : Dataset
        The test split.
    filters : TimedFilters
    plan : TimingPlan
    threads : int
        Threads of the CPU.
    seed : int
        Root of the analysis noise.

    Returns
    -------
    DataFrame
        Columns `TIMING_COLUMNS`.
    """
    name, sigma_y, winners = split.attrs["experiment"], filters.sigma_y, load_searches(filters.winners)
    load = partial(load_checkpoint, experiment=name, sigma_y=sigma_y)
    learned = {key: load(path, name=key, model=filters.models[key]) for key, path in filters.weights.items()}
    experiment = load_experiment(name, model_dtype=torch.float32)
    devices = dict.fromkeys((torch.device("cpu"), default_device()))

    def classical(method: str, members: int) -> Filter:
        setting = nearest_published_setting(winners, name, sigma_y, method, members)
        return make_classical(method, experiment, sigma_y, *setting)

    runs = itertools.product(filters.ensemble_sizes, filters.methods, devices, (1, plan.batch))
    # DAPPER runs one trajectory on the CPU.
    timed = [run for run in runs if run[1] != DAPPER or (run[2].type, run[3]) == ("cpu", 1)]
    tables = []
    with threadpool_limits(threads):
        for members, method, device, batch in tqdm(timed, desc=f"time {name}", unit="timing", mininterval=5):
            # As in evaluations: classical analyses in double precision, their forecasts in single.
            dtype = torch.float32 if method in learned else torch.float64
            first, observations, _ = load_trial(split, sigma_y, members, dtype)
            if method == DAPPER:
                setting = nearest_published_setting(winners, name, sigma_y, "letkf", members)
                alone = first[0].numpy(), observations[0].numpy()
                found = time_dapper_letkf(experiment_of(split), sigma_y, *alone, plan, setting)
            else:
                filter_ = learned[method].to(device) if method in learned else classical(method, members)
                data = tile(first, observations, batch)
                found = time_filter(filter_, experiment, data, plan, device=device, seed=seed)
            cell = {"experiment": name, "sigma_y": sigma_y, "method": method, "ensemble_size": members, "batch": batch}
            place = {"device": device.type, "hardware": hardware_name(device), "threads": threads}
            tables.append(found.assign(**cell, **place))
    return pd.concat(tables, ignore_index=True)[TIMING_COLUMNS]


def time_dapper_letkf(
    experiment: Experiment,
    sigma_y: float,
    first: np.ndarray,
    observations: np.ndarray,
    plan: TimingPlan,
    setting: Setting,
) -> pd.DataFrame:
    """Time DAPPER's LETKF on one trajectory, forecast and analysis apart.

    A run of one cycle, which is as good as all setup, is taken off a run of some more. The forecast is DAPPER's model
    by itself; the analysis is the rest, with what DAPPER keeps of every cycle.

    Parameters
    ----------
    experiment : Experiment
    sigma_y : float
        Noise level, state units.
    first : array (N, Nx)
        First ensemble.
    observations : array (K, d)
        At least two cycles.
    plan : TimingPlan
    setting : Setting
        Of the LETKF.

    Returns
    -------
    DataFrame
        Rows as of `mnmef.studies.timing.time_filter`. The analysis is NaN where DAPPER diverged, and where the machine
        was so busy that less than nothing remains.
    """
    run = partial(run_dapper, "letkf", experiment, sigma_y, first, setting=setting)

    def seconds(cycles: int) -> float:
        return _seconds(run, observations[:cycles])

    seconds(1)  # imports DAPPER
    setup = min(seconds(1) for _ in range(4))
    # A busy machine can make the difference small, but a cycle is no tenth of the setup.
    probe = max(np.nan_to_num(seconds(2) - setup, nan=setup), setup / 10)
    most = len(observations) - 1
    cycles = cycles_for(plan.seconds, probe, most, min(LEAST_CYCLES, most))
    table = pd.DataFrame({"repeat": range(1, plan.repeats + 1), "cycles": cycles})
    pairs = [(_forecast_seconds(experiment, first, cycles), seconds(cycles + 1)) for _ in table.index]
    forecast, total = np.transpose(pairs)
    analysis = (total - setup) / cycles - forecast
    if np.isnan(analysis).all():
        print(f"DAPPER's LETKF diverged with N = {len(first)} and {setting}: no time")
    return table.assign(forecast_seconds=forecast, analysis_seconds=np.where(analysis > 0, analysis, np.nan))


def _seconds(run: Callable[[np.ndarray], np.ndarray], observations: np.ndarray, *, of_process: bool = False) -> float:
    """Return the seconds of a run of DAPPER over `observations`; NaN if it diverged."""
    taken, means = elapsed(lambda: run(observations), of_process=of_process)
    return taken if np.isfinite(means).all() else np.nan


def _forecast_seconds(experiment: Experiment, ensemble: np.ndarray, cycles: int) -> float:
    """Return the seconds of DAPPER's model for a cycle of the ensemble (N, Nx), mean over `cycles`."""
    step, length = dapper_step(experiment.system), experiment.system.step_size
    began = now()
    for _ in range(cycles):
        state = ensemble.astype(float)
        for index in range(experiment.steps_per_cycle):
            state = step(state, index * length, length)
    return (now() - began) / cycles


def time_dapper_on_grid(
    experiment: Experiment, sigma_y: float, plan: GridPlan, setting: Setting, *, seed: int
) -> pd.DataFrame:
    """Time DAPPER's LETKF on a grid with many variables.

    It gives the same analyses as ours on a grid that both can do, and so has seconds alone. The seconds of a run of one
    cycle, the setup, are taken off.

    Parameters
    ----------
    experiment : Experiment
        Of the grid, as `mnmef.studies.scaling.longer` makes it.
    sigma_y : float
        Noise level, state units.
    plan : GridPlan
    setting : Setting
        Of the LETKF.
    seed : int
        Root of truths, ensembles and noise.

    Returns
    -------
    DataFrame
        One row of `mnmef.studies.scaling.SCALING_COLUMNS`.

    Raises
    ------
    FloatingPointError
        If DAPPER diverges.
    """
    first, observations, _ = (t.double().numpy()[0] for t in simulate_grid(experiment, sigma_y, plan, seed))
    run = partial(run_dapper, "letkf", experiment, sigma_y, first, setting=setting)
    run(observations[:1])  # imports DAPPER
    lengths = (1, plan.timed_cycles + 1)
    setup, seconds = (_seconds(run, observations[:cycles], of_process=True) for cycles in lengths)
    if np.isnan(seconds):
        raise FloatingPointError(
            f"DAPPER's LETKF diverged on {experiment.state_size} variables, so its time says nothing"
        )
    each = max(seconds - setup, 0.0) / plan.timed_cycles
    return as_row("dapper", experiment.state_size, [each]).assign(timed_cycles=plan.timed_cycles)
