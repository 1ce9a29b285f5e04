"""The search for inflation and localization radius of a classical filter, on the tuning split.

Engines: `batched` runs all settings and trajectories at once in torch; `dapper` runs DAPPER once per setting and trajectory, as the paper
did; `screened` scores the whole grid with the batched engine and lets DAPPER rerun the best few settings of each ensemble size.
A setting in which trajectories diverge never beats one in which fewer do.
"""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr
import yaml
from tqdm import tqdm

from mnmef.cycling import run_filter
from mnmef.data import load_trial
from mnmef.errors import unknown_name
from mnmef.evaluation import noise_source
from mnmef.filters.classical import LOCALIZED_METHODS, make_classical
from mnmef.metrics import mean_over_survivors, relative_rmse, time_mean_rmse
from mnmef.seeds import seed_sequence
from mnmef.systems import make_system

ENGINES = ("batched", "dapper", "screened")
MEMORY_BYTES = 500_000_000
"""Budget for the ensembles of one chunk of settings; some ten temporary copies of them exist at a time, so about ten
times this is never reached on the grids in use."""

Setting = tuple[float, float | None]


def load_grids(path: str | Path) -> dict[str, Any]:
    """The published grids, `resources/published/search_grids.yaml`."""
    return yaml.safe_load(Path(path).read_text(encoding="utf-8"))


def published_winners(path: str | Path) -> pd.DataFrame:
    """The published best settings, `resources/published/dapper_grid_search_best.csv`."""
    return pd.read_csv(path)


def settings_of(
    grids: Mapping[str, Any],
    winners: pd.DataFrame,
    system: str,
    sigma_y: float,
    method: str,
    members: int,
    inflation_stride: int,
    radius_stride: int,
) -> list[Setting]:
    """Settings (inflation, radius or None) to try for one cell, in ascending order.

    Every `stride`-th value of the published lists, and the published winner, which may lie outside them. Raises `ValueError`
    for an ensemble size without a published list.
    """
    grid = grids[system]
    lists = grid["inflation"].get(method, grid["inflation"]["default"])
    if members not in lists:
        raise ValueError(unknown_name(f"ensemble size in the grid of {system}", members, lists))
    step, count = lists[members]["step"], lists[members]["count"]
    inflations = [round(1.0 + step * i, 6) for i in range(0, count, inflation_stride)]
    radii: list[float | None] = [None]
    if method in LOCALIZED_METHODS:
        radii = [float(r) for r in grid["localization_radius"][members][::radius_stride]]
    settings: set[Setting] = set(itertools.product(inflations, radii))
    # The localized EnKF is in no published table; the LETKF's winner is where to look for it.
    source = "letkf" if method in LOCALIZED_METHODS else method
    found = winners.query("system == @system and method == @source and ensemble_size == @members")
    for row in found[np.isclose(found["sigma_y"], sigma_y)].itertuples():
        radius = None if pd.isna(row.localization_radius) else float(row.localization_radius)
        settings.add((float(row.inflation), radius))
    return sorted(settings, key=lambda s: (s[0], s[1] or 0.0))


