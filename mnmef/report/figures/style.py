"""One look for all figures: the same color, marker and line for the same filter everywhere."""

from collections.abc import Collection, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullLocator

from mnmef.core.names import METHODS, Look, Method
from mnmef.experiments.files import titles
from mnmef.io.files import write_atomically

COLUMN_WIDTH = 7.0
"""Width of a figure in inches: a text column of a one-column journal."""

BAND: dict[str, Any] = {"alpha": 0.15, "linewidth": 0}
"""How an interval is drawn about a curve."""

PUBLISHED: dict[str, Any] = {"linestyle": "--", "linewidth": 0.7}
"""How a published curve is drawn."""

HOLLOW: dict[str, Any] = {"linestyle": "none", "markerfacecolor": "white"}
"""How the marker of what diverged is drawn in a legend."""

CALIBRATED: dict[str, Any] = {"color": "black", "linewidth": 0.8}
"""How the value that an ideal filter has is drawn."""

SECOND_COLOR = "#5E3C99"
"""Color of the second of two variants of the same filter; the first has the filter's own."""

RC: dict[Any, Any] = {
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.labelsize": 8,
    "legend.fontsize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.2,
    "lines.markersize": 4.5,
    "svg.hashsalt": "mnmef",
    "svg.fonttype": "none",
    "figure.dpi": 100,
    "savefig.dpi": 200,
}


def new_figure(width: float, height: float) -> Figure:
    """Make a figure of `width` x `height` inches in this style, whatever the user's own is; labels do not overlap."""
    mpl.rcParams.update(mpl.rcParamsDefault | RC)
    return Figure(figsize=(width, height), layout="constrained")


def save_figure(figure: Figure, *paths: str | Path) -> None:
    """Write `figure` to each path, in the format of its ending, atomically and without a date."""
    for path in map(Path, paths):
        kind = path.suffix.removeprefix(".")
        metadata = {"Date": None} if kind == "svg" else {"Software": None}
        write_atomically(path, partial(figure.savefig, format=kind, metadata=metadata))


def shown_methods(names: Collection[str]) -> list[Method]:
    """Return the methods among `names`, in the order of legends."""
    return [method for name, method in METHODS.items() if name in names]


def shown_experiments(names: Collection[str]) -> list[str]:
    """Return the experiments among `names`, in the order of figures."""
    return [name for name in titles() if name in names]


def cell_title(experiment: str, sigma_y: float) -> str:
    """Return the title of a panel for an experiment and noise level."""
    return f"{titles()[experiment]}, $\\sigma_y$ = {sigma_y:g}"


# Axes


def draw_grid(axis: Axes) -> None:
    """Draw thin lines at the ticks."""
    axis.grid(alpha=0.25, linewidth=0.5)


def use_sizes(axis: Axes, sizes: list[int]) -> None:
    """Make the horizontal axis logarithmic, with a tick at each ensemble size."""
    axis.set_xscale("log")
    axis.set_xticks(sizes, [str(size) for size in sizes])
    axis.xaxis.set_minor_locator(NullLocator())
    draw_grid(axis)


def use_decades(direction: Axis) -> None:
    """Label 1, 2 and 5 of each decade of a logarithmic axis as plain numbers."""
    direction.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    direction.set_major_formatter(FormatStrFormatter("%g"))
    direction.set_minor_locator(NullLocator())


# Curves


