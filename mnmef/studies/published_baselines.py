"""The published baselines, searched again: the batched filters on the published grids, under the published protocol.

In each trial, truth and first ensemble are independent draws from N(x0, v I), x0 being where DAPPER's model starts. The
RMSE of the analysis mean is averaged over the cycles after the burn-in, and the R-RMSE is that number divided by the
root-mean-square of the components of a second, independent truth over the same cycles.

A published score is the smallest mean of its grid, on the trials that it was chosen on, and ours is the same: a minimum
is compared with a minimum. Settings that are clearly worse leave early (`mnmef.search.race`); whoever is left at the
end, and always the published setting, runs all cycles of all trials. We run 64 trials of every system, while the
published scores of Lorenz '96 are minima over 4 trials, which are lower the noisier those trials are. Source: the
configuration released with the paper, `resources/published/search_grids.yaml`.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from mnmef.assimilation.cycling import run_filter
from mnmef.assimilation.metrics import mean_over_survivors, time_mean_rmse
from mnmef.core.errors import unknown_name
from mnmef.core.seeds import torch_generator
from mnmef.data.published import KEYS
from mnmef.filters.classical import LOCALIZED_METHODS, make_classical
from mnmef.io.files import write_text
from mnmef.search.grids import Setting, settings_of
from mnmef.search.race import Race, ranking, survivors
from mnmef.search.search import WORKING_BYTES, Trial, settings_per_chunk
from mnmef.systems import System, make_system
from mnmef.systems.kuramoto_sivashinsky import reference_state

AGREES = "agrees within 3 standard errors"
BETTER = "better"
WORSE = "worse"
SURVIVORS = "published value is over surviving trials only"
VERDICTS = {"n_agrees": AGREES, "n_better": BETTER, "n_worse": WORSE, "n_survivors_only": SURVIVORS}
"""Column of the summary -> the verdict that it counts."""
COLUMNS = (
    *KEYS,
    *("published_inflation", "published_localization_radius", "published_rmse", "published_standard_error"),
    *("inflation", "localization_radius", "rmse", "standard_error", "rrmse", "published_rrmse"),
    *("rmse_at_published_setting", "difference_standard_error"),
    *("n_trials", "n_diverged", "n_settings", "n_final", "verdict"),
)
"""Columns of the table; `comparison_row` says what they mean, and n_settings is the size of the grid."""


@dataclass(frozen=True)
class Protocol:
    """How the baselines of a system were scored.

    cycles: per trial. burn_in_time: in model time units; cycles up to and including it are dropped. trials: of the
    published score. first_variance: v of N(x0, v I).
    """

    cycles: int
    burn_in_time: float
    trials: int
    first_variance: float

    def burn_in_cycles(self, system: System) -> int:
        """Number of cycles dropped: observation times that are not later than the burn-in."""
        return int(np.floor(self.burn_in_time / system.cycle_length + 1e-9))

    def capped(self, cycles: int | None) -> "Protocol":
        """The protocol with at most `cycles` cycles, the burn-in shortened in proportion."""
        if cycles is None or cycles >= self.cycles:
            return self
        return replace(self, cycles=cycles, burn_in_time=self.burn_in_time * cycles / self.cycles)


@dataclass(frozen=True)
class Experiment:
    """The trials of one system: truth (T, K, Nx), first ensembles (T, 100, Nx), observation noise (T, K, d).

    scale: root-mean-square (T,) of the second truth of each trial. Double precision.
    """

    truth: Tensor
    first: Tensor
    noise: Tensor
    scale: np.ndarray


def first_state(system: System) -> Tensor:
    """The state x0 (Nx,) from which DAPPER's model of the system starts."""
    if system.name == "lorenz63":
        return torch.tensor([1.509, -1.531, 25.46], dtype=torch.float64)
    if system.name == "lorenz96":
        return torch.eye(1, system.state_size, dtype=torch.float64)[0]
    if system.name == "ks":
        return torch.from_numpy(reference_state(system.state_size, system.step_size))
    raise ValueError(unknown_name("system", system.name, ("lorenz63", "lorenz96", "ks")))


