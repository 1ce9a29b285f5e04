"""Figure C.12 and its likes: the scores of a hyperparameter search over inflation and localization radius."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PatchCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import FixedLocator, FormatStrFormatter, MaxNLocator

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

LONE_WIDTH = {"inflation": 0.1, "localization_radius": 1.0}
"""Width of a cell that has no neighbor to share an edge with."""

PANELS_PER_ROW = 4
COLORS = colormaps["viridis"].with_extremes(bad="0.85")
CHOSEN: dict[str, Any] = {"marker": "*", "markersize": 9, "color": "white", "linestyle": "none"}
CHOSEN |= {"markeredgecolor": "black", "markeredgewidth": 0.8}
RING: dict[str, Any] = {"marker": "o", "markersize": 10, "color": "none", "linestyle": "none"}
SOME_DIVERGED, ALL_DIVERGED = "////", "xxxx"
HATCHES: tuple[dict[str, Any], ...] = (
    {"edgecolor": "white", "hatch_linewidth": 2.4},
    {"edgecolor": "black", "hatch_linewidth": 0.8},
)
"""Black on white, so that the hatching of diverged settings shows on dark and on bright colors."""


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
    """

    members: int
    rows: pd.DataFrame
    chosen: pd.DataFrame
    published: pd.DataFrame

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

    def score(self, settings: pd.DataFrame) -> pd.Series:
        """Return R-RMSE of the search at the inflations of `settings`; NaN where it diverged or did not look."""
        return settings["inflation"].map(self.rows.set_index("inflation")["rrmse"])


def figure_search(grid: pd.DataFrame, best: pd.DataFrame, published: pd.DataFrame) -> Figure:
    """Draw R-RMSE of all settings of one search, a panel for each ensemble size.

    A map over inflation and localization radius or, for a method without radius, a curve over inflation. The chosen
    setting has a star, the published one a ring. Scores are those of `setting_scores`, so a setting that another engine
    confirmed and chose need not be the smallest.

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
    panels = [
        Panel(int(n), part, *(t[t["ensemble_size"] == n] for t in (best, published)))
        for n, part in rows.groupby("ensemble_size")
    ]
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
    style.add_legend(figure, (_map_handles if has_radius else _curve_handles)(panels, rows), columns=3)
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


def cells(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rectangle of each setting of one panel: x, y (lower left corner), width, height and `inset`.

    Settings of the regular grid tile the plane, with edges half way between neighbors. A setting between them, such as
    the published one, lies inset, smaller than they are, above the tiles; without that, it would cut a row and a column
    of unknown scores into the map. A value belongs to the regular grid if more than half as many settings have it as
    have the most frequent one.
    """
    regular = pd.Series(True, index=rows.index)
    for name in SETTING:
        count = rows[regular].groupby(name).size()
        regular &= rows[name].isin(count.index[2 * count > count.max()])
    boxes = {"inset": ~regular}
    for name, low, width in zip(SETTING, ("x", "y"), ("width", "height"), strict=True):
        values = np.unique(rows.loc[regular, name])
        edges = _edges(values, LONE_WIDTH[name])
        begin = pd.Series(edges[:-1], values)
        wide = pd.Series(np.diff(edges), values)
        small = 0.7 * float(np.median(wide))
        boxes[width] = rows[name].map(wide).where(regular, small)
        boxes[low] = rows[name].map(begin).where(regular, rows[name] - small / 2)
    return pd.DataFrame(boxes)


def _edges(values: np.ndarray, lone_width: float) -> np.ndarray:
    """Return the edges (n + 1,) of cells around ascending `values` (n,)."""
    if len(values) == 1:
        return values[0] + lone_width * np.array([-0.5, 0.5])
    middle = (values[1:] + values[:-1]) / 2
    return np.concatenate([[2 * values[0] - middle[0]], middle, [2 * values[-1] - middle[-1]]])


