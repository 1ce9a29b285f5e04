"""Search for inflation and localization radius of a classical filter, on the tuning split.

Engines: `batched` runs all settings and trajectories at once in torch; `dapper` runs DAPPER once per setting and
trajectory, as the paper did; `screened` scores the whole grid with the batched engine on few trajectories, the best of
it on all of them, and lets DAPPER confirm the best of these. A setting in which trajectories diverge does not beat one
in which fewer do; the published setting stays unless another is clearly better on the trajectories that both keep.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from mnmef.core.errors import unknown_name
from mnmef.filters.classical import Setting
from mnmef.filters.dapper_bridge import DAPPER_METHODS
from mnmef.io.resume import ResumeFile
from mnmef.search.engines import EACH, score_batched, score_with_dapper
from mnmef.search.grids import Candidates
from mnmef.search.race import survivors
from mnmef.search.trial import Trial

SEARCH_ENGINES = ("batched", "dapper", "screened")

STANDARD_ERRORS, FRACTION = 3.0, 0.02
"""A setting is clearly better than the published one by more than so many standard errors of the paired difference and
by more than this fraction."""


def search_method(
    search: Mapping[str, Any],
    split: xr.Dataset,
    sigma_y: float,
    method: str,
    candidates: Mapping[int, Candidates],
    *,
    seed: int,
    lag: int = 2,
    known: ResumeFile | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Score the candidates of `method` for every ensemble size on the tuning `split`.

    Parameters
    ----------
    search : mapping
        The config's section `search`.
    split : Dataset
        The tuning split of one experiment.
    sigma_y : float
        Noise level, state units.
    method : str
        One of `CLASSICAL_METHODS`.
    candidates : mapping of int to Candidates
        The settings to try, by ensemble size.
    seed : int
        Root of the analysis noise.
    lag : int
        Window of `ienks`, in cycles.
    known : ResumeFile, optional
        Scores of an interrupted search; its digest is a `fingerprint`.

    Returns
    -------
    scores, best : DataFrame
        All scores, and the row of the best setting of each ensemble size. Columns: experiment, sigma_y, method,
        ensemble_size, inflation, localization_radius, engine, rrmse, rrmse_std, rmse, n_trajectories, n_cycles,
        n_diverged. R-RMSE without burn-in, mean over surviving trajectories.

    Raises
    ------
    ValueError
        The engine or the method is unknown, or the split is too small.
    """
    if search["engine"] not in SEARCH_ENGINES:
        raise ValueError(unknown_name("search engine", search["engine"], SEARCH_ENGINES))
    cell = (split.attrs["experiment"], sigma_y, method)
    trials = {n: Trial(*cell, n, search["trajectories"], search["cycles"], seed, lag) for n in candidates}
    tables = [search_cell(search, split, trials[n], tried, known) for n, tried in candidates.items()]
    scores, best = (pd.concat(parts, ignore_index=True).drop(columns=EACH) for parts in zip(*tables, strict=True))
    return scores, best


def search_cell(
    search: Mapping[str, Any],
    split: xr.Dataset,
    trial: Trial,
    candidates: Candidates,
    known: ResumeFile | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Score the candidates of one ensemble size with the engine of `search`; return (all scores, the row of the best).

    With `screened`, the published setting is among those that go on, and a setting that DAPPER sees diverge more often
    than others is not chosen, however good its score. The choice is not left to DAPPER's scores: they come from fewer
    trajectories of the same filter.
    """
    # DAPPER has no perturbed-observation EnKF with covariance localization: it stays with the batched engine.
    has_dapper, settings = trial.method in DAPPER_METHODS, candidates.settings
    if search["engine"] == "batched" or (search["engine"] == "dapper" and has_dapper):
        score = score_batched if search["engine"] == "batched" else score_with_dapper
        scores = score(settings, split, trial, known=known)
        return scores, scores.loc[preferred(scores, candidates)[:1]]
    screen, confirm = search["screen"], search["confirm"]
    coarse = score_batched(settings, split, _smaller(trial, screen), known=known)
    ranked = [settings[i] for i in rank_settings(coarse).index]
    ranked.sort(key=lambda setting: setting != candidates.published)  # stable: the published one, then by rank
    few = ranked[: screen["settings"]]
    tables = [coarse, score_batched(few, split, trial, known=known)]
    order = preferred(tables[1], candidates)
    if has_dapper:
        leading = order[: confirm["settings"]]
        tables.append(score_with_dapper([few[i] for i in leading], split, _smaller(trial, confirm), known=known))
        order = leading[np.argsort(tables[2]["n_diverged"], kind="stable")]
    return pd.concat(tables, ignore_index=True), tables[1].loc[order[:1]]


def preferred(scores: pd.DataFrame, candidates: Candidates) -> np.ndarray:
    """Return the positions of settings in their order of preference.

    The published setting comes first, so that searches on few trajectories choose alike, unless the best one is clearly
    better on the trajectories that both keep (see `mnmef.search.race.survivors`), or these are less than half of all.
    Then come those that are not clearly worse than the best, by larger inflation: with too little of it the truth is
    lost now and then, which a short run may not show.
    """
    each, ranked = np.array(scores[EACH].tolist()), rank_settings(scores).index
    first = [i for i in ranked if Setting.of(scores.loc[i]) == candidates.published and _stays(each[[ranked[0], i]])]
    near = sorted(survivors(each, len(each), STANDARD_ERRORS, FRACTION), key=lambda i: -scores["inflation"][i])
    return np.array(list(dict.fromkeys([*first, *near, *ranked])))


def _stays(pair: np.ndarray) -> bool:
    """Return whether the second of two settings is not clearly worse than the first, by scores (2, T)."""
    common = pair[:, np.isfinite(pair).all(0)]
    return 2 * common.shape[1] >= pair.shape[1] and 1 in survivors(common, 2, STANDARD_ERRORS, FRACTION)


def _smaller(trial: Trial, stage: Mapping[str, int]) -> Trial:
    """Return `trial` with the trajectories and cycles of a `stage` of the search."""
    return replace(trial, trajectories=stage["trajectories"], cycles=stage["cycles"])


def rank_settings(scores: pd.DataFrame) -> pd.DataFrame:
    """Sort `scores`: fewest diverged trajectories first, then smallest R-RMSE; ties keep their order."""
    return scores.sort_values(["n_diverged", "rrmse"], na_position="last", kind="stable")


def fingerprint(split: xr.Dataset, sigma_y: float, code: str = "") -> str:
    """Digest the program `code` and the truth, observations and first ensembles of `split`, which decide scores."""
    level = int(np.argmin(np.abs(split["sigma_y"].values - sigma_y)))
    total = hashlib.sha256(f"{code} {split.attrs['experiment']} {sigma_y}".encode())
    for values in (split["observation"].values[level], split["first_ensemble"].values, split["truth"].values):
        total.update(np.ascontiguousarray(values).tobytes())
    return total.hexdigest()[:16]
