"""Scores of all filters from their evaluations, and the published numbers beside them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from mnmef.assimilation.metrics import mean_over_survivors, relative_rmse
from mnmef.data.published import BURN_IN, KEYS, LEARNED
from mnmef.io.files import read_dataset

SCORE_COLUMNS = [*KEYS, "rrmse", "rrmse_std", "n_trajectories", "n_diverged"]


def score_evaluations(paths: Sequence[str | Path]) -> pd.DataFrame:
    """Score the evaluation files at `paths`.

    Returns
    -------
    DataFrame
        A row for each experiment, noise level, method and ensemble size, sorted by these. rrmse: R-RMSE without
        burn-in, mean over the trajectories that did not diverge (NaN if all did); rrmse_std: their standard deviation;
        n_diverged of n_trajectories became non-finite.

    Raises
    ------
    ValueError
        If a file is no evaluation.
    """
    rows = [row for path in paths for row in score_evaluation(read_dataset(path, kind="evaluation"))]
    table = pd.DataFrame(rows, columns=SCORE_COLUMNS)
    return table.sort_values(KEYS, ignore_index=True)


def score_evaluation(evaluation: xr.Dataset) -> list[dict[str, object]]:
    """Return the rows of one evaluation, one for each ensemble size; see `score_evaluations`."""
    rows: list[dict[str, object]] = []
    for members, values in zip(evaluation["ensemble_size"].values, trajectory_rrmse(evaluation), strict=True):
        mean, deviation, diverged = mean_over_survivors(values)
        numbers = {"rrmse": mean, "rrmse_std": deviation, "n_trajectories": len(values), "n_diverged": diverged}
        rows.append(score_keys(evaluation, int(members)) | numbers)
    return rows


def trajectory_rrmse(evaluation: xr.Dataset) -> np.ndarray:
    """Return R-RMSE (ensemble sizes, T) of every trajectory, NaN where it diverged."""
    error, truth = (evaluation[name].values.astype(np.float64) for name in ("error_norm", "truth_norm"))
    return relative_rmse(error, truth)


def score_keys(evaluation: xr.Dataset, members: int) -> dict[str, object]:
    """Return the keys of a score of an evaluation."""
    cell = evaluation.attrs["experiment"], float(evaluation.attrs["sigma_y"]), evaluation.attrs["method"], members
    return dict(zip(KEYS, cell, strict=True))


def compare_with_published(scores: pd.DataFrame, curves: pd.DataFrame, searches: pd.DataFrame) -> pd.DataFrame:
    """Put every published R-RMSE beside ours, NaN where this run has no such cell.

    Parameters
    ----------
    scores : DataFrame
        Table of `score_evaluations`.
    curves : DataFrame
        Published R-RMSE of figures 1, 4 and 7.
    searches : DataFrame
        The released search tables, scored with a burn-in (`published_burn_in`); ours has none.

    Returns
    -------
    DataFrame
        relative_difference is (ours - published) / published.
    """
    sources = {"figures 1, 4, 7": curves, "released search tables": searches}
    published = pd.concat([table[[*KEYS, "rrmse"]].assign(source=source) for source, table in sources.items()])
    ours = scores.rename(columns={"rrmse": "ours", "rrmse_std": "ours_std"})
    table = published.rename(columns={"rrmse": "published"}).merge(ours, on=KEYS, how="left")
    table["relative_difference"] = (table["ours"] - table["published"]) / table["published"]
    is_learned = table["method"].isin(LEARNED)
    table["published_burn_in"] = np.where(is_learned, "none", table["experiment"].map(BURN_IN))
    table["our_burn_in"] = "none"
    order = ["source", *KEYS, "published", "ours", "ours_std", "relative_difference"]
    rest = ["n_trajectories", "n_diverged", "published_burn_in", "our_burn_in"]
    return table.sort_values(["source", *KEYS], ignore_index=True)[order + rest]
