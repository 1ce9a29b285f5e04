"""The published baselines, searched again: the batched filters on the published grids, under the published protocol.

`mnmef.studies.published_scorer` simulates the trials. The RMSE of the analysis mean is averaged over the cycles after
the burn-in, and the R-RMSE is that number divided by the root-mean-square of the components of a second, independent
truth over the same cycles.

A published score is the smallest mean of its grid, on the trials that it was chosen on, and ours is the same: a minimum
is compared with a minimum. Settings that are clearly worse leave early (`mnmef.search.race`); whoever is left at the
end, and always the published setting, runs all cycles of all trials. We run 64 trials of every experiment, while some
published scores are minima over 4 trials, which are lower the noisier those trials are. Source: the configuration
released with the paper, section `search` of the experiments' files.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from mnmef.assimilation.metrics import mean_over_survivors
from mnmef.data.published import KEYS
from mnmef.filters.classical import Setting
from mnmef.io.files import read_table
from mnmef.search.grids import settings_of
from mnmef.search.race import Race, ranking, survivors
from mnmef.studies.published_scorer import PublishedSearch, Scorer

AGREES = "agrees within 3 standard errors"
BETTER = "better"
WORSE = "worse"
SURVIVORS = "published value is over surviving trials only"
VERDICTS = {"n_agrees": AGREES, "n_better": BETTER, "n_worse": WORSE, "n_survivors_only": SURVIVORS}
"""Column of the summary -> the verdict that it counts."""
PUBLISHED_COLUMNS = (
    *KEYS,
    *("published_inflation", "published_localization_radius", "published_rmse", "published_standard_error"),
    *("inflation", "localization_radius", "rmse", "standard_error", "rrmse", "published_rrmse"),
    *("rmse_at_published_setting", "difference_standard_error"),
    *("n_trials", "n_diverged", "n_settings", "n_final", "verdict"),
)
"""Columns of the table; `comparison_row` defines them, and n_settings is the size of the grid."""


def run_race(
    scorer: Scorer, members: int, settings: Sequence[Setting], published: Setting, race: Race
) -> tuple[list[Setting], np.ndarray]:
    """Race the settings of one ensemble size.

    Returns the settings of the final round, from best to worst, the `published` setting always among them, and their
    scores (S, T) on all trials and cycles.
    """
    left = list(settings)
    for number, stage in enumerate(race.rounds, start=1):
        scores = scorer.scores(members, left, stage.trials, stage.cycles)
        staying = [left[i] for i in survivors(scores, stage.keep, race.standard_errors, race.fraction)]
        tqdm.write(f"N = {members}, round {number}: {len(staying)} of {len(left)} settings stay")
        left = staying
    left += [published] if published not in left else []
    scores = scorer.scores(members, left)
    order = ranking(scores)
    return [left[i] for i in order], scores[order]


def search_published_baselines(
    cells: pd.DataFrame, search: PublishedSearch, race: Race, partial: str | Path | None = None, code: str = ""
) -> pd.DataFrame:
    """Search the full published grid of each cell.

    Parameters
    ----------
    cells : DataFrame
        Rows of the published table that belong to `search`, one for each ensemble size.
    search : PublishedSearch
    race : Race
        Rounds of the search.
    partial : str or Path or None
        File of finished scores.
    code : str
        Digest of the program; the scores of another one are not used.

    Returns
    -------
    DataFrame
        A row for each ensemble size, in ascending order, in `PUBLISHED_COLUMNS`.

    Raises
    ------
    ValueError
        If there are no cells, cells of another search, or cells that no grid belongs to.
    """
    own = (search.experiment.name, search.sigma_y, search.method)
    found = cells[KEYS[:3]].drop_duplicates()
    if len(found) != 1 or tuple(found.iloc[0]) != own:
        raise ValueError(
            f"the cells should belong to the published search {own}, but they are of {found.values.tolist()}"
        )
    # Before anything is run, so that a cell without a grid is found at once.
    grids = {n: settings_of(search.grid, cells, (*own, n)) for n in sorted(cells["ensemble_size"].astype(int))}
    scorer = Scorer(search, race, partial, code)
    rows = []
    ordered = cells.sort_values("ensemble_size").to_dict("records")
    for cell in tqdm(ordered, desc="published baselines", unit="cell", mininterval=5):
        members = int(cell["ensemble_size"])
        finalists, scores = run_race(scorer, members, grids[members], published_setting(cell), race)
        compared = comparison_row(cell, finalists, scores, scorer.trials.scale, search.grid["protocol"]["trials"])
        rows.append(compared | {"n_settings": len(grids[members])})
    return pd.DataFrame(rows)[list(PUBLISHED_COLUMNS)]


def published_setting(cell: Mapping[str, Any]) -> Setting:
    """Return inflation and localization radius of a row of the published table, as `settings_of` has them."""
    inflation, radius = Setting.of(cell)
    return Setting(round(inflation, 6), radius)


def comparison_row(
    cell: Mapping[str, Any], finalists: Sequence[Setting], scores: np.ndarray, scale: np.ndarray, published_trials: int
) -> dict[str, Any]:
    """Compare the published score of a cell with ours, that of the first finalist.

    Parameters
    ----------
    cell : mapping
        Row of the published table.
    finalists : sequence of Setting
        From best to worst.
    scores : array (S, T)
        RMSE of the finalists in each trial.
    scale : array (T,)
        Root-mean-square of the truth.
    published_trials : int
        Trials of the published score.

    Returns
    -------
    dict
        rmse, rrmse: means over trials that did not diverge. published_standard_error and standard_error are those of
        published_rmse and rmse, from their spreads over trials; difference_standard_error is that of their difference.
        rmse_at_published_setting: ours there, NaN if all trials diverged. n_final: settings of the final round.
    """
    rmse, deviation, diverged = mean_over_survivors(scores[0])
    error = deviation / max(scores.shape[1] - diverged, 1) ** 0.5
    published_error = cell["rmse_std_over_trials"] / published_trials**0.5
    difference_error = float(np.hypot(error, published_error))
    inflation, radius = finalists[0]
    return {
        **{key: cell[key] for key in KEYS},
        **{f"published_{key}": cell[key] for key in ("inflation", "localization_radius", "rmse", "rrmse")},
        "published_standard_error": published_error,
        "inflation": inflation,
        "localization_radius": np.nan if radius is None else radius,
        "rmse": rmse,
        "standard_error": error,
        "rrmse": mean_over_survivors(scores[0] / scale)[0],
        "rmse_at_published_setting": mean_over_survivors(scores[finalists.index(published_setting(cell))])[0],
        "difference_standard_error": difference_error,
        "n_trials": scores.shape[1],
        "n_diverged": diverged,
        "n_final": len(finalists),
        "verdict": verdict(cell["rmse"], rmse, difference_error, diverged, bool(cell["some_trials_diverged"])),
    }


def verdict(published: float, ours: float, standard_error: float, diverged: int, published_diverged: bool) -> str:
    """Judge which RMSE is smaller, if they differ by more than 3 standard errors of their difference.

    A published mean over surviving trials is not compared. If only trials of ours diverged, ours is worse.
    """
    if published_diverged:
        return SURVIVORS
    if diverged > 0 or ours - published > 3 * standard_error:
        return WORSE
    return BETTER if published - ours > 3 * standard_error else AGREES


def count_verdicts(table: pd.DataFrame) -> pd.DataFrame:
    """Count the verdicts of a table with `PUBLISHED_COLUMNS`.

    Returns
    -------
    DataFrame
        A row per experiment and one, `all`, for the total. n_cells; the columns of `VERDICTS`; n_compared: cells in
        which neither a published trial nor one of ours diverged; percent_agreeing: of these, the percentage that
        agrees (NaN if there are none).
    """
    rows = []
    for name, part in pd.concat([table, table.assign(experiment="all")]).groupby("experiment", sort=False):
        compared = part[(part["verdict"] != SURVIVORS) & (part["n_diverged"] == 0)]
        percent = 100.0 * (compared["verdict"] == AGREES).sum() / len(compared) if len(compared) else np.nan
        counts = {column: (part["verdict"] == text).sum() for column, text in VERDICTS.items()}
        rows.append({"experiment": name, "n_cells": len(part), **counts})
        rows[-1] |= {"n_compared": len(compared), "percent_agreeing": percent}
    return pd.DataFrame(rows)


def gather_searches(paths: Sequence[str | Path]) -> pd.DataFrame:
    """Return the tables of several searches as one, ordered by experiment, noise level, method and ensemble size.

    Raises `ValueError` if there are none.
    """
    if not paths:
        raise ValueError(
            "no published search belongs to the experiments, noise levels and ensemble sizes of the config; "
            "resources/published/dapper_grid_search_best.csv lists those that there are"
        )
    return pd.concat(map(read_table, paths), ignore_index=True).sort_values(KEYS, ignore_index=True)
