"""Figures 1, 4 and 7: R-RMSE and relative improvement against ensemble size."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from mnmef.assimilation.metrics import relative_improvement
from mnmef.report.figures.style import BAND, COLUMN_WIDTH, LOOKS, SYSTEM_TITLES, new_figure, use_sizes

OURS = "mnmef_tuned"
BOUND: dict[str, Any] = {"color": "black", "linestyle": ":", "linewidth": 1.0}


def figure_curves(
    scores: pd.DataFrame,
    improvements: pd.DataFrame,
    published: pd.DataFrame,
    system: str,
    large: pd.DataFrame | None = None,
) -> Figure:
    """R-RMSE of every filter against N (top) and what fine-tuned MNMEF improves on each (bottom), a column per noise
    level.

    scores: the table `scores.csv`, improvements: `improvements.csv`, whose 95 % intervals over trajectories (for
    improvements in pairs) are bands. published: R-RMSE of the paper's figures, drawn as thin dashed lines. large: what
    the best classical filter reaches with a very large ensemble (`mnmef.studies.reference`), a dotted line in the top
    row. A cell in which some trajectories diverged has a hollow marker; one in which all did sits at the top edge as an
    open triangle. Where a filter was trained several times, a bar is one standard deviation over trainings to each
    side.
    """
    scores, improvements, published = (t[t["system"] == system] for t in (scores, improvements, published))
    levels = sorted(scores["sigma_y"].unique(), reverse=True)
    if not levels:
        raise ValueError(f"the scores hold no row of system {system!r}")
    figure = new_figure(COLUMN_WIDTH, 6.2)
    axes = figure.subplots(2, len(levels), squeeze=False, sharex=True, sharey="row", height_ratios=(3, 2))
    for column, level in enumerate(levels):
        part = scores[scores["sigma_y"] == level]
        reference = published[np.isclose(published["sigma_y"], level)]
        _draw_errors(axes[0, column], part, reference)
        _draw_improvements(axes[1, column], improvements[improvements["sigma_y"] == level], reference)
        if large is not None:
            for bound in large.loc[np.isclose(large["sigma_y"], level) & (large["system"] == system), "rrmse"]:
                axes[0, column].axhline(bound, **BOUND)
        axes[0, column].set_title(f"{SYSTEM_TITLES[system]}, $\\sigma_y$ = {level:g}")
        axes[1, column].set_xlabel("ensemble size $N$")
    axes[0, 0].set_ylabel("R-RMSE")
    axes[1, 0].set_ylabel("relative improvement\nby fine-tuned MNMEF")
    _set_error_limits(axes[0], scores)
    figure.legend(handles=_legend(scores, large), loc="outside lower center", ncols=4, frameon=False)
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
        axis.fill_between(ours["ensemble_size"], ours["rrmse_low"], ours["rrmse_high"], color=look.color, **BAND)
        _draw_trainings(axis, ours[ours["n_trainings"] > 1])
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
    use_sizes(axis, sizes)


def _draw_trainings(axis: Axes, scores: pd.DataFrame) -> None:
    for row in scores.itertuples():
        bar = {"yerr": row.rrmse_training_std, "capsize": 4.0, "color": "black", "elinewidth": 0.8, "zorder": 3}
        axis.errorbar(row.ensemble_size, row.rrmse, **bar)


def _draw_improvements(axis: Axes, improvements: pd.DataFrame, published: pd.DataFrame) -> None:
    sizes = sorted(improvements["ensemble_size"].unique())
    theirs = published[published["ensemble_size"].isin(sizes)]
    theirs = theirs.pivot(index="ensemble_size", columns="method", values="rrmse")
    for method, look in LOOKS.items():
        ours = improvements[(improvements["method"] == OURS) & (improvements["benchmark"] == method)]
        if ours.empty:
            continue
        ours = ours.sort_values("ensemble_size")
        if {method, OURS} <= set(theirs.columns):
            gain = relative_improvement(theirs[method].to_numpy(), theirs[OURS].to_numpy())
            axis.plot(theirs.index, gain, "--", color=look.color, linewidth=0.7)
        axis.plot(ours["ensemble_size"], ours["improvement"], color=look.color, marker=look.marker)
        limits = (ours["improvement_low"], ours["improvement_high"])
        axis.fill_between(ours["ensemble_size"], *limits, color=look.color, **BAND)
    axis.axhline(0.0, color="black", linewidth=0.6)
    axis.yaxis.set_major_formatter(PercentFormatter(1.0))
    use_sizes(axis, sizes)


def _set_error_limits(axes: np.ndarray, scores: pd.DataFrame) -> None:
    finite = scores["rrmse_high"].fillna(scores["rrmse"]).dropna()
    # The top edge is for cells in which every trajectory diverged.
    axes[0].set_ylim(0, 1.08 * finite.max() if len(finite) else 1.0)


def _legend(scores: pd.DataFrame, large: pd.DataFrame | None) -> list[Artist]:
    present = set(scores["method"])
    handles: list[Artist] = [
        Line2D([], [], color=look.color, marker=look.marker, label=look.label)
        for method, look in LOOKS.items()
        if method in present
    ]
    handles.append(Line2D([], [], color="0.4", linestyle="--", linewidth=0.7, label="published"))
    handles.append(Patch(color="0.4", alpha=BAND["alpha"], label="95 % interval over trajectories"))
    if large is not None:
        members = large["ensemble_size"].iloc[0]
        handles.append(Line2D([], [], label=f"best classical, $N$ = {members:g}", **BOUND))
    trainings = scores["n_trainings"].max()
    if trainings > 1:
        handles.append(
            Line2D([], [], color="black", marker="|", linestyle="none", label=f"deviation over {trainings} trainings")
        )
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
