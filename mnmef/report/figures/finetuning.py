"""Figure 11: R-RMSE against fine-tuning epoch, heads only against all parameters."""

from dataclasses import asdict

import pandas as pd
from matplotlib.figure import Figure

from mnmef.core.names import METHODS, Look
from mnmef.report.figures import style
from mnmef.report.study_claims import with_our_names
from mnmef.scores.bootstrap import mean_with_interval

STRATEGY_LOOKS = {
    "heads": Look("heads only", METHODS["mnmef_finetuned"].color, METHODS["mnmef_finetuned"].marker),
    "all": Look("all parameters", style.SECOND_COLOR, "D"),
}


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
    sizes = sorted(table["ensemble_size"].unique())
    published = with_our_names(published[(published["experiment"] == experiment) & (published["sigma_y"] == level)])
    figure = style.new_figure(style.COLUMN_WIDTH, 3.4)
    axes = figure.subplots(1, len(sizes), squeeze=False, sharey=True)[0]
    for axis, size in zip(axes, sizes, strict=True):
        ours, theirs = (t[t["ensemble_size"] == size] for t in (table, published))
        for parameters, look in STRATEGY_LOOKS.items():
            part = theirs[theirs["parameters"] == parameters]
            axis.plot(part["epoch"], part["rrmse"], color=look.color, **style.PUBLISHED)
            style.draw_curve(axis, look, _means(ours[ours["parameters"] == parameters], seed), "epoch", "value")
        last = ours.loc[ours["epoch"].idxmax()]
        axis.set_xlabel(f"fine-tuning epoch (epoch {last['epoch']}: {last['step']} optimizer steps)")
        axis.set_title(f"{style.cell_title(experiment, level)}, $N$ = {size}")
        style.draw_grid(axis)
    axes[0].set_ylabel(f"R-RMSE (first {cycles} cycles)")
    diverged = style.diverged_handles(some=table["rrmse"].isna().any(), everything=False)
    style.add_legend(figure, style.score_handles(STRATEGY_LOOKS.values()) + diverged)
    return figure


def _means(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return the mean over trajectories with its interval for each epoch, as `draw_curve` needs it."""
    rows = [
        {"epoch": epoch, **asdict(mean_with_interval(part["rrmse"].to_numpy(), seed))}
        for epoch, part in table.groupby("epoch")
    ]
    names = {"low": "value_low", "high": "value_high", "left_out": "n_diverged"}
    return pd.DataFrame(rows).rename(columns=names)
