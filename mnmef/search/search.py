"""The search for inflation and localization radius of a classical filter, on the tuning split.

Engines: `batched` runs all settings and trajectories at once in torch; `dapper` runs DAPPER once per setting and
trajectory, as the paper did; `screened` scores the whole grid with the batched engine on few trajectories, the best of
it on all of them, and lets DAPPER confirm the best of these. A setting in which trajectories diverge never beats one in
which fewer do.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr
from tqdm import tqdm

from mnmef.assimilation.cycling import noise_source, run_filter
from mnmef.assimilation.metrics import mean_over_survivors, relative_rmse, time_mean_rmse
from mnmef.core.errors import unknown_name
from mnmef.core.seeds import seed_sequence
from mnmef.data.twin import load_trial
from mnmef.filters.classical import LOCALIZED_METHODS, make_classical
from mnmef.io.files import write_text
from mnmef.search.grids import Setting, load_grids, published_winners, settings_of
from mnmef.systems import System, make_system

__all__ = ["Trial", "load_grids", "published_winners", "rank", "score_batched", "score_with_dapper", "tune_method"]

ENGINES = ("batched", "dapper", "screened")

WORKING_BYTES = 200_000_000
"""Memory for the arrays of one chunk of settings. Larger chunks are no faster: they only fall out of the caches."""


@dataclass(frozen=True)
class Trial:
    """What settings are scored on: the first `trajectories` and `cycles` of the tuning split at one noise level.

    members: ensemble size N. seed: root of the analysis noise, which is the same for all settings.
    """

    system: str
    sigma_y: float
    method: str
    members: int
    trajectories: int
    cycles: int
    seed: int

    def load(self, split: xr.Dataset, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """First ensemble (T, N, Nx), observations (T, K, d) and truth (T, K, Nx).

        Raises `ValueError` if the split is of another system or smaller than the trial.
        """
        if split.attrs["system"] != self.system:
            raise ValueError(f"the tuning split is one of {split.attrs['system']}, but {self.system} is to be tuned")
        for name, wanted in (("trajectory", self.trajectories), ("cycle", self.cycles)):
            if wanted > split.sizes[name]:
                raise ValueError(
                    f"{wanted} of dimension {name} are asked for, but the tuning split has {split.sizes[name]}"
                )
        return load_trial(split, self.sigma_y, self.members, dtype, self.trajectories, self.cycles)


class PartialScores:
    """Scores that survive an interruption: a JSON file rewritten atomically after each chunk of settings.

    path: the file, or None to keep nothing. A file of another `fingerprint` (other data or code) is replaced, not used.
    """

    def __init__(self, path: str | Path | None, fingerprint: str) -> None:
        self.path, self.fingerprint = path, fingerprint
        self.rows: dict[str, dict[str, Any]] = {}
        if path is None or not Path(path).exists():
            return
        try:
            kept = json.loads(Path(path).read_text(encoding="utf-8"))
        except ValueError:  # foreign or damaged: nothing in it can be trusted
            return
        if isinstance(kept, dict) and kept.get("fingerprint") == fingerprint:
            self.rows = kept["scores"]

    def get(self, engine: str, trial: Trial, setting: Setting) -> dict[str, Any] | None:
        """The row of scores of `setting`, if it is known."""
        return self.rows.get(_key(engine, trial, setting))

    def add(self, engine: str, trial: Trial, scored: Mapping[Setting, dict[str, Any]]) -> None:
        """Keep more rows, on disk as well."""
        self.rows |= {_key(engine, trial, setting): row for setting, row in scored.items()}
        if self.path is not None and scored:
            write_text(json.dumps({"fingerprint": self.fingerprint, "scores": self.rows}, indent=0), self.path)


def _key(engine: str, trial: Trial, setting: Setting) -> str:
    return json.dumps([engine, *asdict(trial).values(), *setting])


Norms = tuple[np.ndarray, np.ndarray]
"""Norms of error and truth (T, K) of one setting."""


@dataclass(frozen=True)
class Runner:
    """How an engine runs settings: `run(part, advance)` yields the norms of each setting of a chunk.

    chunk: settings at a time. unit, per_setting: what `advance` counts, and how many of them a setting takes.
    """

    engine: str
    unit: str
    per_setting: int
    chunk: int
    run: Callable[[Sequence[Setting], Callable[[int], Any]], Iterator[Norms]]


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
    partial: str | Path | None = None,
    code: str = "",
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Score all settings of `method` at every ensemble size on the tuning `split`; return all scores and the best ones.

    tuning: the config's section. partial: a file that keeps the scores so far, so that an interrupted search goes on
    where it stopped; the caller removes it in the end. code: a digest of the program; a file of another is not used.
    Columns: system, sigma_y, method, ensemble_size, inflation, localization_radius, engine, rrmse, rrmse_std, rmse,
    n_trajectories, n_cycles, n_diverged. R-RMSE without burn-in, mean over surviving trajectories.
    Raises `ValueError` for an unknown engine or method, or a split that is too small.
    """
    if tuning["engine"] not in ENGINES:
        raise ValueError(unknown_name("tuning engine", tuning["engine"], ENGINES))
    system = split.attrs["system"]
    known = PartialScores(partial, fingerprint(split, sigma_y, code))
    strides = {name: tuning[name] for name in ("inflation_stride", "radius_stride")}
    scores: list[pd.DataFrame] = []
    best: list[pd.DataFrame] = []
    for members in ensemble_sizes:
        settings = settings_of(grids, winners, (system, sigma_y, method, members), **strides)
        trial = Trial(system, sigma_y, method, members, tuning["trajectories"], tuning["cycles"], seed)
        scored, chosen = tune_cell(tuning, split, trial, settings, known)
        scores.append(scored)
        best.append(chosen)
    return pd.concat(scores, ignore_index=True), pd.concat(best, ignore_index=True)


