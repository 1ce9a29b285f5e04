"""Figure 10: localization weights against distance."""

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mnmef.core.names import METHODS
from mnmef.report.figures import style

LEARNED, TAPER = METHODS["mnmef_finetuned"], METHODS["letkf"]
EVERY = 5
"""Distances from one marker to the next."""


def figure_localization(table: pd.DataFrame) -> Figure:
    """Draw learned weights against distance, mean and one standard deviation to each side, and LETKF's tuned taper.

    A row for each noise level, a column for each ensemble size. Learned weights lie between 0 and 2, the taper between
    0 and 1.

    Parameters
    ----------
    table : DataFrame
        Table of `mnmef.studies.localization_table`.
    """
    levels = sorted(table["sigma_y"].unique(), reverse=True)
    sizes = sorted(table["ensemble_size"].unique())
    figure = style.new_figure(style.COLUMN_WIDTH, 1.15 + 1.35 * len(levels))
    axes = figure.subplots(len(levels), len(sizes), squeeze=False, sharex=True, sharey=True)
    for row, level in zip(axes, levels, strict=True):
        for axis, size in zip(row, sizes, strict=True):
            part = table[(table["sigma_y"] == level) & (table["ensemble_size"] == size)]
            _draw_weights(axis, part.sort_values("distance"))
        row[0].set_ylabel(f"$\\sigma_y$ = {level:g}\nweight")
    for column, size in zip(axes.T, sizes, strict=True):
        column[0].set_title(f"$N$ = {size}")
        column[-1].set_xlabel("distance\n(grid points)")
    axes[0, 0].set_ylim(bottom=0)
    spread = f"one deviation over cycles (at most {table['weight_std'].max():.1g})"
    handles: list[Artist] = [
        Line2D([], [], color=LEARNED.color, marker=LEARNED.marker, label="learned, MNMEF (fine-tuned)"),
        Patch(color=LEARNED.color, alpha=2 * style.BAND["alpha"], label=spread),
        Line2D([], [], color=TAPER.color, marker=TAPER.marker, linestyle="-.", label="Gaspari-Cohn, tuned LETKF"),
    ]
    style.add_legend(figure, handles, columns=3)
    return figure


def _draw_weights(axis: Axes, part: pd.DataFrame) -> None:
    distance, mean, spread = (part[name].to_numpy() for name in ("distance", "weight_mean", "weight_std"))
    marks = slice(0, None, EVERY)
    axis.fill_between(
        distance, mean - spread, mean + spread, color=LEARNED.color, alpha=2 * style.BAND["alpha"], linewidth=0
    )
    axis.plot(distance, mean, color=LEARNED.color, marker=LEARNED.marker, markevery=marks, markersize=3.5)
    axis.plot(distance, part["taper"], "-.", color=TAPER.color, marker=TAPER.marker, markevery=marks, markersize=3.5)
    radius = part["radius"].iloc[0]
    axis.text(0.96, 0.95, f"radius {radius:.3g}", transform=axis.transAxes, ha="right", va="top", fontsize=6)
    axis.set_xticks(np.linspace(0, distance.max(), 3).round())
    style.draw_grid(axis)
