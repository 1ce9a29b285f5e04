"""Scores of all filters from their evaluations, and the published numbers beside them."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from mnmef.assimilation.metrics import mean_over_survivors, relative_rmse
from mnmef.data.published import BURN_IN, KEYS, LEARNED
from mnmef.io.files import read_dataset
from mnmef.scores.bootstrap import mean_with_interval

TRAJECTORY_COLUMNS = [*KEYS, "trajectory", "rrmse"]
ABLATION_KEYS = ["experiment", "sigma_y", "ensemble_size", "inflation"]
SCORE_NUMBERS = ["rrmse", "rrmse_std", "n_trajectories", "n_diverged", "rrmse_low", "rrmse_high"]


def run_scores(run: xr.Dataset) -> pd.DataFrame:
    """Return R-RMSE of every test trajectory of an evaluation; see `trajectory_scores`."""
    rrmse = relative_rmse(*(run[name].values.astype(np.float64) for name in ("error_norm", "truth_norm")))
    places = pd.MultiIndex.from_product(
        [run["ensemble_size"].values, range(rrmse.shape[1])], names=["ensemble_size", "trajectory"]
    )
    table = pd.DataFrame({"rrmse": rrmse.ravel()}, places).reset_index()
    cell = {"experiment": run.attrs["experiment"], "sigma_y": float(run.attrs["sigma_y"])}
    return table.assign(**cell, method=run.attrs["method"])[TRAJECTORY_COLUMNS]


def trajectory_scores(paths: Sequence[str | Path]) -> pd.DataFrame:
    """Return R-RMSE of every test trajectory from evaluation files.

    Returns
    -------
    DataFrame
        The keys of a score, trajectory (from 0), rrmse (NaN where it diverged), sorted by these. The same number is the
        same truth, whatever the filter.

    Raises
    ------
    ValueError
        If a file is no evaluation.
    """
    parts = [run_scores(read_dataset(path, kind="evaluation")) for path in paths]
    return pd.concat(parts).sort_values(TRAJECTORY_COLUMNS[:-1], ignore_index=True)


def inflation_scores(paths: Sequence[str | Path]) -> pd.DataFrame:
    """Score every trajectory with and without the learned inflation (figure 9 of arXiv 2504.17836).

    Parameters
    ----------
    paths : sequence of str or Path
        Evaluations of one learned filter, with the inflation on or off in their settings.

    Returns
    -------
    DataFrame
        Columns `ABLATION_KEYS`, trajectory, and rrmse, its R-RMSE (NaN where it diverged).
    """
    parts = []
    for path in paths:
        run = read_dataset(path, kind="evaluation")
        model = json.loads(run.attrs["settings"])["model"]
        parts.append(run_scores(run).assign(inflation=model["inflation"]))
    columns = [*ABLATION_KEYS, "trajectory", "rrmse"]
    return pd.concat(parts)[columns].sort_values(columns[:-1], ignore_index=True)


def summarize(trajectories: pd.DataFrame, keys: list[str], seed: int) -> pd.DataFrame:
    """Summarize scores over trajectories.

    Parameters
    ----------
    trajectories : DataFrame
        The columns `keys`, trajectory and rrmse.
    keys : list of str
        Columns that tell cells apart.
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    DataFrame
        A row for each cell, sorted by `keys`. rrmse: R-RMSE without burn-in, mean over the trajectories that did not
        diverge (NaN if all did); rrmse_std: their standard deviation; n_diverged of n_trajectories became non-finite;
        rrmse_low and rrmse_high: 95 % interval of the mean (`mnmef.scores.bootstrap`).
    """
    rows = []
    for cell, part in trajectories.sort_values("trajectory").groupby(keys):
        values = part["rrmse"].to_numpy()
        mean, deviation, diverged = mean_over_survivors(values)
        interval = mean_with_interval(values, seed)
        rows.append([*cell, mean, deviation, len(values), diverged, interval.low, interval.high])
    return pd.DataFrame(rows, columns=[*keys, *SCORE_NUMBERS])


def compare_with_published(scores: pd.DataFrame, curves: pd.DataFrame, searches: pd.DataFrame) -> pd.DataFrame:
    """Put every published R-RMSE beside ours, NaN where this run has no such cell.

    Parameters
    ----------
    scores : DataFrame
        Summary of all evaluations.
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
    table["published_burn_in"] = table["experiment"].map(BURN_IN).mask(table["method"].isin(LEARNED), "none")
    table["our_burn_in"] = "none"
    order = ["source", *KEYS, "published", "ours", "ours_std", "relative_difference"]
    rest = ["n_trajectories", "n_diverged", "published_burn_in", "our_burn_in"]
    return table.sort_values(["source", *KEYS], ignore_index=True)[order + rest]
