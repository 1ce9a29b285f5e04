"""Figure 10: localization weights against distance."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from mnmef.core.names import METHODS
from mnmef.report.figures import style

LEARNED, TAPER = METHODS["mnmef_finetuned"], METHODS["letkf"]
TABLE_COLUMNS = [
    *("sigma_y", "ensemble_size", "distance"),
    *("weight_mean", "weight_std", "taper", "radius", "n_analyses"),
]
MARKS: dict[str, Any] = {"markevery": 5, "markersize": 3.5}
"""A marker at every fifth distance."""
DEVIATION: dict[str, Any] = {"color": LEARNED.color, "alpha": 0.3, "linewidth": 0}


def figure_localization(table: pd.DataFrame) -> Figure:
    """Draw learned weights against distance, mean and one standard deviation to each side, and LETKF's tuned taper.

    A row for each noise level, a column for each ensemble size. Learned weights lie between 0 and 2, the taper between
    0 and 1.

    Parameters
    ----------
    table : DataFrame
        Table of `localization_table`.
    """
    levels = sorted(table["sigma_y"].unique(), reverse=True)
    sizes = sorted(table["ensemble_size"].unique())
    figure = style.new_figure(style.COLUMN_WIDTH, 1.15 + 1.35 * len(levels))
    axes = figure.subplots(len(levels), len(sizes), squeeze=False, sharex=True, sharey=True)
    spread = f"one deviation over cycles (at most {table['weight_std'].max():.1g})"
    for row, level in zip(axes, levels, strict=True):
        for axis, size in zip(row, sizes, strict=True):
            part = table[(table["sigma_y"] == level) & (table["ensemble_size"] == size)].sort_values("distance")
            x, mean, deviation, taper = (part[n] for n in ("distance", "weight_mean", "weight_std", "taper"))
            axis.plot(x, mean, color=LEARNED.color, marker=LEARNED.marker, label="learned, MNMEF (fine-tuned)", **MARKS)
            axis.fill_between(x, mean - deviation, mean + deviation, label=spread, **DEVIATION)
            axis.plot(
                x, taper, "-.", color=TAPER.color, marker=TAPER.marker, label="Gaspari-Cohn, tuned LETKF", **MARKS
            )
            radius = f"radius {part['radius'].iloc[0]:.3g}"
            axis.text(0.96, 0.95, radius, transform=axis.transAxes, ha="right", va="top", fontsize=6)
            axis.set_xticks(np.linspace(0, x.max(), 3).round())
            style.draw_grid(axis)
        row[0].set_ylabel(f"$\\sigma_y$ = {level:g}\nweight")
    for column, size in zip(axes.T, sizes, strict=True):
        column[0].set_title(f"$N$ = {size}")
        column[-1].set_xlabel("distance\n(grid points)")
    axes[0, 0].set_ylim(bottom=0)
    style.add_legend(figure, style.drawn_handles(figure), columns=3)
    return figure


def localization_table(runs: Sequence[xr.Dataset]) -> pd.DataFrame:
    """Average the learned weights over cycles and trajectories.

    Parameters
    ----------
    runs : sequence of Dataset
        Records of `mnmef.studies.localization.record_weights`, one for each noise level.

    Returns
    -------
    DataFrame
        A row for each noise level, ensemble size and distance (grid points). weight_mean, weight_std: over cycles and
        trajectories together (divisor n - 1); n_analyses: their number. taper, radius: of LETKF, radius in grid points.
    """
    parts = []
    for run in runs:
        for size in run["ensemble_size"].values:
            part = run.sel(ensemble_size=size)
            weights = part["weight"].values.astype(float).reshape(-1, part.sizes["distance"])
            weights = weights[np.isfinite(weights).all(1)]
            table = part[["taper", "radius"]].to_dataframe().reset_index()
            table["weight_mean"] = weights.mean(0) if len(weights) else np.nan
            table["weight_std"] = weights.std(0, ddof=1) if len(weights) > 1 else np.nan
            parts.append(table.assign(sigma_y=float(run.attrs["sigma_y"]), n_analyses=len(weights)))
    return pd.concat(parts)[TABLE_COLUMNS].sort_values(TABLE_COLUMNS[:3], ignore_index=True)
