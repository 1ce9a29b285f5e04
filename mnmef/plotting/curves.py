"""Figures 1, 4 and 7: R-RMSE and relative improvement against ensemble size."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator, PercentFormatter

from mnmef.metrics import relative_improvement
from mnmef.plotting.style import COLUMN_WIDTH, LOOKS, SYSTEM_TITLES, new_figure

OURS = "mnmef_tuned"


def figure_curves(scores: pd.DataFrame, published: pd.DataFrame, system: str) -> Figure:
    """R-RMSE of every filter against N (top) and what fine-tuned MNMEF improves on each (bottom), a column per noise
    level.

    scores: the table of `mnmef.scoring`. published: R-RMSE of the paper's figures, drawn as thin dashed lines.
    A cell in which some trajectories diverged has a hollow marker; one in which all did sits at the top edge as an open
    triangle.
    """
    scores = scores[scores["system"] == system]
    published = published[published["system"] == system]
    levels = sorted(scores["sigma_y"].unique(), reverse=True)
    if not levels:
        raise ValueError(f"the scores hold no row of system {system!r}")
    figure = new_figure(COLUMN_WIDTH, 6.2)
    axes = figure.subplots(2, len(levels), squeeze=False, sharex=True, sharey="row", height_ratios=(3, 2))
    for column, level in enumerate(levels):
        part = scores[scores["sigma_y"] == level]
        reference = published[np.isclose(published["sigma_y"], level)]
        _draw_errors(axes[0, column], part, reference)
        _draw_improvements(axes[1, column], part, reference)
        axes[0, column].set_title(f"{SYSTEM_TITLES[system]}, $\\sigma_y$ = {level:g}")
        axes[1, column].set_xlabel("ensemble size $N$")
    axes[0, 0].set_ylabel("R-RMSE")
    axes[1, 0].set_ylabel("relative improvement\nby fine-tuned MNMEF")
    _set_error_limits(axes[0], scores)
    figure.legend(handles=_legend(scores), loc="outside lower center", ncols=4, frameon=False)
    return figure


def _draw_errors(axis: Axes, scores: pd.DataFrame, published: pd.DataFrame) -> None:
    sizes = sorted(scores["ensemble_size"].unique())
    for method, look in LOOKS.items():
        ours = scores[scores["method"] == method].sort_values("ensemble_size")
        if ours.empty:
            continue
        theirs = published[(published["method"] == method) & published["ensemble_size"].isin(sizes)]
        axis.plot(theirs["ensemble_size"], theirs["rrmse"], "--", color=look.color, linewidth=0.7, alpha=0.8)
        axis.plot(ours["ensemble_size"], ours["rrmse"], color=look.color)
        whole = ours["n_diverged"] == 0
        axis.plot(ours["ensemble_size"][whole], ours["rrmse"][whole], look.marker, color=look.color)
        some = ours[~whole]
        axis.plot(some["ensemble_size"], some["rrmse"], look.marker, color=look.color, markerfacecolor="white")
        lost = ours[ours["rrmse"].isna()]
        axis.plot(
            lost["ensemble_size"],
            np.full(len(lost), 0.985),
            "^",
            color=look.color,
            markerfacecolor="none",
            transform=axis.get_xaxis_transform(),
        )
    _use_sizes(axis, sizes)


def _draw_improvements(axis: Axes, scores: pd.DataFrame, published: pd.DataFrame) -> None:
    ours, theirs = (t.pivot(index="ensemble_size", columns="method", values="rrmse") for t in (scores, published))
    theirs = theirs[theirs.index.isin(ours.index)]
    for method, look in LOOKS.items():
        if method == OURS:
            continue
        for table, style in ((theirs, {"linestyle": "--", "linewidth": 0.7}), (ours, {"marker": look.marker})):
            if {method, OURS} <= set(table.columns):
                gain = relative_improvement(table[method].to_numpy(), table[OURS].to_numpy())
                axis.plot(table.index, gain, color=look.color, **style)
    axis.axhline(0.0, color="black", linewidth=0.6)
    axis.yaxis.set_major_formatter(PercentFormatter(1.0))
    _use_sizes(axis, sorted(scores["ensemble_size"].unique()))


def _use_sizes(axis: Axes, sizes: list[int]) -> None:
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(FixedLocator(sizes))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xticklabels([str(n) for n in sizes])
    axis.grid(alpha=0.25, linewidth=0.5)


def _set_error_limits(axes: np.ndarray, scores: pd.DataFrame) -> None:
    finite = scores["rrmse"].dropna()
    # The top edge is for cells in which every trajectory diverged.
    axes[0].set_ylim(0, 1.08 * finite.max() if len(finite) else 1.0)


def _legend(scores: pd.DataFrame) -> list[Line2D]:
    present = set(scores["method"])
    handles = [
        Line2D([], [], color=look.color, marker=look.marker, label=look.label)
        for method, look in LOOKS.items()
        if method in present
    ]
    handles.append(Line2D([], [], color="0.4", linestyle="--", linewidth=0.7, label="published"))
    marks = {
        ("o", "hollow: some trajectories diverged"): (scores["n_diverged"] > 0).any(),
        ("^", "at the top edge: all diverged"): scores["rrmse"].isna().any(),
    }
    for (marker, label), is_needed in marks.items():
        if is_needed:
            handles.append(
                Line2D([], [], color="0.4", linestyle="none", marker=marker, markerfacecolor="white", label=label)
            )
    return handles