def draw_curves(
    axis: Axes,
    looks: Mapping[Any, Look],
    by: str,
    ours: pd.DataFrame,
    published: pd.DataFrame | None = None,
    x: str = "ensemble_size",
    y: str = "rrmse",
) -> None:
    """Draw column `y` of `ours` with its interval against column `x`, a curve for each value of column `by`.

    Columns `y`_low and `y`_high, where there are any, are a band; markers are hollow where n_diverged is not 0; open
    triangles near the top edge are where no R-RMSE is left, as all trajectories diverged. Published curves are dashed.
    """
    if x == "ensemble_size":
        use_sizes(axis, sorted(ours[x].unique()))
        published = None if published is None else published[published[x].isin(ours[x])]
    for value, look in looks.items():
        part = ours[ours[by] == value].sort_values(x)
        if part.empty:
            continue
        if published is not None:
            theirs = published[published[by] == value].sort_values(x)
            axis.plot(theirs[x], theirs[y], color=look.color, **PUBLISHED)
        axis.plot(part[x], part[y], color=look.color)
        if f"{y}_low" in part:
            axis.fill_between(part[x], part[f"{y}_low"], part[f"{y}_high"], color=look.color, **BAND)
        whole = part.get("n_diverged", pd.Series(0, part.index)) == 0
        for some, face in ((part[whole], look.color), (part[~whole], "white")):
            axis.plot(some[x], some[y], look.marker, color=look.color, markerfacecolor=face)
        if y == "rrmse":
            draw_lost(axis, look.color, part.loc[part[y].isna(), x])


def draw_lost(axis: Axes, color: str, x: pd.Series, face: str = "none", label: str = "") -> None:
    """Draw triangles near the top edge, open where all trajectories diverged; none if there is no `x`."""
    # The layout takes a line without points for one that reaches far out of the figure.
    if len(x):
        place: dict[str, Any] = {"transform": axis.get_xaxis_transform(), "markerfacecolor": face, "label": label}
        axis.plot(x, np.full(len(x), 0.97), "^", color=color, **place)


def start_at_zero(axis: Axes, values: pd.Series) -> None:
    """Let the vertical axis begin at 0 and end somewhat above the largest of `values`."""
    top = values.max()
    axis.set_ylim(0, 1.1 * top if np.isfinite(top) else 1.0)


# Legends


def add_legend(figure: Figure, handles: list[Artist], columns: int = 4, title: str | None = None) -> None:
    """Add a legend below all panels."""
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False, title=title)


def handle(label: str, look: Look | Mapping[str, Any]) -> Artist:
    """Return a line for a legend: with a look's color and marker, or with properties of its own, else gray."""
    own = {"color": look.color, "marker": look.marker} if isinstance(look, Look) else look
    return Line2D([], [], label=label, **{"color": "0.4", **own})


def look_handles(looks: Iterable[Look]) -> list[Artist]:
    """Return a line with a marker for each look."""
    return [handle(look.label, look) for look in looks]


def drawn_handles(figure: Figure) -> list[Artist]:
    """Return the labeled artists of all panels, one for each label."""
    found: dict[str, Artist] = {}
    for axis in figure.axes:
        handles, labels = axis.get_legend_handles_labels()
        found |= dict(zip(labels, handles, strict=True))
    return list(found.values())


def score_handles(looks: Iterable[Look], scores: pd.DataFrame, *, has_published: bool = True) -> list[Artist]:
    """Return the handles of curves of R-RMSE: `looks`, published curves, intervals, and what diverged in `scores`."""
    published = [handle("published", PUBLISHED)] if has_published else []
    interval = band_handle("95 % interval over trajectories")
    return [*look_handles(looks), *published, interval, *diverged_handles(scores)]


def diverged_handles(scores: pd.DataFrame) -> list[Artist]:
    """Return the markers of scores of which some trajectories or all of them diverged, as far as needed."""
    lost = scores["rrmse"].isna()
    some = ((scores["n_diverged"] > 0) & ~lost).any()
    hollow = [handle("hollow: some trajectories diverged", HOLLOW | {"marker": "o"})] if some else []
    return hollow + ([handle("at the top edge: all diverged", HOLLOW | {"marker": "^"})] if lost.any() else [])


def band_handle(label: str) -> Artist:
    """Return a patch that looks like a band."""
    return Patch(color="0.4", alpha=BAND["alpha"], label=label)
