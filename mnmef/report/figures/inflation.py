"""Figure 9: R-RMSE against ensemble size with and without the learned inflation."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mnmef.report.figures.style import BAND, COLUMN_WIDTH, LOOKS, SYSTEM_TITLES, new_figure, use_sizes

COLOR = LOOKS["mnmef_tuned"].color
VARIANTS = {
    True: ("trained_infl", "with the learned inflation", COLOR, LOOKS["mnmef_tuned"].marker),
    False: ("no_infl", "without", "#6A6A6A", "D"),
}
"""The name of each variant in the published table, its label, color and marker."""


def figure_inflation(scores: pd.DataFrame, published: pd.DataFrame) -> Figure:
    """R-RMSE of fine-tuned MNMEF with and without its learned inflation, a panel per noise level.

    scores: of `mnmef.studies.inflation.inflation_summary`, of one system; bands are 95 % intervals over trajectories.
    published: the paper's figure 9, thin and dashed. A cell in which some trajectories diverged has a hollow
    marker; one in which all did sits at the top edge.
    """
    system = scores["system"].iloc[0]
    levels = sorted(scores["sigma_y"].unique(), reverse=True)
    figure = new_figure(COLUMN_WIDTH, 3.2)
    axes = figure.subplots(1, len(levels), squeeze=False, sharey=True)[0]
    sizes = sorted(scores["ensemble_size"].unique())
    theirs = published[(published["system"] == system) & published["ensemble_size"].isin(sizes)]
    for axis, level in zip(axes, levels, strict=True):
        _draw(axis, scores[scores["sigma_y"] == level], theirs[np.isclose(theirs["sigma_y"], level)])
        use_sizes(axis, sizes)
        axis.set_title(f"{SYSTEM_TITLES[system]}, $\\sigma_y$ = {level:g}")
        axis.set_xlabel("ensemble size $N$")
    axes[0].set_ylabel("R-RMSE")
    top = pd.concat([scores["rrmse_high"], scores["rrmse"], theirs["rrmse"]]).max()
    axes[0].set_ylim(0, 1.1 * top if np.isfinite(top) else 1.0)
    figure.legend(handles=_handles(scores), loc="outside lower center", ncols=3, frameon=False)
    return figure


def _draw(axis: Axes, scores: pd.DataFrame, published: pd.DataFrame) -> None:
    for state, (name, _, color, marker) in VARIANTS.items():
        theirs = published[published["variant"] == name].sort_values("ensemble_size")
        axis.plot(theirs["ensemble_size"], theirs["rrmse"], "--", color=color, linewidth=0.7)
        ours = scores[scores["inflation"] == state].sort_values("ensemble_size")
        axis.plot(ours["ensemble_size"], ours["rrmse"], color=color)
        axis.fill_between(ours["ensemble_size"], ours["rrmse_low"], ours["rrmse_high"], color=color, **BAND)
        for part, filled in ((ours[ours["n_diverged"] == 0], color), (ours[ours["n_diverged"] > 0], "white")):
            axis.plot(part["ensemble_size"], part["rrmse"], marker, color=color, markerfacecolor=filled)
        lost = ours[ours["rrmse"].isna()]
        top = axis.get_xaxis_transform()
        axis.plot(
            lost["ensemble_size"], np.full(len(lost), 0.97), "^", color=color, markerfacecolor="none", transform=top
        )


def _handles(scores: pd.DataFrame) -> list[Line2D | Patch]:
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=color, marker=marker, label=label) for _, label, color, marker in VARIANTS.values()
    ]
    handles.append(Line2D([], [], color="0.4", linestyle="--", linewidth=0.7, label="published"))
    handles.append(Patch(color="0.4", alpha=BAND["alpha"], label="95 % interval over trajectories"))
    hollow: dict[str, Any] = {"color": "0.4", "linestyle": "none", "markerfacecolor": "white"}
    if (scores["n_diverged"] > 0).any():
        handles.append(Line2D([], [], marker="o", label="hollow: some trajectories diverged", **hollow))
    if scores["rrmse"].isna().any():
        handles.append(Line2D([], [], marker="^", label="at the top edge: all diverged", **hollow))
    return handles