def simulate_experiment(system: System, protocol: Protocol, trials: int, members: int, seed: int) -> Experiment:
    """Draw `trials` trials with first ensembles of `members`, from streams named by the system."""
    streams = {what: torch_generator(seed, "published", system.name, what) for what in ("truth", "ensemble", "noise")}

    def normal(stream: str, *shape: int) -> Tensor:
        return torch.randn(shape, generator=streams[stream], dtype=torch.float64)

    center, spread = first_state(system), protocol.first_variance**0.5
    size, burn_in = system.state_size, protocol.burn_in_cycles(system)
    # The first half are the truths to be estimated, the second half those that only give the scale.
    state = center + spread * normal("truth", 2 * trials, size)
    truth = torch.empty(trials, protocol.cycles, size, dtype=torch.float64)
    squares = torch.zeros(trials, dtype=torch.float64)
    for k in range(protocol.cycles):
        state = system.propagate(state)
        truth[:, k] = state[:trials]
        if k >= burn_in:
            squares += state[trials:].square().mean(-1)
    first = center + spread * normal("ensemble", trials, members, size)
    noise = normal("noise", trials, protocol.cycles, system.observation_size)
    return Experiment(truth, first, noise, (squares / (protocol.cycles - burn_in)).sqrt().numpy())


class KeptScores:
    """Scores of finished runs, by what was run; a JSON file, rewritten atomically after each run, survives a kill.

    path: the file, or None to keep nothing on disk. A file of another `fingerprint` (other trials or code) or a damaged
    one is replaced, not used.
    """

    def __init__(self, path: str | Path | None, fingerprint: str) -> None:
        self.path, self.fingerprint = path, fingerprint
        self.scores: dict[str, list[float]] = {}
        if path is None or not Path(path).exists():
            return
        try:
            kept = json.loads(Path(path).read_text(encoding="utf-8"))
        except ValueError:  # foreign or damaged: nothing in it can be trusted
            return
        if isinstance(kept, dict) and kept.get("fingerprint") == fingerprint:
            self.scores = kept["scores"]

    def add(self, scores: Mapping[str, list[float]]) -> None:
        """Keep more scores, on disk as well."""
        self.scores |= scores
        if self.path is not None:
            write_text(json.dumps({"fingerprint": self.fingerprint, "scores": self.scores}), self.path)


