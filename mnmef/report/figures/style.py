"""One look for all figures: the same color, marker and line for the same filter everywhere."""

from collections.abc import Collection, Iterable
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
from matplotlib.ticker import FixedLocator, FormatStrFormatter, LogLocator, NullLocator

from mnmef.core.names import METHODS, Look, Method
from mnmef.experiments.files import titles
from mnmef.io.files import write_atomically

COLUMN_WIDTH = 7.0
"""Width of a figure in inches: a text column of a one-column journal."""

BAND: dict[str, Any] = {"alpha": 0.15, "linewidth": 0}
"""How an interval is drawn about a curve."""

PUBLISHED: dict[str, Any] = {"linestyle": "--", "linewidth": 0.7}
"""How a published curve is drawn."""

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
    axis.xaxis.set_major_locator(FixedLocator(sizes))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xticklabels([str(n) for n in sizes])
    draw_grid(axis)


def use_decades(direction: Axis) -> None:
    """Label 1, 2 and 5 of each decade of a logarithmic axis as plain numbers."""
    direction.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    direction.set_major_formatter(FormatStrFormatter("%g"))
    direction.set_minor_locator(NullLocator())


# Curves


def draw_curve(axis: Axes, look: Look, table: pd.DataFrame, x: str, y: str) -> None:
    """Draw column `y` of `table` against column `x` with its interval.

    Columns `y`_low and `y`_high, where there are any, are a band; markers are hollow where n_diverged is not 0.
    """
    axis.plot(table[x], table[y], color=look.color)
    if f"{y}_low" in table:
        axis.fill_between(table[x], table[f"{y}_low"], table[f"{y}_high"], color=look.color, **BAND)
    whole = table.get("n_diverged", pd.Series(0, table.index)) == 0
    for part, face in ((table[whole], look.color), (table[~whole], "white")):
        axis.plot(part[x], part[y], look.marker, color=look.color, markerfacecolor=face)


def draw_lost(axis: Axes, look: Look, x: pd.Series, height: float) -> None:
    """Draw open triangles near the top edge, at `height` of the panel, where all trajectories diverged."""
    place: dict[str, Any] = {"transform": axis.get_xaxis_transform(), "markerfacecolor": "none"}
    axis.plot(x, np.full(len(x), height), "^", color=look.color, **place)


# Legends


def add_legend(figure: Figure, handles: list[Artist], columns: int = 4, title: str | None = None) -> None:
    """Add a legend below all panels."""
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False, title=title)


def look_handles(looks: Iterable[Look]) -> list[Artist]:
    """Return a line with a marker for each look."""
    return [Line2D([], [], color=look.color, marker=look.marker, label=look.label) for look in looks]


def marker_handle(marker: str, label: str, face: str = "white", color: str = "0.4") -> Artist:
    """Return a marker without a line."""
    return Line2D([], [], color=color, linestyle="none", marker=marker, markerfacecolor=face, label=label)


def score_handles(looks: Iterable[Look], *, has_published: bool = True) -> list[Artist]:
    """Return the handles of curves of R-RMSE: `looks`, published curves where there are some, and intervals."""
    published = [Line2D([], [], color="0.4", label="published", **PUBLISHED)] if has_published else []
    return [*look_handles(looks), *published, band_handle("95 % interval over trajectories")]


def band_handle(label: str) -> Artist:
    """Return a patch that looks like a band."""
    return Patch(color="0.4", alpha=BAND["alpha"], label=label)


def diverged_handles(*, some: bool, everything: bool) -> list[Artist]:
    """Return the markers of cells in which some trajectories or all of them diverged, as far as needed."""
    hollow = [marker_handle("o", "hollow: some trajectories diverged")] if some else []
    return hollow + ([marker_handle("^", "at the top edge: all diverged")] if everything else [])
