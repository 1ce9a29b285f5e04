"""The table of the timings of figure 8, and what it comes down to."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

TIMING_COLUMNS = [
    *("system", "sigma_y", "method", "device", "hardware", "threads", "ensemble_size", "batch", "repeat", "cycles"),
    *("forecast_seconds", "analysis_seconds"),
]
"""A row is a timing. Seconds are those of a cycle of all `batch` trajectories together; the timing spans `cycles`."""


def gather(parts: Sequence[tuple[dict[str, Any], pd.DataFrame]]) -> pd.DataFrame:
    """The table of `TIMING_COLUMNS` from timings and what describes each."""
    return pd.concat([table.assign(**cell) for cell, table in parts], ignore_index=True)[TIMING_COLUMNS]


def summarize(timings: pd.DataFrame) -> pd.DataFrame:
    """Median, least and most over repeats of the seconds of a cycle and trajectory, forecast and analysis apart.

    Columns: those that describe a filter, part (forecast or analysis), seconds, seconds_low, seconds_high, repeats.
    """
    keys = [name for name in TIMING_COLUMNS if name not in ("repeat", "cycles", "forecast_seconds", "analysis_seconds")]
    long = timings.melt(keys, ["forecast_seconds", "analysis_seconds"], var_name="part", value_name="seconds")
    long["seconds"] /= long["batch"]
    long["part"] = long["part"].str.removesuffix("_seconds")
    grouped = long.groupby([*keys, "part"], sort=False)["seconds"]
    found = grouped.agg(seconds="median", seconds_low="min", seconds_high="max", repeats="count")
    return found.reset_index()
