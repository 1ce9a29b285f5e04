"""The table of the timings of figure 8, and its summary."""

import pandas as pd

TIMING_COLUMNS = [
    *("experiment", "sigma_y", "method", "device", "hardware", "threads", "ensemble_size", "batch", "repeat", "cycles"),
    *("forecast_seconds", "analysis_seconds"),
]
"""Columns of the timings, one a row.

Seconds are those of a cycle of all `batch` trajectories together; the timing spans `cycles`.
"""


def timing_summary(timings: pd.DataFrame) -> pd.DataFrame:
    """Compute median, minimum and maximum over repeats of the seconds of a cycle and trajectory.

    Parameters
    ----------
    timings : DataFrame
        Columns `TIMING_COLUMNS`.

    Returns
    -------
    DataFrame
        The columns that describe a filter, then part (forecast or analysis), seconds, seconds_low, seconds_high and
        repeats.
    """
    parts = ["forecast_seconds", "analysis_seconds"]
    keys = [name for name in TIMING_COLUMNS if name not in ("repeat", "cycles", *parts)]
    long = timings.melt(keys, parts, var_name="part", value_name="seconds")
    long["seconds"] /= long["batch"]
    long["part"] = long["part"].str.removesuffix("_seconds")
    grouped = long.groupby([*keys, "part"], sort=False)["seconds"]
    found = grouped.agg(seconds="median", seconds_low="min", seconds_high="max", repeats="count")
    return found.reset_index()
