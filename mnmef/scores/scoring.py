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
    """One row per system, noise level, method and ensemble size from evaluation files, sorted by these.

    rrmse: R-RMSE without burn-in, mean over the trajectories that did not diverge (NaN if all did); rrmse_std: their
    standard deviation; n_diverged of n_trajectories became non-finite. Raises `ValueError` for a file that is no
    evaluation.
    """
    rows = [row for path in paths for row in score_evaluation(read_dataset(path, kind="evaluation"))]
    table = pd.DataFrame(rows, columns=SCORE_COLUMNS)
    return table.sort_values(KEYS, ignore_index=True)


def score_evaluation(evaluation: xr.Dataset) -> list[dict[str, object]]:
    """The rows of one evaluation, one per ensemble size; see `score_evaluations`."""
    per_trajectory = relative_rmse(
        evaluation["error_norm"].values.astype(np.float64), evaluation["truth_norm"].values.astype(np.float64)
    )
    rows: list[dict[str, object]] = []
    for members, values in zip(evaluation["ensemble_size"].values, per_trajectory, strict=True):
        mean, deviation, diverged = mean_over_survivors(values)
        rows.append(
            {
                "system": evaluation.attrs["system"],
                "sigma_y": float(evaluation.attrs["sigma_y"]),
                "method": evaluation.attrs["method"],
                "ensemble_size": int(members),
                "rrmse": mean,
                "rrmse_std": deviation,
                "n_trajectories": len(values),
                "n_diverged": diverged,
            }
        )
    return rows


def compare_with_published(scores: pd.DataFrame, curves: pd.DataFrame, searches: pd.DataFrame) -> pd.DataFrame:
    """Every published R-RMSE beside ours (NaN where this run has no such cell).

    curves: of figures 1, 4, 7. searches: of the released search tables, scored by other rules than ours, which
    `published_burn_in` states; ours has none. relative_difference is (ours - published) / published.
    """
    published = pd.concat(
        [
            curves[[*KEYS, "rrmse"]].assign(source="figures 1, 4, 7"),
            searches[[*KEYS, "rrmse"]].assign(source="released search tables"),
        ]
    ).rename(columns={"rrmse": "published"})
    ours = scores.rename(columns={"rrmse": "ours", "rrmse_std": "ours_std"})
    table = published.merge(ours, on=KEYS, how="left")
    table["relative_difference"] = (table["ours"] - table["published"]) / table["published"]
    is_learned = table["method"].isin(LEARNED)
    table["published_burn_in"] = np.where(is_learned, "none", table["system"].map(BURN_IN))
    table["our_burn_in"] = "none"
    order = ["source", *KEYS, "published", "ours", "ours_std", "relative_difference"]
    rest = ["n_trajectories", "n_diverged", "published_burn_in", "our_burn_in"]
    return table.sort_values(["source", *KEYS], ignore_index=True)[order + rest]
