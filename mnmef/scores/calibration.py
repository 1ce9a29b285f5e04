"""Scores besides R-RMSE from evaluations: calibration, forecasts, divergence, and how fast a filter finds the truth."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from mnmef.assimilation.metrics import mean_over_survivors, relative_rmse
from mnmef.data.published import KEYS
from mnmef.io.files import read_dataset

MEANS = {
    "crps": "crps",
    "energy_score": "energy_score",
    "coverage": "coverage_95",
    "rmse_observed": "rmse_observed",
    "rmse_unobserved": "rmse_unobserved",
}
"""Variables of an evaluation (see `mnmef.evaluation.calibration`) and the columns that hold their means over
trajectories.
"""

CALIBRATION_COLUMNS = ["divergence_rate", "forecast_rrmse", "spread_error_ratio", *MEANS.values(), "cycles_to_converge"]
CONVERGED = 1.1
"""A run from a climatological first ensemble has converged at this multiple of the error of the ordinary run."""


def add_calibration(scores: pd.DataFrame, paths: Sequence[str | Path]) -> pd.DataFrame:
    """Add the columns `CALIBRATION_COLUMNS`, of survivors alone, to `scores` from their evaluations at `paths`.

    divergence_rate: fraction of the trajectories that diverged. forecast_rrmse: R-RMSE of the forecast mean.
    spread_error_ratio, cycles_to_converge: see the functions of these names. The rest: means over trajectories of what
    `mnmef.evaluation.calibration` says; an evaluation without it yields NaN.
    """
    runs = (read_dataset(path, kind="evaluation") for path in paths)
    rows = [_row(run.sel(ensemble_size=members)) for run in runs for members in run["ensemble_size"].values]
    table = pd.DataFrame(rows, columns=[*KEYS, *CALIBRATION_COLUMNS])
    return scores.merge(table, on=KEYS, how="left", validate="one_to_one")


def _row(run: xr.Dataset) -> dict[str, object]:
    """Return the keys and scores of an evaluation at one ensemble size."""

    def field(name: str) -> np.ndarray:
        return run[name].values.astype(np.float64)

    members, error, truth = int(run["ensemble_size"]), field("error_norm"), field("truth_norm")
    cell = run.attrs["experiment"], float(run.attrs["sigma_y"]), run.attrs["method"], members
    scores = {
        "divergence_rate": float(np.isnan(error).any(-1).mean()),
        "forecast_rrmse": mean_over_survivors(relative_rmse(field("forecast_error_norm"), truth))[0],
        "spread_error_ratio": spread_error_ratio(field("spread"), error / run.attrs["state_size"] ** 0.5, members),
    }
    for name, column in MEANS.items():
        scores[column] = mean_over_survivors(field(name))[0] if name in run else np.nan
    is_second = members == run.attrs.get("climatology_ensemble_size")
    scores["cycles_to_converge"] = cycles_to_converge(error, field("climatology_error_norm")) if is_second else np.nan
    return dict(zip(KEYS, cell, strict=True)) | scores


def spread_error_ratio(spread: np.ndarray, rmse: np.ndarray, members: int) -> float:
    """Compute `sqrt((N + 1) / N mean(spread^2)) / sqrt(mean(rmse^2))` over all cycles of surviving trajectories.

    The factor makes the ratio 1 at every N if the truth is drawn like the members, since the mean of N draws has a
    variance of its own (Fortin et al., J. Hydrometeorol. 15, 2014). Below 1: too sure.

    Parameters
    ----------
    spread, rmse : ndarray (T, K)
        Roots of means over components; the variance of the spread has the divisor N - 1.
    members : int

    Returns
    -------
    float
        NaN if no trajectory survives.
    """
    whole = np.isfinite(spread).all(-1) & np.isfinite(rmse).all(-1)
    if not whole.any():
        return float("nan")
    return float(np.sqrt((members + 1) / members * np.mean(spread[whole] ** 2) / np.mean(rmse[whole] ** 2)))


def cycles_to_converge(error: np.ndarray, from_climatology: np.ndarray) -> float:
    """Find the first cycle at which a run from a climatological first ensemble is at most 10 % worse than usual.

    A filter that settles at a large error is there soon: read it beside R-RMSE.

    Parameters
    ----------
    error : ndarray (T, K)
        Errors of the ordinary run, averaged over cycles and the trajectories that survive in both.
    from_climatology : ndarray (T, k)
        Errors of the run from a climatological first ensemble, averaged over the same trajectories.

    Returns
    -------
    float
        The cycle, from 1; NaN if it does not happen within k cycles, or if no trajectory survives.
    """
    whole = np.isfinite(error).all(-1) & np.isfinite(from_climatology).all(-1)
    if not whole.any():
        return float("nan")
    there = from_climatology[whole].mean(0) <= CONVERGED * error[whole].mean()
    return float(there.argmax() + 1) if there.any() else float("nan")
