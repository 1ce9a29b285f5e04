"""Figure 11: R-RMSE against fine-tuning epoch, heads only against all parameters."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mnmef.report.figures.style import COLUMN_WIDTH, LOOKS, SYSTEM_TITLES, Look, new_figure
from mnmef.report.study_claims import PUBLISHED_NAMES
from mnmef.scores.bootstrap import mean_with_interval

BAND: dict[str, Any] = {"alpha": 0.15, "linewidth": 0}
STRATEGY_LOOKS = {
    "heads": Look("heads only", LOOKS["mnmef_tuned"].color, LOOKS["mnmef_tuned"].marker),
    "all": Look("all parameters", "#5E3C99", "D"),
}


def figure_tuning_curves(table: pd.DataFrame, published: pd.DataFrame, cycles: int, seed: int) -> Figure:
    """Mean R-RMSE over test trajectories with its 95 % interval, a column per ensemble size.

    table: rows of `mnmef.studies.finetuning_curve`, of one system and noise level. published: the paper's curves, drawn
    as thin dashed lines. cycles: of a test trajectory, which the label says. A hollow marker: some trajectories
    diverged.
    """
    (system,), (level,) = table["system"].unique(), table["sigma_y"].unique()
    sizes = sorted(table["ensemble_size"].unique())
    figure = new_figure(COLUMN_WIDTH, 3.4)
    axes = figure.subplots(1, len(sizes), squeeze=False, sharey=True)[0]
    for axis, size in zip(axes, sizes, strict=True):
        part = table[table["ensemble_size"] == size]
        same = (published["system"] == system) & (published["sigma_y"] == level) & (published["ensemble_size"] == size)
        for parameters, look in STRATEGY_LOOKS.items():
            theirs = published[same & (published["strategy"] == PUBLISHED_NAMES[parameters])]
            axis.plot(theirs["epoch"], theirs["rrmse"], "--", color=look.color, linewidth=0.7)
            _draw_curve(axis, part[part["parameters"] == parameters], look, seed)
        last = part.loc[part["epoch"].idxmax()]
        axis.set_xlabel(f"fine-tuning epoch (epoch {last['epoch']}: {last['step']} optimizer steps)")
        axis.set_title(f"{SYSTEM_TITLES[system]}, $\\sigma_y$ = {level:g}, $N$ = {size}")
        axis.grid(alpha=0.25, linewidth=0.5)
    axes[0].set_ylabel(f"R-RMSE (first {cycles} cycles)")
    figure.legend(handles=_legend(table), loc="outside lower center", ncols=4, frameon=False)
    return figure


def _draw_curve(axis: Axes, table: pd.DataFrame, look: Look, seed: int) -> None:
    groups = [(epoch, part["rrmse"].to_numpy()) for epoch, part in table.groupby("epoch")]
    epochs = np.array([epoch for epoch, _ in groups])
    estimates = [mean_with_interval(values, seed) for _, values in groups]
    value, low, high = (np.array([getattr(e, name) for e in estimates]) for name in ("value", "low", "high"))
    axis.plot(epochs, value, color=look.color)
    axis.fill_between(epochs, low, high, color=look.color, **BAND)
    whole = np.array([estimate.left_out == 0 for estimate in estimates])
    for chosen, face in ((whole, look.color), (~whole, "white")):
        axis.plot(epochs[chosen], value[chosen], look.marker, color=look.color, markerfacecolor=face)


def _legend(table: pd.DataFrame) -> list:
    handles: list = [
        Line2D([], [], color=look.color, marker=look.marker, label=look.label) for look in STRATEGY_LOOKS.values()
    ]
    handles.append(Line2D([], [], color="0.4", linestyle="--", linewidth=0.7, label="published"))
    handles.append(Patch(color="0.4", alpha=BAND["alpha"], label="95 % interval over trajectories"))
    if table["rrmse"].isna().any():
        label = "hollow: some trajectories diverged"
        handles.append(Line2D([], [], color="0.4", linestyle="none", marker="o", markerfacecolor="white", label=label))
    return handles
