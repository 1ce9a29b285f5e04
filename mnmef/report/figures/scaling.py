"""Error, time and memory of filters against the number of variables."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mnmef.report.figures.style import COLUMN_WIDTH, LOOKS, Look, new_figure

ENGINES = {
    "mnmef_conv": LOOKS["mnmef_conv"],
    "letkf": LOOKS["letkf"],
    "dapper": Look("LETKF in DAPPER", LOOKS["letkf"].color, "v"),
}
"""How each engine of `mnmef.studies.scaling` is drawn."""

PANELS = (
    ("rrmse", "relative error"),
    ("seconds_per_cycle", "CPU seconds per cycle"),
    ("memory_mb", "memory of a run (MB)"),
)


def figure_scaling(table: pd.DataFrame) -> Figure:
    """Errors, seconds per cycle and memory of a trajectory against the number of variables, a panel each.

    table: rows of `mnmef.studies.scaling.COLUMNS`. R-RMSE has bars, standard deviations over trajectories where there
    are several; beside it, hollow, the relative error with the root outside all means, which compares grids. Gray lines
    are proportional to the number of variables.
    """
    figure = new_figure(COLUMN_WIDTH, 2.7)
    axes = figure.subplots(1, len(PANELS))
    for axis, (column, label) in zip(axes, PANELS, strict=True):
        for engine, look in ENGINES.items():
            part = table[(table["engine"] == engine) & table[column].notna()].sort_values("state_size")
            line = "--" if engine == "dapper" else "-"
            filled = "white" if engine == "dapper" else look.color
            bars = part["rrmse_std"] if column == "rrmse" else None
            axis.errorbar(
                part["state_size"],
                part[column],
                bars,
                fmt=look.marker + line,
                color=look.color,
                markerfacecolor=filled,
                capsize=2,
                linewidth=1.2,
            )
            if column == "rrmse":
                axis.plot(
                    part["state_size"],
                    part["relative_rms"],
                    look.marker + ":",
                    color=look.color,
                    markerfacecolor="white",
                )
        axis.set_xscale("log")
        axis.set_xlabel("variables $D$ of Lorenz '96")
        axis.set_title(label)
        axis.grid(alpha=0.25, linewidth=0.5)
    top = (table[["rrmse", "relative_rms"]].max(axis=1) + table["rrmse_std"].fillna(0.0)).max()
    axes[0].set_ylim(0.0, 1.15 * top if np.isfinite(top) else 1.0)
    for axis, (column, _) in zip(axes[1:], PANELS[1:], strict=True):
        axis.set_yscale("log")
        _draw_guide(axis, table, column)
    present = [engine for engine in ENGINES if engine in set(table["engine"])]
    handles = [
        Line2D(
            [],
            [],
            color=ENGINES[engine].color,
            marker=ENGINES[engine].marker,
            linestyle="--" if engine == "dapper" else "-",
            markerfacecolor="white" if engine == "dapper" else ENGINES[engine].color,
            label=ENGINES[engine].label,
        )
        for engine in present
    ]
    handles.append(Line2D([], [], color="0.3", linestyle="-", label="left: R-RMSE"))
    root = "left: root of mean squares"
    handles.append(Line2D([], [], color="0.3", marker="o", markerfacecolor="white", linestyle=":", label=root))
    handles.append(Line2D([], [], color="0.7", linestyle="-", linewidth=0.8, label=r"$\propto D$"))
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False)
    return figure


def _draw_guide(axis: Axes, table: pd.DataFrame, column: str) -> None:
    """A line proportional to D through the largest grid's entry of the engine that goes farthest."""
    known = table[table[column] > 0]
    if known.empty:
        return
    last = known.loc[known["state_size"].idxmax()]
    sizes = np.array([known["state_size"].min(), last["state_size"]])
    limits = axis.get_ylim()
    axis.plot(sizes, last[column] * sizes / last["state_size"], color="0.7", linewidth=0.8, zorder=0)
    axis.set_ylim(limits)  # the line may leave the panel


def growth(table: pd.DataFrame, column: str) -> pd.Series:
    """Factor by which `column` per grid point grows from the second smallest grid to the largest, for each engine.

    One is exactly linear. The smallest is left out where there are more than two: on forty points a cycle's fixed
    costs are most of it. NaN for an engine with a single grid.
    """
    factors = {}
    for engine, part in table.sort_values("state_size").groupby("engine"):
        per_point = (part[column] / part["state_size"]).to_numpy()
        factors[engine] = per_point[-1] / per_point[min(1, len(part) - 2)] if len(part) > 1 else np.nan
    return pd.Series(factors, dtype=float)
