"""Settings to search: the published grids, thinned or not, and the published winners."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mnmef.core.errors import unknown_name
from mnmef.core.names import LOCALIZED_METHODS
from mnmef.filters.classical import Setting


def settings_of(
    grid: Mapping[str, Any],
    winners: pd.DataFrame,
    cell: tuple[str, float, str, int],
    *,
    inflation_stride: int = 1,
    radius_stride: int = 1,
) -> list[Setting]:
    """Return the settings to try for one cell, in ascending order.

    These are every `stride`-th value of the published lists, and the published winner, which may lie outside them. The
    localized EnKF is in no published list: it takes the LETKF's radii and winner, and the inflations of the other
    methods.

    Parameters
    ----------
    grid : mapping
        The section `search` of the experiment.
    winners : DataFrame
        The published winners (see `mnmef.data.published.load_searches`).
    cell : tuple
        Experiment, sigma_y, method and ensemble size.
    inflation_stride, radius_stride : int
        Strides through the lists.

    Raises
    ------
    ValueError
        For an experiment or an ensemble size without a published list, and for a localized method without radii.
    """
    experiment, _, method, members = cell
    lists = grid["inflation"].get(method, grid["inflation"]["default"])
    if members not in lists:
        raise ValueError(unknown_name(f"ensemble size in the grid of {experiment}", members, lists))
    step, count = lists[members]["step"], lists[members]["count"]
    inflations = [round(1.0 + step * i, 6) for i in range(0, count, inflation_stride)]
    radii: list[float | None] = [None]
    if method in LOCALIZED_METHODS:
        if not grid["localization_radius"]:
            raise ValueError(f"{method} localizes, but there are no localization radii for {experiment}")
        radii = [float(r) for r in grid["localization_radius"][members][::radius_stride]]
    settings = {Setting(*pair) for pair in itertools.product(inflations, radii)}
    if (winner := winner_of(winners, cell)) is not None:
        settings.add(winner)
    return sorted(settings, key=lambda setting: (setting.inflation, setting.localization_radius or 0.0))


def winner_of(winners: pd.DataFrame, cell: tuple[str, float, str, int]) -> Setting | None:
    """Return the published winner of one cell, if there is one; that of LETKF for all methods that localize."""
    experiment, sigma_y, method, members = cell
    source = "letkf" if method in LOCALIZED_METHODS else method
    names = (winners[["experiment", "method", "ensemble_size"]] == [experiment, source, members]).all(axis=1)
    for _, row in winners[names & np.isclose(winners["sigma_y"], sigma_y)].iterrows():
        inflation, radius = Setting.of(row)
        return Setting(round(inflation, 6), radius)
    return None


class Candidates(NamedTuple):
    """Settings to try, and the published one among them, if there is one."""

    settings: Sequence[Setting]
    published: Setting | None = None
