"""Engines of a search: scores of settings by the batched filters and by DAPPER.

`batched` runs all settings and trajectories at once in torch; `dapper` runs DAPPER once per setting and trajectory, as
the paper did.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr
from tqdm import tqdm

from mnmef.assimilation.cycling import noise_source, run_filter
from mnmef.assimilation.metrics import mean_over_survivors, relative_rmse, time_mean_rmse
from mnmef.core.names import LOCALIZED_METHODS, stream_of
from mnmef.core.seeds import seed_sequence
from mnmef.experiments.experiment import Experiment
from mnmef.experiments.load import experiment_of
from mnmef.filters.classical import Setting, make_classical
from mnmef.io.resume import ResumeFile
from mnmef.search.trial import Trial

WORKING_BYTES = 200_000_000
"""Memory for the arrays of one chunk of settings. Larger chunks fall out of the caches and are no faster."""

EACH = "rrmse_of_each"
"""Column of the R-RMSE of each trajectory, NaN where it diverged, in tables that stay in memory."""

Norms = tuple[np.ndarray, np.ndarray]
"""Norms of error and truth (T, K) of one setting."""

Run = Callable[[Sequence[Any], Callable[[int], Any]], Iterator[Norms]]
"""Yields the norms of each setting of a chunk; reports to a function how many cycles of a trajectory have been run."""


def score_batched(
    settings: Sequence[Setting],
    split: xr.Dataset,
    trial: Trial,
    *,
    known: ResumeFile | None = None,
    working_bytes: int = WORKING_BYTES,
    model_dtype: torch.dtype = torch.float32,
) -> pd.DataFrame:
    """Score settings with the batched filters, in chunks of settings that fit into memory.

    All settings see the same observations, first ensembles and analysis noise, so a score does not depend on the
    chunk. Analyses are in double precision: in single precision iterative filters diverge where they should not.

    Parameters
    ----------
    settings : sequence of Setting
        Settings to score.
    split : Dataset
        The tuning split.
    trial : Trial
        The method and its part of the split.
    known : ResumeFile, optional
        Scores of an interrupted search.
    working_bytes : int
        Memory for one chunk.
    model_dtype : dtype
        Precision of the forecasts (see `Experiment.model_dtype`).

    Returns
    -------
    DataFrame
        One row for each setting, in their order; columns as of `mnmef.search.search.search_method`.
    """
    experiment = experiment_of(split, model_dtype)
    first, observations, truth = trial.load(split, torch.float64)
    stream, shape = stream_of(trial.method), (len(first), trial.members, experiment.observation_size)

    def run(part: Sequence[Setting], advance: Callable[[int], Any]) -> Iterator[Norms]:
        inflation = np.array([setting[0] for setting in part])
        radius = np.array([setting[1] for setting in part]) if trial.method in LOCALIZED_METHODS else None
        record = run_filter(
            make_classical(trial.method, experiment, trial.sigma_y, inflation, radius, lag=trial.lag),
            experiment.with_seed(trial.seed, stream, trial.members),
            first.expand(len(part), *first.shape),
            observations,
            truth,
            noise_source(trial.seed, stream, trial.members, shape),
            on_cycle=lambda *_: advance(len(part) * trial.trajectories),
        )
        return zip(record.error_norm.numpy(), record.truth_norm.numpy(), strict=True)

    chunk = settings_per_chunk(experiment, trial, working_bytes)
    return score_settings("batched", settings, trial, experiment.state_size, run, chunk, known, _columns)


def settings_per_chunk(experiment: Experiment, trial: Trial, working_bytes: int) -> int:
    """Return the number of settings, at least 1, that fit into `working_bytes` in double precision.

    Counts some sixteen copies of the ensembles, the four recorded scores of each cycle, and, for the LETKF, some eight
    of its local matrices, at most d x d for each component.
    """
    copies = 16 * trial.members * experiment.state_size + 4 * trial.cycles
    local = 8 * experiment.state_size * experiment.observation_size**2 if trial.method == "letkf" else 0
    return max(1, working_bytes // (8 * trial.trajectories * (copies + local)))


def score_with_dapper(
    settings: Sequence[Setting], split: xr.Dataset, trial: Trial, *, known: ResumeFile | None = None
) -> pd.DataFrame:
    """Score settings with DAPPER, one run for each setting and trajectory; otherwise as `score_batched`."""
    from mnmef.filters.dapper_bridge import run_dapper

    experiment = experiment_of(split)
    first, observations, truth = (t.numpy() for t in trial.load(split, torch.float64))
    stream = ("dapper", trial.experiment, stream_of(trial.method), trial.members)
    seeds = [int(seed_sequence(trial.seed, *stream, t).generate_state(1)[0]) or 1 for t in range(len(first))]

    def run(part: Sequence[Setting], advance: Callable[[int], Any]) -> Iterator[Norms]:
        for setting in part:
            means = np.empty_like(truth)
            for t, (start, seen, seed) in enumerate(zip(first, observations, seeds, strict=True)):
                options = {"lag": trial.lag, "seed": seed}
                means[t] = run_dapper(trial.method, experiment, trial.sigma_y, start, seen, setting, **options)
                advance(trial.cycles)
            yield np.linalg.norm(means - truth, axis=-1), np.linalg.norm(truth, axis=-1)

    return score_settings("dapper", settings, trial, experiment.state_size, run, 1, known, _columns)


def score_settings(
    engine: str,
    settings: Sequence[tuple],
    trial: Trial,
    size: int,
    run: Run,
    chunk: int,
    known: ResumeFile | None,
    columns: Callable[[Any], dict[str, Any]],
) -> pd.DataFrame:
    """Score settings, but for those that are known.

    Parameters
    ----------
    engine : str
        In the table.
    settings : sequence of tuple
        What is searched, for each a row, in their order.
    trial : Trial
    size : int
        Number of components Nx.
    run : Run
        It runs a chunk of settings.
    chunk : int
        How many at a time.
    known : ResumeFile or None
        Scores of an interrupted search.
    columns : callable
        What the table says of a setting.
    """
    known = ResumeFile() if known is None else known
    keys = {setting: (engine, *asdict(trial).values(), *setting) for setting in settings}
    missing = [setting for setting, key in keys.items() if key not in known]
    title = f"{trial.experiment} {trial.sigma_y} {trial.method} N={trial.members} {engine}"
    total = len(missing) * trial.trajectories * trial.cycles
    with torch.no_grad(), tqdm(total=total, desc=title, unit="cycle", unit_scale=True, mininterval=5) as bar:
        for begin in range(0, len(missing), chunk):
            part = missing[begin : begin + chunk]
            pairs = zip(part, run(part, bar.update), strict=True)
            known.add({keys[setting]: _row(engine, trial, size, columns(setting), norms) for setting, norms in pairs})
    return pd.DataFrame([known[keys[setting]] for setting in settings])


def _columns(setting: Setting) -> dict[str, Any]:
    """Return inflation and localization radius."""
    return {"inflation": setting[0], "localization_radius": np.nan if setting[1] is None else setting[1]}


def _row(engine: str, trial: Trial, size: int, setting: dict[str, Any], norms: Norms) -> dict[str, Any]:
    """Return the scores of one setting, of states of a `size`, from norms of error and truth (T, K)."""
    relative = relative_rmse(*norms)
    rrmse, deviation, diverged = mean_over_survivors(relative)
    rmse, _, _ = mean_over_survivors(time_mean_rmse(norms[0] / size**0.5))
    return {
        "experiment": trial.experiment,
        "sigma_y": trial.sigma_y,
        "method": trial.method,
        "ensemble_size": trial.members,
        **setting,
        "engine": engine,
        "rrmse": rrmse,
        "rrmse_std": deviation,
        "rmse": rmse,
        "n_trajectories": trial.trajectories,
        "n_cycles": trial.cycles,
        "n_diverged": diverged,
        EACH: relative.tolist(),
    }
