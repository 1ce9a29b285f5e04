"""Figure C.12 and its likes: the scores of a hyperparameter search over inflation and localization radius."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mnmef.core.names import METHODS
from mnmef.report.figures import style

SETTING = ["inflation", "localization_radius"]
SEARCH_KEYS = ["experiment", "sigma_y", "method"]
SEARCH_COLUMNS = [
    *(*SEARCH_KEYS, "ensemble_size", *SETTING, "engine"),
    *("rrmse", "rrmse_std", "n_trajectories", "n_cycles", "n_diverged"),
]

SPAN = (1.25, 2.0)
"""Colors and curves end at the largest R-RMSE of a panel, but at a multiple of its best one within these bounds: the
neighborhood of the optimum can be read, and a flat optimum looks flat.
"""

PANELS_PER_ROW = 4
CHOSEN: dict[str, Any] = {"marker": "*", "markersize": 9, "color": "white", "linestyle": "none"}
CHOSEN |= {"markeredgecolor": "black", "markeredgewidth": 0.8, "zorder": 4}
RING: dict[str, Any] = {"marker": "o", "markersize": 10, "color": "none", "linestyle": "none", "zorder": 3}
RING_EDGE: dict[str, Any] = {"markeredgecolor": "black", "label": "published best"}
HALO: dict[str, Any] = {"markeredgecolor": "white", "markeredgewidth": 2.6}
SOME_DIVERGED: dict[str, Any] = {"marker": "X", "linestyle": "none", "label": "cross: some trajectories diverged"}
SOME_DIVERGED |= {"color": "black", "markeredgecolor": "white", "markeredgewidth": 0.6, "markersize": 6}
ALL_DIVERGED: dict[str, Any] = {"marker": "s", "linestyle": "none", "color": "0.85", "label": "gray: all diverged"}
ALL_DIVERGED |= {"markeredgewidth": 0.0}
SIDES = (4.0, 14.0)
"""Least and largest side of a square in a map, points."""


@dataclass(frozen=True)
class Panel:
    """One ensemble size of a search.

    Parameters
    ----------
    members : int
    rows : DataFrame
        A score for each setting.
    chosen, published : DataFrame
        The settings to mark, at most one row each.
    label : str
        Of the chosen setting.
    """

    members: int
    rows: pd.DataFrame
    chosen: pd.DataFrame
    published: pd.DataFrame
    label: str

    @property
    def best(self) -> float:
        """Smallest R-RMSE of a setting without divergence or, if there is none, of any; NaN if all diverged."""
        whole = self.rows.loc[self.rows["n_diverged"] == 0, "rrmse"]
        return float((whole if whole.notna().any() else self.rows["rrmse"]).min())

    @property
    def ceiling(self) -> float:
        """Largest R-RMSE with a color or height of its own, by `SPAN`; NaN if all diverged."""
        low, high = (factor * self.best for factor in SPAN)
        return float(np.clip(self.rows["rrmse"].max(), low, high))

    @property
    def window(self) -> tuple[float, float]:
        """Limits of the R-RMSE axis of a curve."""
        if not np.isfinite(self.best):
            return 0.0, 1.0
        low, high = self.rows["rrmse"].min(), self.ceiling
        return low - 0.15 * (high - low), high + 0.15 * (high - low)


def figure_search(grid: pd.DataFrame, best: pd.DataFrame, published: pd.DataFrame) -> Figure:
    """Draw R-RMSE of all settings of one search, a panel for each ensemble size.

    A map over inflation and localization radius, a square for each setting, or, for a method without radius, a curve
    over inflation. The chosen setting has a star, the published one a ring. Scores are those of `setting_scores`, so a
    setting that another engine confirmed and chose need not be the smallest.

    Parameters
    ----------
    grid, best : DataFrame
        Tables of `mnmef.search.search.search_method` for one experiment, noise level and method.
    published : DataFrame
        The best settings, of `mnmef.data.published.load_searches`.

    Raises
    ------
    ValueError
        If `grid` lacks a column, is empty, or holds more than one search.
    """
    missing = [name for name in SEARCH_COLUMNS if name not in grid.columns]
    if missing:
        raise ValueError(f"the scores of the search lack the columns {', '.join(missing)}")
    searches = grid[SEARCH_KEYS].drop_duplicates()
    if len(searches) != 1:
        raise ValueError(f"a figure shows one search, but the table holds {len(searches)}")
    experiment, sigma_y, method = searches.iloc[0]
    rows = setting_scores(grid)
    same = (published["experiment"] == experiment) & (published["method"] == method)
    published = published[same & np.isclose(published["sigma_y"], sigma_y)]
    chosen = _engines(best[best["ensemble_size"].isin(rows["ensemble_size"])])
    label = "chosen" if chosen in ("", _engines(rows)) else f"chosen by {chosen}"
    panels = []
    for members, part in rows.groupby("ensemble_size"):
        ours, theirs = (table[table["ensemble_size"] == members] for table in (best, published))
        panels.append(Panel(int(members), part, ours, theirs, label))
    has_radius = bool(rows["localization_radius"].notna().any())
    columns = min(len(panels), PANELS_PER_ROW)
    lines = -(-len(panels) // columns)
    figure = style.new_figure(style.COLUMN_WIDTH, 1.0 + (1.85 if has_radius else 1.6) * lines)
    axes = figure.subplots(lines, columns, squeeze=False).ravel()
    for place, (axis, panel) in enumerate(zip(axes, panels, strict=False)):
        axis.set_title(f"$N$ = {panel.members}", fontsize=8)
        (_draw_map if has_radius else _draw_scores)(axis, panel)
        if place + columns >= len(panels):
            axis.set_xlabel("inflation factor")
        if place % columns == 0:
            axis.set_ylabel("localization radius\n(grid points)" if has_radius else "R-RMSE")
    for axis in axes[len(panels) :]:
        axis.remove()
    figure.suptitle(_title(rows), fontsize=9)
    diverged = [] if has_radius else style.diverged_handles(rows)
    style.add_legend(figure, style.drawn_handles(figure) + diverged, columns=3)
    return figure


def setting_scores(grid: pd.DataFrame) -> pd.DataFrame:
    """Return one row of `grid` for each ensemble size and setting, in ascending order.

    A setting may have been scored several times. Scores of different engines are over different trajectories and cannot
    be compared, so the row is the one of the batched engine, which scores all settings of a search, with the most
    trajectories times cycles. Another engine's row is taken only where the batched engine has none.
    """
    order = grid.assign(other=grid["engine"] != "batched", cycles=-grid["n_trajectories"] * grid["n_cycles"])
    order = order.sort_values(["ensemble_size", *SETTING, "other", "cycles"], kind="stable")
    return order.drop_duplicates(["ensemble_size", *SETTING])[grid.columns].reset_index(drop=True)


def _draw_map(axis: Axes, panel: Panel) -> None:
    rows = panel.rows
    side = float(np.clip(75 / rows[SETTING].nunique().max(), *SIDES))
    scale = Normalize(panel.best, panel.ceiling) if np.isfinite(panel.best) else Normalize(0.0, 1.0)
    x, y = (rows[name] for name in SETTING)
    squares = axis.scatter(x, y, side**2, rows["rrmse"], marker="s", norm=scale, linewidths=0)
    lost, some = rows["rrmse"].isna(), rows["rrmse"].notna() & (rows["n_diverged"] > 0)
    for part, look in ((rows[lost], ALL_DIVERGED | {"markersize": side}), (rows[some], SOME_DIVERGED)):
        if len(part):
            axis.plot(*(part[name] for name in SETTING), **look)
    _mark(axis, panel, *(settings["localization_radius"] for settings in (panel.published, panel.chosen)))
    axis.margins(0.15)
    axis.xaxis.set_major_locator(MaxNLocator(3))
    axis.yaxis.set_major_locator(MaxNLocator(6))
    if np.isfinite(panel.best):
        _add_colorbar(axis, squares, panel)


def _add_colorbar(axis: Axes, squares: PathCollection, panel: Panel) -> None:
    low, high = panel.best, panel.ceiling
    below, above = bool((panel.rows["rrmse"] < low).any()), bool((panel.rows["rrmse"] > high).any())
    extend = ("neither", "min", "max", "both")[below + 2 * above]
    figure = axis.get_figure()
    assert isinstance(figure, Figure)
    bar = figure.colorbar(squares, ax=axis, extend=extend, aspect=18, pad=0.03)
    ticks = [low, (low + high) / 2, high]
    bar.set_ticks(ticks, labels=[f"{value:.{2 if low >= 0.1 else 3}f}" for value in ticks])
    bar.ax.tick_params(length=2, pad=1.5, labelsize=6)
    bar.outline.set_linewidth(0.4)


def _draw_scores(axis: Axes, panel: Panel) -> None:
    rows, (low, top), look = panel.rows, panel.window, METHODS[panel.rows["method"].iloc[0]]
    axis.set_ylim(low, top)
    style.draw_curves(axis, {look.name: look}, "method", rows, x="inflation")
    survivors = rows["n_trajectories"] - rows["n_diverged"]
    several = rows[survivors > 1]
    if len(several):
        errors = several["rrmse_std"] / np.sqrt(survivors[several.index])
        bars: dict[str, Any] = {"fmt": "none", "ecolor": look.color, "elinewidth": 0.7}
        axis.errorbar(several["inflation"], several["rrmse"], errors, label="bar: ± 1 standard error", **bars)
    clipped = rows.loc[rows["rrmse"] > top, "inflation"]
    style.draw_lost(axis, look.color, clipped, look.color, "filled triangle: above the panel")
    # A marked setting without a score, or one above the panel, sits at the top edge.
    scores = rows.set_index("inflation")["rrmse"]
    marked = (settings["inflation"].map(scores) for settings in (panel.published, panel.chosen))
    _mark(axis, panel, *(heights.fillna(top).clip(upper=top) for heights in marked))
    axis.margins(x=0.08)
    style.draw_grid(axis)
    axis.yaxis.set_major_locator(MaxNLocator(4))
    axis.xaxis.set_major_locator(MaxNLocator(3))


def _mark(axis: Axes, panel: Panel, published: pd.Series, chosen: pd.Series) -> None:
    """Draw a ring at the published setting and a star at the chosen one, at these heights."""
    looks = [(panel.chosen, chosen, CHOSEN | {"label": panel.label})]
    looks += [(panel.published, published, RING | edge) for edge in (HALO, RING_EDGE)]
    for settings, heights, look in looks:
        # The layout takes a line without points for one that reaches far out of the figure.
        if len(settings):
            axis.plot(settings["inflation"], heights, clip_on=False, **look)


def _title(rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    trajectories, cycles = (
        " to ".join(map(str, sorted({rows[name].min(), rows[name].max()}))) for name in ("n_trajectories", "n_cycles")
    )
    cell = style.cell_title(first["experiment"], first["sigma_y"])
    amount = f"trajectories: {trajectories}, cycles: {cycles}, {_engines(rows)}"
    return f"{METHODS[first['method']].label}: R-RMSE of each setting on {cell}\n{amount}"


def _engines(rows: pd.DataFrame) -> str:
    return " and ".join(sorted({"dapper": "DAPPER"}.get(name, f"{name} engine") for name in rows["engine"].unique()))
