"""The timings of figure 8: all filters on one system, at all ensemble sizes, one trajectory alone and many together.

Classical filters have the published best settings of the nearest published noise level, so that DAPPER's LETKF does the
work that the published times are of, and timing waits for no search.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from mnmef.data.twin import load_trial
from mnmef.filters.base import Filter
from mnmef.filters.classical import LOCALIZED_METHODS, make_classical
from mnmef.learning.checkpoints import load_checkpoint
from mnmef.search.grids import published_winners
from mnmef.studies.timing import Plan, tile, time_filter
from mnmef.studies.timing_dapper import time_dapper_letkf
from mnmef.studies.timing_summary import gather
from mnmef.systems import System, make_system

DAPPER = "dapper_letkf"
"""How the table calls DAPPER's own LETKF; every other classical filter is the batched engine's."""


def published_setting(
    winners: pd.DataFrame, system: str, sigma_y: float, method: str, members: int
) -> dict[str, float]:
    """The published best inflation and, for a method that localizes, radius: of the nearest noise level and N."""
    rows = winners[(winners["system"] == system) & (winners["method"] == method)]
    if rows.empty:
        raise ValueError(f"the published search has no setting of {method} on {system}")
    gap = (rows["sigma_y"] - sigma_y).abs() + np.log(rows["ensemble_size"] / members).abs() * 1e3
    best = rows.loc[gap.idxmin()]
    setting = {"inflation": float(best["inflation"])}
    return setting | (
        {"localization_radius": float(best["localization_radius"])} if method in LOCALIZED_METHODS else {}
    )


def time_all(
    split: xr.Dataset,
    sigma_y: float,
    methods: Sequence[str],
    ensemble_sizes: Sequence[int],
    plan: Plan,
    *,
    weights: Mapping[str, Path],
    models: Mapping[str, Mapping[str, Any]],
    winners: Path,
    threads: int,
    seed: int,
) -> pd.DataFrame:
    """The table of `mnmef.studies.timing_summary.TIMING_COLUMNS` for `methods`: learned filters by the names in
    `weights` and
    `models`, classical ones, and `DAPPER`. On the CPU with `threads` threads, and on the GPU if there is one.
    """
    system, best = split.attrs["system"], published_winners(winners)
    learned = {
        name: load_checkpoint(path, name=name, system=system, sigma_y=sigma_y, model=models[name])
        for name, path in weights.items()
    }

    def maker(method: str, members: int, target: System, device: torch.device) -> Callable[[], Filter]:
        if method in learned:
            return lambda: learned[method].to(device)
        setting = published_setting(best, system, sigma_y, method, members)
        return lambda: make_classical(method, target, sigma_y, **setting)

    devices = dict.fromkeys((torch.device("cpu"), default_device()))
    cells = [(m, n, d) for n in ensemble_sizes for m in methods for d in (devices if m != DAPPER else ["cpu"])]

    def timings() -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
        for method, members, device in tqdm(cells, desc=f"time {system}", unit="filter", mininterval=5):
            place = {"device": str(torch.device(device).type), "hardware": hardware_name(device), "threads": threads}
            cell = {"system": system, "sigma_y": sigma_y, "method": method, "ensemble_size": members, **place}
            if method == DAPPER:
                yield {**cell, "batch": 1}, _time_dapper(split, sigma_y, members, plan, best)
                continue
            # As in evaluations: classical analyses in double precision, their forecasts in single.
            dtype = torch.float32 if method in learned else torch.float64
            target = make_system(system, model_dtype=torch.float32)
            first, observations, _ = load_trial(split, sigma_y, members, dtype)
            for batch in (1, plan.batch):
                make = maker(method, members, target, torch.device(device))
                experiment = tile(first, observations, batch)
                yield {**cell, "batch": batch}, time_filter(make, target, experiment, plan, device=device, seed=seed)

    with threadpool_limits(threads):
        return gather(list(timings()))


def _time_dapper(split: xr.Dataset, sigma_y: float, members: int, plan: Plan, winners: pd.DataFrame) -> pd.DataFrame:
    first, observations, _ = (t.numpy()[0] for t in load_trial(split, sigma_y, members, torch.float64, 1))
    setting = published_setting(winners, split.attrs["system"], sigma_y, "letkf", members)
    found = time_dapper_letkf(make_system(split.attrs["system"]), sigma_y, first, observations, plan, **setting)
    if not math.isfinite(found["analysis_seconds"].median()):
        print(f"DAPPER's LETKF diverged with N = {members} and {setting}: no time")
    return found