def tune_cell(
    tuning: Mapping[str, Any],
    split: xr.Dataset,
    trial: Trial,
    settings: Sequence[Setting],
    known: PartialScores | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Score the `settings` of one ensemble size with the engine of `tuning`; return (all scores, the row of the best).

    With `screened`, a setting that DAPPER sees diverge more often than others is not chosen, however good its score.
    The choice is not left to DAPPER's scores: they come from fewer trajectories of the same filter.
    """
    # DAPPER has no perturbed-observation EnKF with covariance localization: it stays with the batched engine.
    has_dapper = trial.method != "enkf_localized"
    if tuning["engine"] == "dapper" and has_dapper:
        scores = score_with_dapper(settings, split, trial, known=known)
        return scores, rank(scores).head(1)
    if tuning["engine"] == "batched":
        scores = score_batched(settings, split, trial, known=known)
        return scores, rank(scores).head(1)
    screen, confirm = tuning["screen"], tuning["confirm"]
    coarse = score_batched(settings, split, _smaller(trial, screen), known=known)
    few = [settings[i] for i in rank(coarse).index[: screen["settings"]]]
    scores = score_batched(few, split, trial, known=known)
    tables = [coarse, scores]
    order = rank(scores)
    if has_dapper:
        leading = order.index[: confirm["settings"]]
        confirmed = score_with_dapper([few[i] for i in leading], split, _smaller(trial, confirm), known=known)
        tables.append(confirmed)
        order = order.loc[leading[np.argsort(confirmed["n_diverged"], kind="stable")]]
    return pd.concat(tables, ignore_index=True), order.head(1)


def _smaller(trial: Trial, stage: Mapping[str, int]) -> Trial:
    """`trial` with the trajectories and cycles of a `stage` of the search."""
    return replace(trial, trajectories=stage["trajectories"], cycles=stage["cycles"])


def rank(scores: pd.DataFrame) -> pd.DataFrame:
    """`scores` from best to worst: fewest diverged trajectories first, then smallest R-RMSE; ties keep their order."""
    return scores.sort_values(["n_diverged", "rrmse"], na_position="last", kind="stable")


def score_batched(
    settings: Sequence[Setting],
    split: xr.Dataset,
    trial: Trial,
    *,
    known: PartialScores | None = None,
    working_bytes: int = WORKING_BYTES,
    dtype: torch.dtype = torch.float64,
    model_dtype: torch.dtype = torch.float32,
) -> pd.DataFrame:
    """Scores of all settings, one row each in their order, run in chunks of settings that fit into `working_bytes`.

    All settings see the same observations, first ensembles and analysis noise, so that a score does not depend on the
    chunk. dtype: of the analyses, which in single precision diverge for iterative filters where they should not;
    model_dtype: of the forecasts, where single precision suffices (see `System.model_dtype`).
    """
    system = make_system(trial.system, model_dtype)
    first, observations, truth = trial.load(split, dtype)
    size = settings_per_chunk(system, trial, working_bytes, dtype)

    def run(part: Sequence[Setting], advance: Callable[[int], Any]) -> Iterator[Norms]:
        inflation = np.array([s[0] for s in part])
        radius = np.array([s[1] for s in part]) if trial.method in LOCALIZED_METHODS else None
        record = run_filter(
            make_classical(trial.method, system, trial.sigma_y, inflation, radius),
            system,
            first.expand(len(part), *first.shape),
            observations,
            truth,
            noise_source(trial.seed, trial.method, trial.members, (len(first), trial.members, system.observation_size)),
            progress=lambda _: advance(len(part)),
        )
        return zip(record.error_norm.numpy(), record.truth_norm.numpy(), strict=True)

    return _score(settings, trial, Runner("batched", "cycle", trial.cycles, size, run), known)


def settings_per_chunk(system: System, trial: Trial, working_bytes: int, dtype: torch.dtype) -> int:
    """How many settings fit into `working_bytes`, at least 1.

    Counts some sixteen copies of the ensembles, the four recorded scores of each cycle, and, for the LETKF, some eight
    of its local matrices, at most d x d for each component.
    """
    numbers = 16 * trial.members * system.state_size
    if trial.method == "letkf":
        numbers += 8 * system.state_size * system.observation_size**2
    itemsize = torch.finfo(dtype).bits // 8
    return max(1, working_bytes // (trial.trajectories * (numbers * itemsize + 4 * trial.cycles * 8)))


def score_with_dapper(
    settings: Sequence[Setting], split: xr.Dataset, trial: Trial, *, known: PartialScores | None = None
) -> pd.DataFrame:
    """Scores of all settings by DAPPER, one row each in their order, one run per setting and trajectory."""
    from mnmef.filters.dapper_bridge import run_dapper

    system = make_system(trial.system)
    first, observations, truth = (t.numpy() for t in trial.load(split, torch.float64))
    seeds = [
        int(seed_sequence(trial.seed, "dapper", trial.system, trial.method, trial.members, t).generate_state(1)[0]) or 1
        for t in range(len(first))
    ]

    def run(part: Sequence[Setting], advance: Callable[[int], Any]) -> Iterator[Norms]:
        for inflation, radius in part:
            means = np.empty_like(truth)
            for t, seed in enumerate(seeds):
                means[t] = run_dapper(
                    trial.method,
                    system,
                    trial.sigma_y,
                    first[t],
                    observations[t],
                    inflation=inflation,
                    localization_radius=radius,
                    seed=seed,
                )
                advance(1)
            yield np.linalg.norm(means - truth, axis=-1), np.linalg.norm(truth, axis=-1)

    return _score(settings, trial, Runner("dapper", "run", len(seeds), 1, run), known)


def _score(settings: Sequence[Setting], trial: Trial, runner: Runner, known: PartialScores | None) -> pd.DataFrame:
    """Scores of all settings, one row each in their order; those that are not `known` yet are run chunk by chunk."""
    known = known if known is not None else PartialScores(None, "")
    missing = [setting for setting in dict.fromkeys(settings) if known.get(runner.engine, trial, setting) is None]
    title = f"{trial.system} {trial.sigma_y} {trial.method} N={trial.members} {runner.engine}"
    total = len(missing) * runner.per_setting
    with torch.no_grad(), tqdm(total=total, desc=title, unit=runner.unit, mininterval=5) as bar:
        for begin in range(0, len(missing), runner.chunk):
            part = missing[begin : begin + runner.chunk]
            norms = runner.run(part, bar.update)
            rows = [_row(runner.engine, trial, s, *pair) for s, pair in zip(part, norms, strict=True)]
            known.add(runner.engine, trial, dict(zip(part, rows, strict=True)))
    return pd.DataFrame([known.get(runner.engine, trial, setting) for setting in settings])


def _row(engine: str, trial: Trial, setting: Setting, error_norm: np.ndarray, truth_norm: np.ndarray) -> dict[str, Any]:
    """The scores of one setting from error and truth norms (T, K)."""
    rrmse, deviation, diverged = mean_over_survivors(relative_rmse(error_norm, truth_norm))
    rmse = mean_over_survivors(time_mean_rmse(error_norm / make_system(trial.system).state_size ** 0.5))[0]
    return {
        "system": trial.system,
        "sigma_y": trial.sigma_y,
        "method": trial.method,
        "ensemble_size": trial.members,
        "inflation": setting[0],
        "localization_radius": np.nan if setting[1] is None else setting[1],
        "engine": engine,
        "rrmse": rrmse,
        "rrmse_std": deviation,
        "rmse": rmse,
        "n_trajectories": error_norm.shape[0],
        "n_cycles": error_norm.shape[1],
        "n_diverged": diverged,
    }


def fingerprint(split: xr.Dataset, sigma_y: float, code: str = "") -> str:
    """A digest of what scores depend on: the program `code`, and truth, observations and first ensembles of `split`."""
    level = int(np.argmin(np.abs(split["sigma_y"].values - sigma_y)))
    total = hashlib.sha256(f"{code} {split.attrs['system']} {sigma_y}".encode())
    for values in (split["observation"].values[level], split["first_ensemble"].values, split["truth"].values):
        total.update(np.ascontiguousarray(values).tobytes())
    return total.hexdigest()[:16]
