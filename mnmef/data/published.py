"""Published numbers, as tables with this project's method names.

Source: "Learning Enhanced Ensemble Filters", arXiv 2504.17836v4, and the tables released with its code; see
resources/published/README.md for what each file holds and how far to trust it.
"""

from pathlib import Path

import pandas as pd

from mnmef.io.files import read_table

KEYS = ["experiment", "sigma_y", "method", "ensemble_size"]

BURN_IN = {"lorenz63": "106 of 1500 cycles", "lorenz96": "133 of 1500 cycles", "ks": "1000 of 2000 cycles"}
"""Cycles that the published baselines dropped before averaging; the published MNMEF dropped none."""

LEARNED = ("mnmef_pretrained", "mnmef_finetuned")


def load_curves(path: str | Path) -> pd.DataFrame:
    """Read R-RMSE of figures 1, 4 and 7.

    Returns
    -------
    DataFrame
        Columns experiment, sigma_y, method, ensemble_size and rrmse (NaN where the figure has NaN).

    Raises
    ------
    ValueError
        If a column is missing.
    """
    return _load(path, [*KEYS, "rrmse"])


def load_searches(path: str | Path) -> pd.DataFrame:
    """Read the best settings and scores of the published search.

    Returns
    -------
    DataFrame
        One row for each experiment, sigma_y, method and ensemble_size, with its setting (inflation,
        localization_radius) and its scores.

    Raises
    ------
    ValueError
        If a column is missing.
    """
    scores = ["rmse", "rmse_std_over_trials", "rrmse", "some_trials_diverged"]
    return _load(path, [*KEYS, "inflation", "localization_radius", *scores])


def _load(path: str | Path, columns: list[str]) -> pd.DataFrame:
    table = read_table(path)
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise ValueError(f"{path} lacks the columns {', '.join(missing)}; restore the file from the repository")
    return table
