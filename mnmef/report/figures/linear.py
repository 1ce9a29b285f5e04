"""Figure C.13: distance from the exact filter on a linear-Gaussian system."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullLocator

from mnmef.report.figures.style import COLUMN_WIDTH, LOOKS, Look, new_figure

# The names are those of `mnmef.studies.linear_gaussian`, which this module does not import, since it needs torch.
REFERENCES = {
    "sampling": Look("draws from the exact posterior", "black", ""),
    "enkf": Look("EnKF (untuned)", LOOKS["enkf"].color, LOOKS["enkf"].marker),
}
DECAYS = {
    "": Look("MNMEF, no weight decay", LOOKS["mnmef_tuned"].color, LOOKS["mnmef_tuned"].marker),
    "_decay": Look("MNMEF, weight decay {:g}", "#5E3C99", "D"),
}
BAND = (0.1, 0.9)


def figure_linear(runs: Mapping[str, xr.Dataset], members: int, weight_decay: float) -> Figure:
    """2-Wasserstein distance of the ensemble's Gaussian from the exact posterior against the cycle, a column per loss.

    runs: by variant, as `mnmef.studies.linear_gaussian.run_variant` returns them. Lines are medians over all
    trajectories, of which those that diverged count as far away; bands hold 80 % of them. A cross is where one
    diverged.
    """
    losses = [variant for variant in runs if variant not in REFERENCES and not variant.endswith("_decay")]
    figure = new_figure(COLUMN_WIDTH, 3.6)
    axes = figure.subplots(1, len(losses), squeeze=False, sharex=True, sharey=True)[0]
    handles = {}
    for axis, loss in zip(axes, losses, strict=True):
        looks = {**REFERENCES, **{loss + suffix: look for suffix, look in DECAYS.items()}}
        lines = []
        for variant, look in looks.items():
            if variant in runs:
                label = look.label.format(weight_decay)
                _draw_run(axis, runs[variant], look)
                handles[label] = Line2D([], [], color=look.color, marker=look.marker, label=label)
                lost = int((runs[variant]["diverged_at"] >= 0).sum())
                lines += [f"{label}: {lost} of {runs[variant].sizes['trajectory']} diverged"] if lost else []
        axis.set_title(f"linear-Gaussian system, loss {loss}, $N$ = {members}")
        axis.set_xlabel("assimilation cycle")
        axis.grid(alpha=0.25, linewidth=0.5)
        if lines:
            axis.text(0.98, 0.98, "\n".join(lines), transform=axis.transAxes, ha="right", va="top", fontsize=6.5)
    axes[0].set_yscale("log")
    axes[0].yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes[0].yaxis.set_major_formatter(FormatStrFormatter("%g"))
    axes[0].yaxis.set_minor_locator(NullLocator())
    axes[0].set_ylabel("2-Wasserstein distance\nfrom the exact posterior (state units)")
    shown = [*handles.values(), Patch(color="0.4", alpha=0.15, label="80 % of the trajectories")]
    if any((run["diverged_at"] >= 0).any() for run in runs.values()):
        shown.append(Line2D([], [], color="0.4", marker="x", linestyle="none", label="a trajectory diverges"))
    figure.legend(handles=shown, loc="outside lower center", ncols=3, frameon=False)
    return figure


def _draw_run(axis: Axes, run: xr.Dataset, look: Look) -> None:
    cycles, distance = run["cycle"].values, run["wasserstein"].values
    low, middle, high = np.quantile(distance, [BAND[0], 0.5, BAND[1]], axis=0, method="inverted_cdf")
    axis.plot(cycles, middle, marker=look.marker, color=look.color, markevery=max(1, len(cycles) // 10))
    drawn = np.isfinite(high)
    axis.fill_between(cycles, low, high, where=drawn, color=look.color, alpha=0.15, linewidth=0)
    for trajectory, at in enumerate(run["diverged_at"].values):
        if at >= 0:
            place = (
                distance[trajectory, at]
                if np.isfinite(distance[trajectory, at])
                else run["prior_distance"][trajectory, at]
            )
            axis.plot(cycles[at], place, "x", color=look.color)
