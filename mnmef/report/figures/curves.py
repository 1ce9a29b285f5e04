"""Figures 1, 4, 7, 9 and 11: R-RMSE and relative improvement against ensemble size or fine-tuning epoch."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from mnmef.core.names import METHODS, Look
from mnmef.report.figures import style
from mnmef.report.tables import with_our_names
from mnmef.scores.scoring import summarize

OURS = METHODS["mnmef_finetuned"]
TITLES = {OURS.name: "fine-tuned MNMEF"}
BOUND: dict[str, Any] = {"color": "black", "linestyle": ":", "linewidth": 1.0}
TRAININGS: dict[str, Any] = {"fmt": "none", "capsize": 4.0, "color": "black", "elinewidth": 0.8, "zorder": 3}
INFLATION_LOOKS = {
    True: Look("with the learned inflation", OURS.color, OURS.marker),
    False: Look("without", "#6A6A6A", "D"),
}
STRATEGY_LOOKS = {
    "heads": Look("heads only", OURS.color, OURS.marker),
    "all": Look("all parameters", style.SECOND_COLOR, "D"),
}


def figure_curves(
    scores: pd.DataFrame,
    improvements: pd.DataFrame,
    published: pd.DataFrame,
    experiment: str,
    large: pd.DataFrame | None = None,
    contender: str = OURS.name,
) -> Figure:
    """Draw R-RMSE of every filter (top) and the improvement by one on each (bottom) against N.

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
    experiment, contender : str
        The experiment; the method whose improvement on the others is drawn, by default fine-tuned MNMEF.
    large : DataFrame, optional
        R-RMSE of a very large ensemble (`mnmef.studies.reference`), a dotted line.

    Raises
    ------
    ValueError
        If `scores` has no row of the experiment.
    """
    scores, gains, published = (t[t["experiment"] == experiment] for t in (scores, improvements, published))
    gains = gains[gains["method"] == contender]
    levels = sorted(scores["sigma_y"].unique(), reverse=True)
    if not levels:
        raise ValueError(f"the scores hold no row of experiment {experiment!r}")
    figure = style.new_figure(style.COLUMN_WIDTH, 6.2)
    axes = figure.subplots(2, len(levels), squeeze=False, sharex=True, sharey="row", height_ratios=(3, 2))
    for (top, bottom), level in zip(axes.T, levels, strict=True):
        ours, gain, theirs = (t[np.isclose(t["sigma_y"], level)] for t in (scores, gains, published))
        style.draw_curves(top, METHODS, "method", ours, theirs)
        several = ours[ours["n_trainings"] > 1]
        if len(several):
            top.errorbar(several["ensemble_size"], several["rrmse"], several["rrmse_training_std"], **TRAININGS)
        style.draw_curves(bottom, METHODS, "benchmark", gain, published_gains(theirs, contender), y="improvement")
        bottom.axhline(0.0, color="black", linewidth=0.6)
        bottom.yaxis.set_major_formatter(PercentFormatter(1.0))
        if large is not None:
            for bound in large.loc[np.isclose(large["sigma_y"], level) & (large["experiment"] == experiment), "rrmse"]:
                top.axhline(bound, **BOUND)
        top.set_title(style.cell_title(experiment, level))
        bottom.set_xlabel("ensemble size $N$")
    axes[0, 0].set_ylabel("R-RMSE")
    axes[1, 0].set_ylabel(f"relative improvement\nby {TITLES.get(contender, contender)}")
    # The top edge is for cells in which every trajectory diverged.
    style.start_at_zero(axes[0, 0], scores["rrmse_high"].fillna(scores["rrmse"]))
    looks = style.shown_methods(set(scores["method"]))
    handles = style.score_handles(looks, scores, has_published=not published.empty)
    style.add_legend(figure, handles + _further_handles(scores, large))
    return figure


def _further_handles(scores: pd.DataFrame, large: pd.DataFrame | None) -> list[Artist]:
    """Return the handles of a very large ensemble and of several trainings, as far as needed."""
    handles = []
    if large is not None:
        # Only filters without iterations were tried: the label names those that are drawn.
        part = large[large["experiment"].isin(scores["experiment"])]
        titles = " or ".join(METHODS[method].label for method in dict.fromkeys(part["method"]))
        handles.append(style.handle(f"{titles}, $N$ = {part['ensemble_size'].iloc[0]:g}", BOUND))
    if scores["n_trainings"].max() > 1:
        bar = {"color": "black", "marker": "|", "linestyle": "none"}
        handles.append(style.handle(f"deviation over {scores['n_trainings'].max()} trainings", bar))
    return handles


def published_gains(published: pd.DataFrame, contender: str = OURS.name) -> pd.DataFrame:
    """Return the published improvement of a filter on each other of one experiment and noise level."""
    ours = published[published["method"] == contender].set_index("ensemble_size")["rrmse"]
    gain = 1 - published["ensemble_size"].map(ours) / published["rrmse"]
    return published.assign(benchmark=published["method"], improvement=gain)


def figure_inflation(scores: pd.DataFrame, published: pd.DataFrame) -> Figure:
    """Draw R-RMSE of fine-tuned MNMEF with and without its learned inflation, a panel for each noise level.

    A cell in which some trajectories diverged has a hollow marker; one in which all did sits at the top edge.

    Parameters
    ----------
    scores : DataFrame
        Summary of `mnmef.scores.scoring.inflation_scores`, of one experiment; its 95 % intervals over trajectories
        are bands.
    published : DataFrame
        The paper's figure 9, drawn thin and dashed.
    """
    (experiment,) = scores["experiment"].unique()
    theirs = with_our_names(published[published["experiment"] == experiment])
    theirs = theirs[theirs["ensemble_size"].isin(scores["ensemble_size"])]
    levels = sorted(scores["sigma_y"].unique(), reverse=True)
    figure = style.new_figure(style.COLUMN_WIDTH, 3.2)
    axes = figure.subplots(1, len(levels), squeeze=False, sharey=True)[0]
    for axis, level in zip(axes, levels, strict=True):
        ours, shown = (table[np.isclose(table["sigma_y"], level)] for table in (scores, theirs))
        style.draw_curves(axis, INFLATION_LOOKS, "inflation", ours, shown)
        axis.set(title=style.cell_title(experiment, level), xlabel="ensemble size $N$")
    axes[0].set_ylabel("R-RMSE")
    style.start_at_zero(axes[0], pd.concat([scores["rrmse_high"], scores["rrmse"], theirs["rrmse"]]))
    style.add_legend(figure, style.score_handles(INFLATION_LOOKS.values(), scores), columns=3)
    return figure


def figure_tuning_curves(table: pd.DataFrame, published: pd.DataFrame, cycles: int, seed: int) -> Figure:
    """Draw mean R-RMSE over test trajectories with its 95 % interval against the epoch, a column per ensemble size.

    A hollow marker: some trajectories diverged.

    Parameters
    ----------
    table : DataFrame
        Rows of `mnmef.studies.finetuning_curve`, of one experiment and noise level.
    published : DataFrame
        The paper's figure 11, drawn as thin dashed lines.
    cycles : int
        Number of cycles of a test trajectory, for the label.
    seed : int
        Seed of the bootstrap.
    """
    (experiment,), (level,) = table["experiment"].unique(), table["sigma_y"].unique()
    scores = summarize(table, ["ensemble_size", "parameters", "epoch", "step"], seed)
    published = with_our_names(published[(published["experiment"] == experiment) & (published["sigma_y"] == level)])
    sizes = sorted(table["ensemble_size"].unique())
    figure = style.new_figure(style.COLUMN_WIDTH, 3.4)
    axes = figure.subplots(1, len(sizes), squeeze=False, sharey=True)[0]
    for axis, size in zip(axes, sizes, strict=True):
        ours, theirs = (t[t["ensemble_size"] == size] for t in (scores, published))
        style.draw_curves(axis, STRATEGY_LOOKS, "parameters", ours, theirs, x="epoch")
        last = ours.loc[ours["epoch"].idxmax()]
        axis.set_xlabel(f"fine-tuning epoch (epoch {last['epoch']}: {last['step']} optimizer steps)")
        axis.set_title(f"{style.cell_title(experiment, level)}, $N$ = {size}")
        style.draw_grid(axis)
    axes[0].set_ylabel(f"R-RMSE (first {cycles} cycles)")
    style.add_legend(figure, style.score_handles(STRATEGY_LOOKS.values(), scores))
    return figure