def _draw_map(axis: Axes, panel: Panel) -> None:
    boxes = cells(panel.rows).sort_values("inset", kind="stable")
    rows = panel.rows.loc[boxes.index]
    rectangles = [Rectangle((b.x, b.y), b.width, b.height) for b in boxes.itertuples()]
    scale = Normalize(panel.best, panel.ceiling) if np.isfinite(panel.best) else Normalize(0.0, 1.0)
    map_ = PatchCollection(rectangles, cmap=COLORS, norm=scale, linewidth=0.4)
    map_.set_array(np.ma.masked_invalid(rows["rrmse"].to_numpy()))
    map_.set_edgecolor(["black" if inset else "white" for inset in boxes["inset"]])
    axis.add_collection(map_)
    for box, lost in zip(boxes.itertuples(), rows["rrmse"].isna(), strict=True):
        for look in HATCHES if rows.loc[box.Index, "n_diverged"] > 0 else ():
            style: dict[str, Any] = {"fill": False, "linewidth": 0, "hatch": ALL_DIVERGED if lost else SOME_DIVERGED}
            axis.add_patch(Rectangle((box.x, box.y), box.width, box.height, **style, **look))
    _mark(axis, panel, lambda settings: settings["localization_radius"], halo=True)
    axis.set_facecolor("white")
    axis.autoscale_view()
    axis.margins(0)
    for side, name, most in ((axis.xaxis, "inflation", 3), (axis.yaxis, "localization_radius", 6)):
        values = sorted(rows.loc[~boxes["inset"], name].unique())
        side.set_major_locator(FixedLocator(values[:: -(-len(values) // most)]))
        side.set_major_formatter(FormatStrFormatter("%g"))
    if np.isfinite(panel.best):
        _add_colorbar(axis, map_, panel)


def _add_colorbar(axis: Axes, map_: PatchCollection, panel: Panel) -> None:
    low, high = panel.best, panel.ceiling
    below, above = bool((panel.rows["rrmse"] < low).any()), bool((panel.rows["rrmse"] > high).any())
    extend = ("neither", "min", "max", "both")[below + 2 * above]
    figure = axis.get_figure()
    assert isinstance(figure, Figure)
    bar = figure.colorbar(ScalarMappable(map_.norm, COLORS), ax=axis, extend=extend, aspect=18, pad=0.03)
    ticks = [low, (low + high) / 2, high]
    bar.set_ticks(ticks, labels=[f"{value:.{2 if low >= 0.1 else 3}f}" for value in ticks])
    bar.ax.tick_params(length=2, pad=1.5, labelsize=6)
    bar.outline.set_linewidth(0.4)


def _draw_scores(axis: Axes, panel: Panel) -> None:
    rows, top, color = panel.rows, panel.window[1], METHODS[panel.rows["method"].iloc[0]].color
    axis.set_ylim(panel.window)
    axis.plot(rows["inflation"], rows["rrmse"], color=color)
    survivors = rows["n_trajectories"] - rows["n_diverged"]
    error = rows["rrmse_std"] / np.sqrt(survivors.where(survivors > 1))
    axis.errorbar(rows["inflation"], rows["rrmse"], error, fmt="none", ecolor=color, elinewidth=0.7)
    whole, some = rows[rows["n_diverged"] == 0], rows[rows["n_diverged"] > 0]
    axis.plot(whole["inflation"], whole["rrmse"], ".", color=color)
    axis.plot(some["inflation"], some["rrmse"], "o", color=color, markerfacecolor="white", markersize=4)
    edge: dict[str, Any] = {"transform": axis.get_xaxis_transform(), "color": color, "markersize": 4}
    for part, face in ((rows[rows["rrmse"].isna()], "none"), (rows[rows["rrmse"] > top], color)):
        axis.plot(part["inflation"], np.full(len(part), 0.96), "^", markerfacecolor=face, **edge)
    # A marked setting without a score, or one above the panel, sits at the top edge.
    _mark(axis, panel, lambda settings: panel.score(settings).fillna(top).clip(upper=top))
    axis.margins(x=0.08)
    style.draw_grid(axis)
    axis.yaxis.set_major_locator(MaxNLocator(4))
    axis.xaxis.set_major_locator(MaxNLocator(3))


def _mark(axis: Axes, panel: Panel, height: Callable[[pd.DataFrame], pd.Series], *, halo: bool = False) -> None:
    """Draw a ring at the published setting and a star at the chosen one, at the `height` of each."""
    halos: list[dict[str, Any]] = [{"markeredgecolor": "white", "markeredgewidth": 2.6}] if halo else []
    looks = [RING | edge for edge in [*halos, {"markeredgecolor": "black"}]]
    for settings, drawn in ((panel.published, looks), (panel.chosen, [CHOSEN])):
        # The layout takes a line without points for one that reaches far out of the figure.
        for look in drawn if len(settings) else []:
            axis.plot(settings["inflation"], height(settings), **look, clip_on=False, zorder=3)


def _title(rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    amounts = []
    for name in ("n_trajectories", "n_cycles"):
        low, high = rows[name].min(), rows[name].max()
        amounts.append(f"{low}" if low == high else f"{low} to {high}")
    searched = f"{METHODS[first['method']].label}: R-RMSE of each setting on "
    amount = f"trajectories: {amounts[0]}, cycles: {amounts[1]}, {_engines(rows)}"
    return f"{searched}{style.cell_title(first['experiment'], first['sigma_y'])}\n{amount}"


def _engines(rows: pd.DataFrame) -> str:
    return " and ".join(sorted({"dapper": "DAPPER"}.get(name, f"{name} engine") for name in rows["engine"].unique()))


def _mark_handles(panels: list[Panel], rows: pd.DataFrame) -> list[Artist]:
    shown, chosen = _engines(rows), _engines(pd.concat([panel.chosen for panel in panels]))
    label = "chosen" if chosen in ("", shown) else f"chosen by {chosen}"
    handles: list[Artist] = [Line2D([], [], **CHOSEN, label=label)]
    if any(len(panel.published) for panel in panels):
        handles.append(Line2D([], [], **RING, markeredgecolor="black", label="published best"))
    return handles


def _map_handles(panels: list[Panel], rows: pd.DataFrame) -> list[Artist]:
    lost, inset = rows["rrmse"].isna(), any(cells(panel.rows)["inset"].any() for panel in panels)
    patches = (
        (((rows["n_diverged"] > 0) & ~lost).any(), "white", SOME_DIVERGED, "hatched: some trajectories diverged"),
        (lost.any(), "0.85", ALL_DIVERGED, "cross-hatched: all diverged"),
        (inset, "white", None, "inset: between regular values"),
    )
    edge: dict[str, Any] = {"edgecolor": "black", "linewidth": 0.4}
    return _mark_handles(panels, rows) + [
        Patch(facecolor=face, hatch=hatch, label=label, **edge) for needed, face, hatch, label in patches if needed
    ]


def _curve_handles(panels: list[Panel], rows: pd.DataFrame) -> list[Artist]:
    color, lost = METHODS[rows["method"].iloc[0]].color, rows["rrmse"].isna()
    several = (rows["n_trajectories"] - rows["n_diverged"] > 1).any()
    clipped = any((panel.rows["rrmse"] > panel.window[1]).any() for panel in panels)
    markers = (
        (several, "|", "bar: ± 1 standard error", "none", "0.4"),
        (((rows["n_diverged"] > 0) & ~lost).any(), "o", "hollow: some trajectories diverged", "white", color),
        (lost.any(), "^", "open triangle: all diverged", "none", color),
        (clipped, "^", "filled triangle: above the panel", color, color),
    )
    return [*_mark_handles(panels, rows), *(style.marker_handle(*look) for is_needed, *look in markers if is_needed)]