class Scorer:
    """Runs settings of one (system, sigma_y, method) on trials that they all share.

    Truths, observations, first ensembles and analysis noise are those of the trial whatever the setting, the number of
    trials or cycles, and the chunk that it is run in.
    grid: the published one of the system, with its `protocol`. model_dtype: precision of the forecasts (None for that
    of the analyses, which are in double precision). partial: a file that keeps finished scores, or None; code: a digest
    of the program, another one's scores are not used.
    """

    def __init__(
        self,
        search: tuple[str, float, str],
        grid: Mapping[str, Any],
        race: Race,
        seed: int,
        *,
        model_dtype: torch.dtype | None = torch.float32,
        partial: str | Path | None = None,
        code: str = "",
    ) -> None:
        name, self.sigma_y, self.method = search
        self.system, self.seed = make_system(name, model_dtype), seed
        self.protocol = Protocol(**grid["protocol"]).capped(race.cycles)
        self.burn_in = self.protocol.burn_in_cycles(self.system)
        # As many members as there are at most, so that a cell does not depend on which others are asked for.
        members = max(grid["inflation"]["default"])
        depends_on = [code, *search, seed, race.trials, members, asdict(self.protocol), str(model_dtype)]
        self.known = KeptScores(partial, hashlib.sha256(json.dumps(depends_on).encode()).hexdigest()[:16])
        self.experiment = simulate_experiment(make_system(name), self.protocol, race.trials, members, seed)
        self.observations = self.system.observe(self.experiment.truth) + self.sigma_y * self.experiment.noise

    def scores(
        self, members: int, settings: Sequence[Setting], trials: int | None = None, cycles: int | None = None
    ) -> np.ndarray:
        """RMSE (S, T), averaged over cycles after the burn-in, of each setting on the first `trials` trials.

        NaN where the trial diverged, also during the burn-in. members: ensemble size. cycles: after the burn-in; all of
        the protocol, or of the trials, where it is None or larger.
        """
        trials = min(trials or len(self.experiment.truth), len(self.experiment.truth))
        end = min(self.burn_in + (cycles or self.protocol.cycles), self.protocol.cycles)
        trial = Trial(self.system.name, self.sigma_y, self.method, members, 1, end, self.seed)
        # What fits into memory, as a number of runs: some settings on all trials, or one setting on some.
        runs = settings_per_chunk(self.system, trial, WORKING_BYTES, torch.float64)
        chunk, block = max(1, runs // trials), min(runs, trials)
        blocks = [slice(begin, min(begin + block, trials)) for begin in range(0, trials, block)]
        missing = {
            (part.start, part.stop): [s for s in settings if self._key(members, end, s, part) not in self.known.scores]
            for part in blocks
        }
        total = end * sum((stop - start) * len(todo) for (start, stop), todo in missing.items())
        title = f"{self.system.name} {self.sigma_y} {self.method} N={members}"
        with torch.no_grad(), tqdm(total=total, desc=title, unit="cycle", unit_scale=True, mininterval=5) as bar:
            for part in blocks:
                todo = missing[part.start, part.stop]
                for begin in range(0, len(todo), chunk):
                    self._run(members, end, todo[begin : begin + chunk], part, bar)
        found = [[self.known.scores[self._key(members, end, s, part)] for part in blocks] for s in settings]
        return np.array([np.concatenate(row) for row in found]).reshape(len(settings), trials)

    def _run(self, members: int, end: int, settings: Sequence[Setting], part: slice, bar: tqdm) -> None:
        """Run the first `end` cycles of `settings` on the trials `part` and keep the scores."""
        inflation = np.array([s[0] for s in settings])
        radius = np.array([s[1] for s in settings]) if self.method in LOCALIZED_METHODS else None
        first = self.experiment.first[part, :members]
        generator = torch_generator(self.seed, "published", self.system.name, self.method, members, self.sigma_y)
        # All trials are drawn and some used, so that a trial has its noise whichever others are run with it.
        shape = (len(self.experiment.truth), members, self.system.observation_size)
        record = run_filter(
            make_classical(self.method, self.system, self.sigma_y, inflation, radius),
            self.system,
            first.expand(len(settings), *first.shape),
            self.observations[part, :end],
            self.experiment.truth[part, :end],
            lambda: torch.randn(shape, generator=generator, dtype=torch.float64)[part],
            progress=lambda _: bar.update(len(settings) * (part.stop - part.start)),
        )
        scores = time_mean_rmse(record.rmse.numpy(), self.burn_in)
        scores[(record.diverged_at >= 0).numpy()] = np.nan  # also a run that broke down during the burn-in
        keys = [self._key(members, end, setting, part) for setting in settings]
        self.known.add(dict(zip(keys, scores.tolist(), strict=True)))

    @staticmethod
    def _key(members: int, end: int, setting: Setting, part: slice) -> str:
        return json.dumps([members, end, *setting, part.start, part.stop])


def run_race(
    scorer: Scorer, members: int, settings: Sequence[Setting], published: Setting, race: Race
) -> tuple[list[Setting], np.ndarray]:
    """The settings of the final round, from best to worst, and their scores (S, T) on all trials and cycles.

    The `published` setting is always among them.
    """
    left = list(settings)
    for number, stage in enumerate(race.rounds, start=1):
        scores = scorer.scores(members, left, stage.trials, stage.cycles)
        count = len(left)
        left = [left[i] for i in survivors(scores, stage.keep, race.standard_errors, race.fraction)]
        tqdm.write(f"N = {members}, round {number}: {len(left)} of {count} settings stay")
    left += [published] if published not in left else []
    scores = scorer.scores(members, left)
    order = ranking(scores)
    return [left[i] for i in order], scores[order]


def search_published_baselines(
    cells: pd.DataFrame,
    grids: Mapping[str, Any],
    race: Race,
    *,
    seed: int,
    model_dtype: torch.dtype | None = torch.float32,
    partial: str | Path | None = None,
    code: str = "",
) -> pd.DataFrame:
    """Search the full published grid of each of `cells`, rows of the published table of one system, sigma_y and method.

    grids: the published ones with their `protocol`. For model_dtype, partial and code see `Scorer`.
    Returns one row per ensemble size, in ascending order; `comparison_row` describes the columns.
    Raises `ValueError` if there are no cells, cells of several searches, or cells that no grid belongs to.
    """
    searches = cells[KEYS[:3]].drop_duplicates()
    if len(searches) != 1:
        raise ValueError(f"the cells should belong to one published search, but they belong to {len(searches)}")
    name, sigma_y, method = searches.iloc[0]
    if name not in grids:
        raise ValueError(unknown_name("system in the published grids", name, grids))
    search = (str(name), float(sigma_y), str(method))
    # Before anything is run, so that a cell without a grid is found at once.
    ordered = cells.sort_values("ensemble_size").to_dict("records")
    grid_of = {n: settings_of(grids, cells, (*search, n)) for n in (int(cell["ensemble_size"]) for cell in ordered)}
    scorer = Scorer(search, grids[name], race, seed, model_dtype=model_dtype, partial=partial, code=code)
    rows = []
    for cell in tqdm(ordered, desc="published baselines", unit="cell", mininterval=5):
        members = int(cell["ensemble_size"])
        finalists, scores = run_race(scorer, members, grid_of[members], published_setting(cell), race)
        compared = comparison_row(cell, finalists, scores, scorer.experiment.scale, grids[name]["protocol"]["trials"])
        rows.append(compared | {"n_settings": len(grid_of[members])})
    return pd.DataFrame(rows)[list(COLUMNS)]


def published_setting(cell: Mapping[str, Any]) -> Setting:
    """Inflation and localization radius of a row of the published table, as `settings_of` has them."""
    radius = None if pd.isna(cell["localization_radius"]) else float(cell["localization_radius"])
    return round(float(cell["inflation"]), 6), radius


def comparison_row(
    cell: Mapping[str, Any], finalists: Sequence[Setting], scores: np.ndarray, scale: np.ndarray, published_trials: int
) -> dict[str, Any]:
    """The published score of a cell and ours, that of the first of `finalists`.

    scores: RMSE (S, T) of the finalists, from best to worst. scale: root-mean-square (T,) of the truth.
    published_standard_error and standard_error are those of published_rmse and rmse, from their spreads over trials;
    difference_standard_error is that of their difference. rmse, rrmse: means over trials that did not diverge.
    rmse_at_published_setting: ours there, NaN if all trials diverged. n_final: settings of the final round.
    """
    rmse, deviation, diverged = mean_over_survivors(scores[0])
    error = deviation / max(scores.shape[1] - diverged, 1) ** 0.5
    published_error = cell["rmse_std_over_trials"] / published_trials**0.5
    difference_error = float(np.hypot(error, published_error))
    inflation, radius = finalists[0]
    return {
        **{key: cell[key] for key in KEYS},
        "published_inflation": cell["inflation"],
        "published_localization_radius": cell["localization_radius"],
        "published_rmse": cell["rmse"],
        "published_standard_error": published_error,
        "inflation": inflation,
        "localization_radius": np.nan if radius is None else radius,
        "rmse": rmse,
        "standard_error": error,
        "rrmse": mean_over_survivors(scores[0] / scale)[0],
        "published_rrmse": cell["rrmse"],
        "rmse_at_published_setting": mean_over_survivors(scores[finalists.index(published_setting(cell))])[0],
        "difference_standard_error": difference_error,
        "n_trials": scores.shape[1],
        "n_diverged": diverged,
        "n_final": len(finalists),
        "verdict": verdict(cell["rmse"], rmse, difference_error, diverged, bool(cell["some_trials_diverged"])),
    }


def verdict(published: float, ours: float, standard_error: float, diverged: int, published_diverged: bool) -> str:
    """Which of the two RMSE is smaller, if they differ by more than 3 standard errors of their difference.

    A published mean over surviving trials is not compared. If only trials of ours diverged, ours is worse.
    """
    if published_diverged:
        return SURVIVORS
    if diverged > 0 or ours - published > 3 * standard_error:
        return WORSE
    return BETTER if published - ours > 3 * standard_error else AGREES


def summarize(table: pd.DataFrame) -> pd.DataFrame:
    """Verdicts of `table`, one row per system and one, `all`, for the total.

    n_cells; the columns of `VERDICTS`; n_compared: cells in which neither a published trial nor one of ours diverged;
    percent_agreeing: of these, the percentage that agrees (NaN if there are none).
    """
    rows = []
    for name in [*dict.fromkeys(table["system"]), "all"]:
        part = table if name == "all" else table[table["system"] == name]
        compared = part[(part["verdict"] != SURVIVORS) & (part["n_diverged"] == 0)]
        counts = {column: int((part["verdict"] == text).sum()) for column, text in VERDICTS.items()}
        agreeing = int((compared["verdict"] == AGREES).sum())
        percent = 100.0 * agreeing / len(compared) if len(compared) else np.nan
        rows.append(
            {"system": name, "n_cells": len(part)} | counts | {"n_compared": len(compared), "percent_agreeing": percent}
        )
    return pd.DataFrame(rows)


def gather_searches(paths: Sequence[str | Path]) -> pd.DataFrame:
    """The tables of several searches as one, ordered by system, noise level, method and ensemble size.

    Raises `ValueError` if there are none.
    """
    if not paths:
        raise ValueError(
            "no published search belongs to the systems, noise levels and ensemble sizes of the config; "
            "resources/published/dapper_grid_search_best.csv lists those that there are"
        )
    return pd.concat(map(pd.read_csv, paths), ignore_index=True).sort_values(KEYS, ignore_index=True)
