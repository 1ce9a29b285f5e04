"""Figures on calibration, which the paper lacks: rank histograms, spread against error, coverage."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from mnmef.core.names import METHODS
from mnmef.experiments.files import titles
from mnmef.report.figures import style

LOWEST = 0.05
"""Least relative frequency that is drawn, a rank that never occurred among them."""
BINS = 10
NOMINAL = 0.95
"""`mnmef.evaluation.calibration.COVERAGE`, not imported since that module needs torch."""


def figure_rank_histograms(evaluations: Sequence[xr.Dataset], members: int) -> Figure:
    """Draw how often the truth has each rank, relative to equally often: a row per filter, a column per experiment.

    The area is the largest noise level, lines are the others. A cup is an ensemble with too little spread, a hill one
    with too much.

    Parameters
    ----------
    evaluations : sequence of Dataset
        Evaluations with ranks, of all filters, experiments and noise levels.
    members : int
        Ensemble size.
    """
    # Analyses that were made elsewhere may have no members.
    runs = {key: run for key, run in _runs(evaluations, members).items() if "rank_count" in run}
    found_experiments, found_methods, found_levels = map(set, zip(*runs, strict=True))
    methods, experiments = style.shown_methods(found_methods), style.shown_experiments(found_experiments)
    levels = sorted(found_levels, reverse=True)
    figure = style.new_figure(style.COLUMN_WIDTH, 1.1 + 0.72 * len(methods))
    axes = figure.subplots(len(methods), len(experiments), squeeze=False, sharex=True, sharey=True)
    for look, row in zip(methods, axes, strict=True):
        for experiment, axis in zip(experiments, row, strict=True):
            shown = [level for level in levels if (experiment, look.name, level) in runs]
            axis.set_visible(bool(shown))
            for level in shown:
                _draw_ranks(axis, runs[experiment, look.name, level], members, look.color, filled=level == levels[0])
            axis.axhline(1.0, color="black", linewidth=0.6)
            axis.text(0.5, 0.96, look.label, transform=axis.transAxes, ha="center", va="top", fontsize=7)
        next(axis for axis in row if axis.get_visible()).tick_params(labelleft=True)
    for experiment, column in zip(experiments, axes.T, strict=True):
        column[0].set_title(titles()[experiment])
        lowest = [axis for axis in column if axis.get_visible()][-1]
        lowest.tick_params(labelbottom=True)
        lowest.set_xlabel(f"rank of the truth among {members} members")
    axes[0, 0].set(yscale="log", ylim=(LOWEST, 2.0 * (members + 1)), xlim=(-0.5, members + 0.5))
    axes[0, 0].set_yticks([0.1, 1, 10], ["0.1", "1", "10"])
    figure.supylabel("frequency of a rank, 1 if all are equally likely", fontsize=8)
    handles: list[Artist] = [Patch(color="0.4", alpha=0.45, label=f"area: $\\sigma_y$ = {levels[0]:g}")]
    handles += [style.handle(f"line: $\\sigma_y$ = {level:g}", {"linewidth": 1.0}) for level in levels[1:]]
    style.add_legend(figure, handles)
    return figure


def _draw_ranks(axis: Axes, run: xr.Dataset, members: int, color: str, *, filled: bool) -> None:
    counts = run["rank_count"].values[:, : members + 1].sum(0)
    total = counts.sum()
    if total == 0:
        axis.text(0.5, 0.3, "all diverged", transform=axis.transAxes, ha="center", fontsize=7)
        return
    relative = np.maximum(counts * (members + 1) / total, LOWEST)
    area: dict[str, Any] = {"fill": True, "alpha": 0.45, "linewidth": 0} if filled else {"linewidth": 1.0}
    axis.stairs(relative, np.arange(members + 2) - 0.5, baseline=1.0, color=color, **area)


def figure_spread_skill(scores: pd.DataFrame, evaluations: Sequence[xr.Dataset], members: int) -> Figure:
    """Draw spread-error ratio and coverage against N, and error against spread; a column per experiment.

    All of the largest noise level. Below: cycles of all trajectories that survive, sorted by their spread into ten
    groups of equal size; of each group the root mean squares over cycles and components. A calibrated filter lies on
    the thin black lines.

    Parameters
    ----------
    scores : DataFrame
        The table `scores.csv`.
    evaluations : sequence of Dataset
        Evaluations of all filters.
    members : int
        Ensemble size of the groups.
    """
    level = scores["sigma_y"].max()
    scores = scores[scores["sigma_y"] == level]
    experiments = style.shown_experiments(set(scores["experiment"]))
    methods = style.shown_methods(set(scores["method"]))
    runs = _runs(evaluations, members)
    figure = style.new_figure(style.COLUMN_WIDTH, 7.4)
    axes = figure.subplots(3, len(experiments), squeeze=False, height_ratios=(1, 1, 1.15))
    for (ratio, coverage, skill), experiment in zip(axes.T, experiments, strict=True):
        part = scores[scores["experiment"] == experiment]
        for axis, column, nominal in ((ratio, "spread_error_ratio", 1.0), (coverage, "coverage_95", NOMINAL)):
            axis.axhline(nominal, **style.CALIBRATED)
            style.draw_curves(axis, METHODS, "method", part, y=column)
        for look in methods:
            if (experiment, look.name, level) in runs:
                binned = binned_spread_skill(runs[experiment, look.name, level], members)
                skill.plot(*binned, color=look.color, marker=look.marker, markersize=3)
        _finish_square(skill)
        ratio.set(
            title=style.cell_title(experiment, level), ylim=(0, 1.1 * max(1.2, scores["spread_error_ratio"].max()))
        )
        coverage.set(xlabel="ensemble size $N$", ylim=(0, 1.04))
        coverage.yaxis.set_major_formatter(PercentFormatter(1.0))
        skill.set_xlabel(f"spread at $N$ = {members} (state units)")
    labels = ("spread / error", "coverage of the 95 % interval", "RMSE of the mean (state units)")
    for axis, label in zip(axes[:, 0], labels, strict=True):
        axis.set_ylabel(label)
    style.add_legend(figure, [*style.look_handles(methods), style.handle("calibrated", style.CALIBRATED)])
    return figure


def binned_spread_skill(run: xr.Dataset, members: int) -> tuple[np.ndarray, np.ndarray]:
    """Return root-mean-square spread and error (bins,) of the cycles of one ensemble size, grouped by their spread.

    The spread has the factor `sqrt((N + 1) / N)` of `mnmef.scores.calibration.spread_error_ratio`. Empty if no
    trajectory survives.
    """
    spread, error = (run[name].values.astype(np.float64) for name in ("spread", "error_norm"))
    whole = np.isfinite(spread).all(-1) & np.isfinite(error).all(-1)
    if not whole.any():
        return np.empty(0), np.empty(0)
    order = np.argsort(spread[whole], axis=None, kind="stable")
    squares = ((members + 1) / members * spread[whole] ** 2, error[whole] ** 2 / run.attrs["state_size"])
    groups = [np.array_split(values.ravel()[order], BINS) for values in squares]
    spreads, errors = (np.sqrt([group.mean() for group in parts]) for parts in groups)
    return spreads, errors


def _finish_square(axis: Axes) -> None:
    """Make both axes logarithmic with the same decades, and draw the diagonal."""
    axis.set(xscale="log", yscale="log")
    ends = [end for limits in (axis.get_xlim(), axis.get_ylim()) for end in limits]
    axis.plot([min(ends), max(ends)], [min(ends), max(ends)], zorder=0, **style.CALIBRATED)
    for direction in (axis.xaxis, axis.yaxis):
        style.use_decades(direction)
    style.draw_grid(axis)


def _runs(evaluations: Sequence[xr.Dataset], members: int) -> dict[tuple[str, str, float], xr.Dataset]:
    """Return the runs with `members` members by experiment, method and noise level."""
    return {
        (run.attrs["experiment"], run.attrs["method"], float(run.attrs["sigma_y"])): run.sel(ensemble_size=members)
        for run in evaluations
        if members in run["ensemble_size"].values
    }
