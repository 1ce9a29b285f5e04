"""Error, time and memory of filters against the number of variables."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mnmef.core.names import METHODS, Look
from mnmef.report.figures import style

ENGINE_LOOKS = {
    "mnmef_local": METHODS["mnmef_local"],
    "letkf": METHODS["letkf"],
    "dapper": Look("LETKF in DAPPER", METHODS["letkf"].color, "v"),
}
"""Look of each engine of `mnmef.studies.scaling`."""

PANELS = (
    ("rrmse", "relative error"),
    ("seconds_per_cycle", "CPU seconds per cycle"),
    ("memory_mb", "memory of a run (MB)"),
)
GUIDE: dict[str, Any] = {"color": "0.7", "linewidth": 0.8}
ROOT: dict[str, Any] = {"linestyle": ":", "markerfacecolor": "white"}


def figure_scaling(table: pd.DataFrame) -> Figure:
    """Draw errors, seconds per cycle and memory of a trajectory against the number of variables, a panel for each.

    R-RMSE has bars, standard deviations over trajectories where there are several; beside it, hollow, the relative
    error with the root outside all means, which compares grids. Gray lines are proportional to the number of variables.

    Parameters
    ----------
    table : DataFrame
        Rows of `mnmef.studies.scaling.SCALING_COLUMNS`.
    """
    figure = style.new_figure(style.COLUMN_WIDTH, 2.7)
    axes = figure.subplots(1, len(PANELS))
    for axis, (column, label) in zip(axes, PANELS, strict=True):
        for engine in ENGINE_LOOKS:
            part = table[(table["engine"] == engine) & table[column].notna()].sort_values("state_size")
            bars = part["rrmse_std"] if column == "rrmse" else None
            axis.errorbar(part["state_size"], part[column], bars, capsize=2, linewidth=1.2, **_line(engine))
            if column == "rrmse":
                axis.plot(part["state_size"], part["relative_rms"], **_line(engine) | ROOT)
        axis.set(xscale="log", xlabel="variables $D$", title=label)
        style.draw_grid(axis)
        if column != "rrmse":
            axis.set_yscale("log")
            _draw_guide(axis, table, column)
    style.start_at_zero(axes[0], table[["rrmse", "relative_rms"]].max(axis=1) + table["rrmse_std"].fillna(0.0))
    present = set(table["engine"])
    handles = [style.handle(look.label, _line(name)) for name, look in ENGINE_LOOKS.items() if name in present]
    handles.append(style.handle("left: R-RMSE", {"color": "0.3"}))
    handles.append(style.handle("left: root of mean squares", {"color": "0.3", "marker": "o", **ROOT}))
    handles.append(style.handle(r"$\propto D$", GUIDE))
    style.add_legend(figure, handles)
    return figure


def _line(engine: str) -> dict[str, Any]:
    """Return the line of an engine: DAPPER's is dashed and has hollow markers."""
    look, other = ENGINE_LOOKS[engine], engine == "dapper"
    face = "white" if other else look.color
    return {"color": look.color, "marker": look.marker, "linestyle": "--" if other else "-", "markerfacecolor": face}


def _draw_guide(axis: Axes, table: pd.DataFrame, column: str) -> None:
    """Draw a line proportional to D through the largest grid's entry of the engine that goes farthest."""
    known = table[table[column] > 0].sort_values("state_size", kind="stable")
    if known.empty:
        return
    last = known.loc[known["state_size"].idxmax()]
    sizes = known["state_size"].iloc[[0, -1]]
    limits = axis.get_ylim()
    axis.plot(sizes, last[column] * sizes / last["state_size"], zorder=0, **GUIDE)
    axis.set_ylim(limits)  # the line may leave the panel


def growth(table: pd.DataFrame, column: str) -> pd.Series:
    """Return the factor by which `column` per grid point grows from the second smallest grid to the largest.

    One is exactly linear. The smallest is left out where there are more than two: on forty points a cycle's fixed
    costs are most of it.

    Returns
    -------
    Series
        One factor for each engine, NaN for an engine with a single grid.
    """
    factors = {}
    for engine, part in table.sort_values("state_size").groupby("engine"):
        per_point = (part[column] / part["state_size"]).to_numpy()
        factors[engine] = per_point[-1] / per_point[min(1, len(part) - 2)] if len(part) > 1 else np.nan
    return pd.Series(factors, dtype=float)
