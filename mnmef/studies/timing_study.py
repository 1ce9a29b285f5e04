"""The timings of figure 8: all filters on one experiment, at all ensemble sizes, one trajectory alone and many
together.

Classical filters have the published best settings of the nearest published noise level, so that DAPPER's LETKF does the
work that the published times are of, and timing waits for no search.
"""

import itertools
from collections.abc import Mapping, Sequence
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

from mnmef.core.devices import default_device
from mnmef.core.hardware import hardware_name
from mnmef.core.names import LOCALIZED_METHODS
from mnmef.data.published import load_searches
from mnmef.data.twin import load_trial
from mnmef.experiments.load import experiment_of, load_experiment
from mnmef.filters.base import Filter
from mnmef.filters.classical import Setting, make_classical
from mnmef.learning.checkpoints import load_checkpoint
from mnmef.studies.timing import TimingPlan, tile, time_filter
from mnmef.studies.timing_dapper import time_dapper_letkf
from mnmef.studies.timing_summary import TIMING_COLUMNS

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
        Columns `mnmef.studies.timing_summary.TIMING_COLUMNS`.
    """
    name, sigma_y, winners = split.attrs["experiment"], filters.sigma_y, load_searches(filters.winners)
    load = partial(load_checkpoint, experiment=name, sigma_y=sigma_y)
    learned = {key: load(path, name=key, model=filters.models[key]) for key, path in filters.weights.items()}
    experiment = load_experiment(name, model_dtype=torch.float32)
    devices = dict.fromkeys((torch.device("cpu"), default_device()))

    def timings(method: str, members: int, device: torch.device) -> pd.DataFrame:
        if method == DAPPER:
            return _time_dapper(split, sigma_y, members, plan, winners).assign(batch=1)
        # As in evaluations: classical analyses in double precision, their forecasts in single.
        first, observations, _ = load_trial(
            split, sigma_y, members, torch.float32 if method in learned else torch.float64
        )
        parts = []
        for batch in (1, plan.batch):
            if method in learned:
                filter_: Filter = learned[method].to(device)
            else:
                setting = nearest_published_setting(winners, name, sigma_y, method, members)
                filter_ = make_classical(method, experiment, sigma_y, *setting)
            data = tile(first, observations, batch)
            found = time_filter(filter_, experiment, data, plan, device=device, seed=seed)
            parts.append(found.assign(batch=batch))
        return pd.concat(parts)

    cells = itertools.product(filters.ensemble_sizes, filters.methods, devices)
    timed = [cell for cell in cells if cell[1] != DAPPER or cell[2].type == "cpu"]
    tables = []
    with threadpool_limits(threads):
        for members, method, device in tqdm(timed, desc=f"time {name}", unit="filter", mininterval=5):
            place = {"device": device.type, "hardware": hardware_name(device), "threads": threads}
            cell = {"experiment": name, "sigma_y": sigma_y, "method": method, "ensemble_size": members}
            tables.append(timings(method, members, device).assign(**cell, **place))
    return pd.concat(tables, ignore_index=True)[TIMING_COLUMNS]


def _time_dapper(
    split: xr.Dataset, sigma_y: float, members: int, plan: TimingPlan, winners: pd.DataFrame
) -> pd.DataFrame:
    """Time DAPPER's LETKF on the first trajectory of the split; say so if it diverges."""
    first, observations, _ = (t.numpy()[0] for t in load_trial(split, sigma_y, members, torch.float64, 1))
    setting = nearest_published_setting(winners, split.attrs["experiment"], sigma_y, "letkf", members)
    found = time_dapper_letkf(experiment_of(split), sigma_y, first, observations, plan, setting)
    if found["analysis_seconds"].isna().all():
        print(f"DAPPER's LETKF diverged with N = {members} and {setting}: no time")
    return found