def tune_method(
    tuning: Mapping[str, Any],
    split: xr.Dataset,
    sigma_y: float,
    method: str,
    ensemble_sizes: Sequence[int],
    *,
    grids: Mapping[str, Any],
    winners: pd.DataFrame,
    seed: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Score all settings of `method` at every ensemble size on the tuning `split`; return (all scores, the best of each size).

    tuning: the config's section. Columns: system, sigma_y, method, ensemble_size, inflation, localization_radius, engine, rrmse,
    rrmse_std, rmse, n_trajectories, n_cycles, n_diverged. R-RMSE without burn-in, mean over surviving trajectories.
    """
    engine = tuning["engine"]
    if engine not in ENGINES:
        raise ValueError(unknown_name("tuning engine", engine, ENGINES))
    system = split.attrs["system"]
    rows: list[pd.DataFrame] = []
    best: list[pd.DataFrame] = []
    # DAPPER has no perturbed-observation EnKF with covariance localization.
    has_dapper = method != "enkf_localized"
    for members in ensemble_sizes:
        strides = tuning["inflation_stride"], tuning["radius_stride"]
        settings = settings_of(grids, winners, system, sigma_y, method, members, *strides)
        if engine == "dapper" and has_dapper:
            scores = score_with_dapper(settings, split, sigma_y, method, members, tuning["trajectories"], tuning["cycles"], seed)
        else:
            scores = score_batched(settings, split, sigma_y, method, members, tuning["trajectories"], tuning["cycles"], seed)
        rows.append(scores)
        chosen = rank(scores).head(1)
        if engine == "screened" and has_dapper:
            confirm = tuning["confirm"]
            few = rank(scores).head(confirm["settings"])
            again = [(row.inflation, None if pd.isna(row.localization_radius) else row.localization_radius) for row in few.itertuples()]
            confirmed = score_with_dapper(
                again, split, sigma_y, method, members, confirm["trajectories"], confirm["cycles"], seed
            )
            rows.append(confirmed)
            chosen = rank(confirmed).head(1)
        best.append(chosen)
    return pd.concat(rows, ignore_index=True), pd.concat(best, ignore_index=True)


def rank(scores: pd.DataFrame) -> pd.DataFrame:
    """`scores` from best to worst: fewest diverged trajectories first, then smallest R-RMSE, all-diverged settings last."""
    return scores.sort_values(["n_diverged", "rrmse"], na_position="last", kind="stable")


def score_batched(
    settings: Sequence[Setting],
    split: xr.Dataset,
    sigma_y: float,
    method: str,
    members: int,
    trajectories: int,
    cycles: int,
    seed: int,
    *,
    memory_bytes: int = MEMORY_BYTES,
    dtype: torch.dtype = torch.float32,
) -> pd.DataFrame:
    """Scores of all settings on the first `trajectories` x `cycles` of the split, in chunks of settings within the memory budget.

    All settings see the same observations, first ensembles and analysis noise.
    """
    system = make_system(split.attrs["system"])
    first, observations, truth = load_trial(split, sigma_y, members, dtype, trajectories, cycles)
    chunk = max(1, int(memory_bytes // (first.numel() * first.element_size())))
    results = []
    with tqdm(total=len(settings) * truth.shape[1], desc=f"{system.name} {method} N={members}", unit="cycle", mininterval=5) as bar:
        for begin in range(0, len(settings), chunk):
            part = settings[begin : begin + chunk]
            inflation = np.array([s[0] for s in part])
            radius = np.array([s[1] for s in part]) if method in LOCALIZED_METHODS else None
            record = run_filter(
                make_classical(method, system, sigma_y, inflation, radius),
                system,
                first.expand(len(part), *first.shape),
                observations,
                truth,
                noise_source(seed, method, members, (len(first), members, system.observation_size)),
                progress=lambda _, size=len(part): bar.update(size),
            )
            results += list(zip(part, record.error_norm.numpy(), record.truth_norm.numpy(), strict=True))
    return _table(results, split, sigma_y, method, members, "batched")


def score_with_dapper(
    settings: Sequence[Setting],
    split: xr.Dataset,
    sigma_y: float,
    method: str,
    members: int,
    trajectories: int,
    cycles: int,
    seed: int,
) -> pd.DataFrame:
    """Scores of the settings by DAPPER on the first `trajectories` x `cycles` of the split, one run each."""
    from mnmef.dapper_bridge import run_dapper

    system = make_system(split.attrs["system"])
    first, observations, truth = (t.numpy() for t in load_trial(split, sigma_y, members, torch.float64, trajectories, cycles))
    truth_norm = np.linalg.norm(truth, axis=-1)
    results = []
    with tqdm(total=len(settings) * len(first), desc=f"DAPPER {system.name} {method} N={members}", unit="run", mininterval=5) as bar:
        for setting in settings:
            errors = np.empty_like(truth_norm)
            for t in range(len(first)):
                number = int(seed_sequence(seed, "dapper", system.name, method, members, t).generate_state(1)[0])
                means = run_dapper(
                    method,
                    system,
                    sigma_y,
                    first[t],
                    observations[t],
                    inflation=setting[0],
                    localization_radius=setting[1],
                    seed=number,
                )
                errors[t] = np.linalg.norm(means - truth[t], axis=-1)
                bar.update()
            results.append((setting, errors, truth_norm))
    return _table(results, split, sigma_y, method, members, "dapper")


def _table(
    results: Sequence[tuple[Setting, np.ndarray, np.ndarray]],
    split: xr.Dataset,
    sigma_y: float,
    method: str,
    members: int,
    engine: str,
) -> pd.DataFrame:
    """One row per setting from error and truth norms (T, K)."""
    size = split.sizes["state"]
    rows = []
    for (inflation, radius), error_norm, truth_norm in results:
        rrmse, deviation, diverged = mean_over_survivors(relative_rmse(error_norm, truth_norm))
        rows.append(
            {
                "system": split.attrs["system"],
                "sigma_y": sigma_y,
                "method": method,
                "ensemble_size": members,
                "inflation": inflation,
                "localization_radius": np.nan if radius is None else radius,
                "engine": engine,
                "rrmse": rrmse,
                "rrmse_std": deviation,
                "rmse": mean_over_survivors(time_mean_rmse(error_norm / size**0.5))[0],
                "n_trajectories": len(error_norm),
                "n_cycles": error_norm.shape[1],
                "n_diverged": diverged,
            }
        )
    return pd.DataFrame(rows)
