"""Figure 10: localization weights against distance."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mnmef.report.figures.style import BAND, COLUMN_WIDTH, LOOKS, new_figure

LEARNED, TAPER = LOOKS["mnmef_tuned"], LOOKS["letkf"]
EVERY = 5
"""Distances from one marker to the next."""


def figure_localization(table: pd.DataFrame) -> Figure:
    """Learned weights against distance, mean and one standard deviation to each side, with the taper at LETKF's tuned
    radius: a row per noise level, a column per ensemble size.

    table: of `mnmef.studies.localization_table`. Learned weights lie between 0 and 2, the taper between 0 and 1.
    """
    levels = sorted(table["sigma_y"].unique(), reverse=True)
    sizes = sorted(table["ensemble_size"].unique())
    figure = new_figure(COLUMN_WIDTH, 1.15 + 1.35 * len(levels))
    axes = figure.subplots(len(levels), len(sizes), squeeze=False, sharex=True, sharey=True)
    for row, level in enumerate(levels):
        for column, size in enumerate(sizes):
            part = table[(table["sigma_y"] == level) & (table["ensemble_size"] == size)].sort_values("distance")
            _draw(axes[row, column], part)
        axes[row, 0].set_ylabel(f"$\\sigma_y$ = {level:g}\nweight")
    for column, size in enumerate(sizes):
        axes[0, column].set_title(f"$N$ = {size}")
        axes[-1, column].set_xlabel("distance\n(grid points)")
    axes[0, 0].set_ylim(bottom=0)
    widest = table["weight_std"].max()
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=LEARNED.color, marker=LEARNED.marker, label="learned, MNMEF (fine-tuned)"),
        Patch(color=LEARNED.color, alpha=2 * BAND["alpha"], label=f"one deviation over cycles (at most {widest:.1g})"),
        Line2D([], [], color=TAPER.color, marker=TAPER.marker, linestyle="-.", label="Gaspari-Cohn, tuned LETKF"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
    return figure


def _draw(axis: Axes, part: pd.DataFrame) -> None:
    distance, mean, spread = (part[name].to_numpy() for name in ("distance", "weight_mean", "weight_std"))
    marks = slice(0, None, EVERY)
    axis.fill_between(distance, mean - spread, mean + spread, color=LEARNED.color, alpha=2 * BAND["alpha"], linewidth=0)
    axis.plot(distance, mean, color=LEARNED.color, marker=LEARNED.marker, markevery=marks, markersize=3.5)
    axis.plot(distance, part["taper"], "-.", color=TAPER.color, marker=TAPER.marker, markevery=marks, markersize=3.5)
    radius = part["radius"].iloc[0]
    axis.text(0.96, 0.95, f"radius {radius:.3g}", transform=axis.transAxes, ha="right", va="top", fontsize=6)
    axis.set_xticks(np.linspace(0, distance.max(), 3).round())
    axis.grid(alpha=0.25, linewidth=0.5)
