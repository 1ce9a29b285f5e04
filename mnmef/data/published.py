"""The published numbers, as tables with this project's method names.

Source: "Learning Enhanced Ensemble Filters", arXiv 2504.17836v4, and the tables released with its code; see
resources/published/README.md for what each file holds and how far to trust it.
"""

from pathlib import Path

import pandas as pd

KEYS = ["system", "sigma_y", "method", "ensemble_size"]

BURN_IN = {
    "lorenz63": "106 of 1500 cycles",
    "lorenz96": "133 of 1500 cycles",
    "ks": "1000 of 2000 cycles",
}
"""What the published baselines dropped before averaging; the published MNMEF dropped nothing."""

LEARNED = ("mnmef_pretrained", "mnmef_tuned")


def load_curves(path: str | Path) -> pd.DataFrame:
    """R-RMSE of figures 1, 4 and 7: system, sigma_y, method, ensemble_size, rrmse (NaN where the figure says NaN)."""
    return _load(path, [*KEYS, "rrmse"])


def load_searches(path: str | Path) -> pd.DataFrame:
    """Best settings and scores of the published search, one row per system, noise level, method and ensemble size."""
    scores = ["rmse", "rmse_std_over_trials", "rrmse", "some_trials_diverged"]
    return _load(path, [*KEYS, "inflation", "localization_radius", *scores])


def _load(path: str | Path, columns: list[str]) -> pd.DataFrame:
    table = pd.read_csv(path)
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise ValueError(f"{path} lacks the columns {', '.join(missing)}; restore the file from the repository")
    return table
