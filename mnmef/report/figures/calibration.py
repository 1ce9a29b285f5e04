"""Figures on calibration, which the paper lacks: rank histograms, spread against error, coverage."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FormatStrFormatter, LogLocator, NullLocator, PercentFormatter

from mnmef.report.figures.style import COLUMN_WIDTH, LOOKS, SYSTEM_TITLES, new_figure

LOWEST = 0.05
"""Where a relative frequency is cut off, a rank that never occurred among them."""
BINS = 10
NOMINAL = 0.95
"""`mnmef.evaluation.calibration.COVERAGE`, not imported since that module needs torch."""


def figure_rank_histograms(evaluations: Sequence[xr.Dataset], members: int) -> Figure:
    """How often the truth has each rank among the `members` members, relative to equally often: a row for each filter,
    a column for each system.

    evaluations: of all filters, systems and noise levels, with ranks. The area is the largest noise level, lines are
    the others. A cup is an ensemble with too little spread, a hill one with too much.
    """
    runs = _runs(evaluations, members)
    methods = [method for method in LOOKS if any(m == method for _, m, _ in runs)]
    systems = [system for system in SYSTEM_TITLES if any(s == system for s, _, _ in runs)]
    levels = sorted({level for _, _, level in runs}, reverse=True)
    figure = new_figure(COLUMN_WIDTH, 1.1 + 0.72 * len(methods))
    axes = figure.subplots(len(methods), len(systems), squeeze=False, sharex=True, sharey=True)
    for row, method in enumerate(methods):
        for column, system in enumerate(systems):
            axis = axes[row, column]
            found = [(level, runs[system, method, level]) for level in levels if (system, method, level) in runs]
            axis.set_visible(bool(found))
            for level, run in found:
                _draw_ranks(axis, run, members, LOOKS[method].color, filled=level == levels[0])
            axis.axhline(1.0, color="black", linewidth=0.6)
            axis.text(0.5, 0.96, LOOKS[method].label, transform=axis.transAxes, ha="center", va="top", fontsize=7)
    for column, system in enumerate(systems):
        axes[0, column].set_title(SYSTEM_TITLES[system])
        shown = [axis for axis in axes[:, column] if axis.get_visible()]
        shown[-1].tick_params(labelbottom=True)
        shown[-1].set_xlabel(f"rank of the truth among {members} members")
    for row in axes:
        next(axis for axis in row if axis.get_visible()).tick_params(labelleft=True)
    axes[0, 0].set_yscale("log")
    axes[0, 0].set_ylim(LOWEST, 2.0 * (members + 1))
    axes[0, 0].yaxis.set_major_locator(FixedLocator([0.1, 1, 10]))
    axes[0, 0].yaxis.set_major_formatter(FormatStrFormatter("%g"))
    axes[0, 0].set_xlim(-0.5, members + 0.5)
    figure.supylabel("frequency of a rank, 1 if all are equally likely", fontsize=8)
    figure.legend(handles=_level_handles(levels), loc="outside lower center", ncols=4, frameon=False)
    return figure


def _draw_ranks(axis: Axes, run: xr.Dataset, members: int, color: str, *, filled: bool) -> None:
    counts = run["rank_count"].values[:, : members + 1].sum(0)
    total = counts.sum()
    if total == 0:
        axis.text(0.5, 0.3, "all diverged", transform=axis.transAxes, ha="center", fontsize=7)
        return
    relative = np.maximum(counts * (members + 1) / total, LOWEST)
    edges = np.arange(members + 2) - 0.5
    area: dict[str, Any] = {"fill": True, "alpha": 0.45, "linewidth": 0}
    axis.stairs(relative, edges, baseline=1.0, color=color, **(area if filled else {"linewidth": 1.0}))


def _level_handles(levels: Sequence[float]) -> list[Artist]:
    handles: list[Artist] = [Patch(color="0.4", alpha=0.45, label=f"area: $\\sigma_y$ = {levels[0]:g}")]
    handles += [Line2D([], [], color="0.4", linewidth=1.0, label=f"line: $\\sigma_y$ = {y:g}") for y in levels[1:]]
    return handles


def figure_spread_skill(scores: pd.DataFrame, evaluations: Sequence[xr.Dataset], members: int) -> Figure:
    """Spread-error ratio and coverage against N, and error against spread with `members` members; a column per system,
    the largest noise level.

    scores: the table `scores.csv`. evaluations: of all filters. Below: cycles of all trajectories that survive, sorted
    by their spread into ten groups of equal size; of each group the root mean squares over cycles and components. A
    calibrated filter lies on the thin black lines.
    """
    level = scores["sigma_y"].max()
    scores = scores[scores["sigma_y"] == level]
    systems = [system for system in SYSTEM_TITLES if system in set(scores["system"])]
    runs = _runs(evaluations, members)
    figure = new_figure(COLUMN_WIDTH, 7.4)
    axes = figure.subplots(3, len(systems), squeeze=False, height_ratios=(1, 1, 1.15))
    for column, system in enumerate(systems):
        part = scores[scores["system"] == system]
        _draw_against_size(axes[0, column], part, "spread_error_ratio", 1.0)
        _draw_against_size(axes[1, column], part, "coverage_95", NOMINAL)
        for method, look in LOOKS.items():
            if (system, method, level) in runs:
                spread, error = binned_spread_skill(runs[system, method, level], members)
                axes[2, column].plot(spread, error, color=look.color, marker=look.marker, markersize=3)
        _finish_square(axes[2, column])
        axes[0, column].set_title(f"{SYSTEM_TITLES[system]}, $\\sigma_y$ = {level:g}")
        axes[1, column].set_xlabel("ensemble size $N$")
        axes[2, column].set_xlabel(f"spread at $N$ = {members} (state units)")
    top = 1.1 * max(1.2, scores["spread_error_ratio"].max())
    for axis in axes[0]:
        axis.set_ylim(0, top)
    for axis in axes[1]:
        axis.yaxis.set_major_formatter(PercentFormatter(1.0))
        axis.set_ylim(0, 1.04)
    labels = ("spread / error", "coverage of the 95 % interval", "RMSE of the mean (state units)")
    for axis, label in zip(axes[:, 0], labels, strict=True):
        axis.set_ylabel(label)
    present = set(scores["method"])
    handles = [
        Line2D([], [], color=look.color, marker=look.marker, label=look.label)
        for method, look in LOOKS.items()
        if method in present
    ]
    handles.append(Line2D([], [], color="black", linewidth=0.8, label="calibrated"))
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False)
    return figure


def binned_spread_skill(run: xr.Dataset, members: int) -> tuple[np.ndarray, np.ndarray]:
    """Root-mean-square spread and error (bins,) of the cycles of one ensemble size, grouped by their spread.

    The spread has the factor `sqrt((N + 1) / N)` of `mnmef.scores.calibration.spread_error_ratio`. Empty if no
    trajectory survives.
    """
    spread, error = (run[name].values.astype(np.float64) for name in ("spread", "error_norm"))
    whole = np.isfinite(spread).all(-1) & np.isfinite(error).all(-1)
    if not whole.any():
        return np.empty(0), np.empty(0)
    order = np.argsort(spread[whole], axis=None, kind="stable")
    squares = ((members + 1) / members * spread[whole] ** 2, error[whole] ** 2 / run.attrs["state_size"])
    spreads, errors = (
        np.array([np.sqrt(part.mean()) for part in np.array_split(values.ravel()[order], BINS)]) for values in squares
    )
    return spreads, errors


def _draw_against_size(axis: Axes, scores: pd.DataFrame, column: str, nominal: float) -> None:
    axis.axhline(nominal, color="black", linewidth=0.8)
    for method, look in LOOKS.items():
        ours = scores[scores["method"] == method].sort_values("ensemble_size")
        if ours.empty:
            continue
        axis.plot(ours["ensemble_size"], ours[column], color=look.color)
        for part, face in ((ours[ours["n_diverged"] == 0], look.color), (ours[ours["n_diverged"] > 0], "white")):
            axis.plot(part["ensemble_size"], part[column], look.marker, color=look.color, markerfacecolor=face)
    sizes = sorted(scores["ensemble_size"].unique())
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(FixedLocator(sizes))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xticklabels([str(n) for n in sizes])
    axis.grid(alpha=0.25, linewidth=0.5)


def _finish_square(axis: Axes) -> None:
    """Logarithmic axes of the same decades, with the diagonal."""
    axis.set_xscale("log")
    axis.set_yscale("log")
    ends = [end for limits in (axis.get_xlim(), axis.get_ylim()) for end in limits]
    axis.plot([min(ends), max(ends)], [min(ends), max(ends)], color="black", linewidth=0.8, zorder=0)
    for direction in (axis.xaxis, axis.yaxis):
        direction.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        direction.set_major_formatter(FormatStrFormatter("%g"))
        direction.set_minor_locator(NullLocator())
    axis.grid(alpha=0.25, linewidth=0.5)


def _runs(evaluations: Sequence[xr.Dataset], members: int) -> dict[tuple[str, str, float], xr.Dataset]:
    """The runs with `members` members by system, method and noise level."""
    return {
        (run.attrs["system"], run.attrs["method"], float(run.attrs["sigma_y"])): run.sel(ensemble_size=members)
        for run in evaluations
        if members in run["ensemble_size"].values
    }
