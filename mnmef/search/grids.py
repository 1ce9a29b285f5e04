"""Which settings to search, and how the published baselines were scored: the published grids and winners as data."""

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from mnmef.core.errors import unknown_name
from mnmef.filters.classical import LOCALIZED_METHODS

Setting = tuple[float, float | None]
"""Inflation, and localization radius in grid points or None."""

WINNER_COLUMNS = ("system", "sigma_y", "method", "ensemble_size", "inflation", "localization_radius")


def load_grids(path: str | Path) -> dict[str, Any]:
    """The published grids, `resources/published/search_grids.yaml`; `ValueError` if the file holds something else."""
    grids = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    if not isinstance(grids, dict) or not all(isinstance(g, dict) and "inflation" in g for g in grids.values()):
        raise ValueError(f"{path} should hold, for each system, the lists of a search; take the one of this repository")
    return grids


def published_winners(path: str | Path) -> pd.DataFrame:
    """The published best settings and scores, `resources/published/dapper_grid_search_best.csv`.

    Raises `ValueError` naming the columns that are missing.
    """
    winners = pd.read_csv(path)
    missing = [column for column in WINNER_COLUMNS if column not in winners.columns]
    if missing:
        raise ValueError(f"{path} lacks the columns {', '.join(missing)}; take the file of this repository")
    return winners


def settings_of(
    grids: Mapping[str, Any],
    winners: pd.DataFrame,
    cell: tuple[str, float, str, int],
    *,
    inflation_stride: int = 1,
    radius_stride: int = 1,
) -> list[Setting]:
    """Settings to try for one `cell` (system, sigma_y, method, ensemble size), in ascending order.

    Every `stride`-th value of the published lists, and the published winner, which may lie outside them. The localized
    EnKF is in no published list: it takes the LETKF's radii and winner, and the inflations of the other methods.
    Raises `ValueError` for a system or an ensemble size without a published list, and for a method that localizes where
    there are no radii.
    """
    system, sigma_y, method, members = cell
    if system not in grids:
        raise ValueError(unknown_name("system in the published grids", system, grids))
    grid = grids[system]
    lists = grid["inflation"].get(method, grid["inflation"]["default"])
    if members not in lists:
        raise ValueError(unknown_name(f"ensemble size in the grid of {system}", members, lists))
    step, count = lists[members]["step"], lists[members]["count"]
    inflations = [round(1.0 + step * i, 6) for i in range(0, count, inflation_stride)]
    radii: list[float | None] = [None]
    if method in LOCALIZED_METHODS:
        if "localization_radius" not in grid:
            raise ValueError(f"{method} localizes, but there are no localization radii for {system}")
        radii = [float(r) for r in grid["localization_radius"][members][::radius_stride]]
    settings: set[Setting] = set(itertools.product(inflations, radii))
    source = "letkf" if method in LOCALIZED_METHODS else method
    same = (winners["system"] == system) & (winners["method"] == source) & (winners["ensemble_size"] == members)
    for row in winners[same & np.isclose(winners["sigma_y"], sigma_y)].itertuples():
        radius = None if pd.isna(row.localization_radius) else float(row.localization_radius)
        settings.add((round(float(row.inflation), 6), radius))
    return sorted(settings, key=lambda setting: (setting[0], setting[1] or 0.0))
