"""Figures 1, 4, 7 and 9: R-RMSE and relative improvement against ensemble size."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from mnmef.assimilation.metrics import relative_improvement
from mnmef.core.names import METHODS, Look
from mnmef.report.figures import style
from mnmef.report.study_claims import with_our_names

OURS = METHODS["mnmef_finetuned"]
BOUND: dict[str, Any] = {"color": "black", "linestyle": ":", "linewidth": 1.0}
INFLATION_LOOKS = {
    True: Look("with the learned inflation", OURS.color, OURS.marker),
    False: Look("without", "#6A6A6A", "D"),
}


def figure_curves(
    scores: pd.DataFrame,
    improvements: pd.DataFrame,
    published: pd.DataFrame,
    experiment: str,
    large: pd.DataFrame | None = None,
) -> Figure:
    """Draw R-RMSE of every filter (top) and the improvement by fine-tuned MNMEF on each (bottom) against N.

    A column for each noise level. A cell in which some trajectories diverged has a hollow marker; one in which all did
    sits at the top edge as an open triangle. Where a filter was trained several times, a bar is one standard deviation
    over trainings to each side.

    Parameters
    ----------
    scores, improvements : DataFrame
        `scores.csv` and `improvements.csv`; their 95 % intervals over trajectories (for improvements in pairs) are
        bands.
    published : DataFrame
        R-RMSE of the paper's figures, drawn as thin dashed lines.
    experiment : str
    large : DataFrame, optional
        R-RMSE of the best classical filter with a very large ensemble (`mnmef.studies.reference`), a dotted line.

    Raises
    ------
    ValueError
        If `scores` has no row of the experiment.
    """
    scores, improvements, published = (t[t["experiment"] == experiment] for t in (scores, improvements, published))
    levels = sorted(scores["sigma_y"].unique(), reverse=True)
    if not levels:
        raise ValueError(f"the scores hold no row of experiment {experiment!r}")
    figure = style.new_figure(style.COLUMN_WIDTH, 6.2)
    axes = figure.subplots(2, len(levels), squeeze=False, sharex=True, sharey="row", height_ratios=(3, 2))
    for (top, bottom), level in zip(axes.T, levels, strict=True):
        reference = published[np.isclose(published["sigma_y"], level)]
        _draw_errors(top, scores[scores["sigma_y"] == level], reference)
        _draw_improvements(bottom, improvements[improvements["sigma_y"] == level], reference)
        if large is not None:
            for bound in large.loc[np.isclose(large["sigma_y"], level) & (large["experiment"] == experiment), "rrmse"]:
                top.axhline(bound, **BOUND)
        top.set_title(style.cell_title(experiment, level))
        bottom.set_xlabel("ensemble size $N$")
    axes[0, 0].set_ylabel("R-RMSE")
    axes[1, 0].set_ylabel("relative improvement\nby fine-tuned MNMEF")
    highest = scores["rrmse_high"].fillna(scores["rrmse"]).max()
    # The top edge is for cells in which every trajectory diverged.
    axes[0, 0].set_ylim(0, 1.08 * highest if np.isfinite(highest) else 1.0)
    style.add_legend(figure, _curve_handles(scores, large, has_published=not published.empty))
    return figure


def _draw_errors(axis: Axes, scores: pd.DataFrame, published: pd.DataFrame) -> None:
    sizes = sorted(scores["ensemble_size"].unique())
    published = published[published["ensemble_size"].isin(sizes)]
    for look in style.shown_methods(set(scores["method"])):
        ours = scores[scores["method"] == look.name].sort_values("ensemble_size")
        theirs = published[published["method"] == look.name]
        axis.plot(theirs["ensemble_size"], theirs["rrmse"], color=look.color, alpha=0.8, **style.PUBLISHED)
        style.draw_curve(axis, look, ours, "ensemble_size", "rrmse")
        for row in ours[ours["n_trainings"] > 1].itertuples():
            bar = {"yerr": row.rrmse_training_std, "capsize": 4.0, "color": "black", "elinewidth": 0.8, "zorder": 3}
            axis.errorbar(row.ensemble_size, row.rrmse, **bar)
        style.draw_lost(axis, look, ours.loc[ours["rrmse"].isna(), "ensemble_size"], 0.985)
    style.use_sizes(axis, sizes)


def _draw_improvements(axis: Axes, improvements: pd.DataFrame, published: pd.DataFrame) -> None:
    sizes = sorted(improvements["ensemble_size"].unique())
    theirs = published[published["ensemble_size"].isin(sizes)]
    theirs = theirs.pivot(index="ensemble_size", columns="method", values="rrmse")
    ours = improvements[improvements["method"] == OURS.name].sort_values("ensemble_size")
    for look in style.shown_methods(set(ours["benchmark"])):
        if {look.name, OURS.name} <= set(theirs.columns):
            gain = relative_improvement(theirs[look.name].to_numpy(), theirs[OURS.name].to_numpy())
            axis.plot(theirs.index, gain, color=look.color, **style.PUBLISHED)
        style.draw_curve(axis, look, ours[ours["benchmark"] == look.name], "ensemble_size", "improvement")
    axis.axhline(0.0, color="black", linewidth=0.6)
    axis.yaxis.set_major_formatter(PercentFormatter(1.0))
    style.use_sizes(axis, sizes)


def _curve_handles(scores: pd.DataFrame, large: pd.DataFrame | None, *, has_published: bool) -> list[Artist]:
    handles = style.score_handles(style.shown_methods(set(scores["method"])), has_published=has_published)
    if large is not None:
        handles.append(Line2D([], [], label=f"best classical, $N$ = {large['ensemble_size'].iloc[0]:g}", **BOUND))
    trainings = scores["n_trainings"].max()
    if trainings > 1:
        label = f"deviation over {trainings} trainings"
        handles.append(Line2D([], [], color="black", marker="|", linestyle="none", label=label))
    return handles + _diverged_handles(scores)


def figure_inflation(scores: pd.DataFrame, published: pd.DataFrame) -> Figure:
    """Draw R-RMSE of fine-tuned MNMEF with and without its learned inflation, a panel for each noise level.

    A cell in which some trajectories diverged has a hollow marker; one in which all did sits at the top edge.

    Parameters
    ----------
    scores : DataFrame
        Table of `mnmef.studies.inflation.inflation_summary`, of one experiment; its 95 % intervals over trajectories
        are bands.
    published : DataFrame
        The paper's figure 9, drawn thin and dashed.
    """
    experiment = scores["experiment"].iloc[0]
    levels = sorted(scores["sigma_y"].unique(), reverse=True)
    sizes = sorted(scores["ensemble_size"].unique())
    theirs = published[(published["experiment"] == experiment) & published["ensemble_size"].isin(sizes)]
    theirs = with_our_names(theirs).sort_values("ensemble_size")
    figure = style.new_figure(style.COLUMN_WIDTH, 3.2)
    axes = figure.subplots(1, len(levels), squeeze=False, sharey=True)[0]
    for axis, level in zip(axes, levels, strict=True):
        for state, look in INFLATION_LOOKS.items():
            part = theirs[(theirs["inflation"] == state) & np.isclose(theirs["sigma_y"], level)]
            axis.plot(part["ensemble_size"], part["rrmse"], color=look.color, **style.PUBLISHED)
            ours = scores[(scores["inflation"] == state) & (scores["sigma_y"] == level)].sort_values("ensemble_size")
            style.draw_curve(axis, look, ours, "ensemble_size", "rrmse")
            style.draw_lost(axis, look, ours.loc[ours["rrmse"].isna(), "ensemble_size"], 0.97)
        style.use_sizes(axis, sizes)
        axis.set_title(style.cell_title(experiment, level))
        axis.set_xlabel("ensemble size $N$")
    axes[0].set_ylabel("R-RMSE")
    top = pd.concat([scores["rrmse_high"], scores["rrmse"], theirs["rrmse"]]).max()
    axes[0].set_ylim(0, 1.1 * top if np.isfinite(top) else 1.0)
    style.add_legend(figure, style.score_handles(INFLATION_LOOKS.values()) + _diverged_handles(scores), columns=3)
    return figure


def _diverged_handles(scores: pd.DataFrame) -> list[Artist]:
    return style.diverged_handles(some=(scores["n_diverged"] > 0).any(), everything=scores["rrmse"].isna().any())
