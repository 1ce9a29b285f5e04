"""Figure 11: R-RMSE against fine-tuning epoch, heads only against all parameters."""

import pandas as pd
from matplotlib.figure import Figure

from mnmef.core.names import METHODS, Look
from mnmef.report.figures import style
from mnmef.report.tables import with_our_names
from mnmef.scores.scoring import summarize

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
