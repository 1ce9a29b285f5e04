"""Figure C.13: distance from the exact filter on a linear-Gaussian system."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mnmef.core.names import METHODS, Look
from mnmef.report.figures import style

# The names are those of `mnmef.studies.linear_gaussian`, which this module does not import, since it needs torch.
REFERENCES = {
    "sampling": Look("draws from the exact posterior", "black", ""),
    "enkf": Look("EnKF (untuned)", METHODS["enkf"].color, METHODS["enkf"].marker),
}
TRAINED = METHODS["mnmef_finetuned"]
QUANTILES = (0.1, 0.5, 0.9)


def figure_linear(runs: Sequence[xr.Dataset], members: int) -> Figure:
    """Draw the 2-Wasserstein distance of the ensemble's Gaussian from the exact posterior, a column for each loss.

    Lines are medians over all trajectories, of which those that diverged count as far away; bands hold 80 % of them. A
    cross is where one diverged.

    Parameters
    ----------
    runs : sequence of Dataset
        As `mnmef.studies.linear_gaussian.run_linear_gaussian` returns them.
    members : int
        Ensemble size, for the title.
    """
    references = [run for run in runs if run.attrs["filter"] in REFERENCES]
    learned = [run for run in runs if run.attrs["filter"] not in REFERENCES]
    losses = list(dict.fromkeys(run.attrs["loss"] for run in learned))
    figure = style.new_figure(style.COLUMN_WIDTH, 3.6)
    axes = figure.subplots(1, len(losses), squeeze=False, sharex=True, sharey=True)[0]
    for axis, loss in zip(axes, losses, strict=True):
        counts = []
        for run in [*references, *(run for run in learned if run.attrs["loss"] == loss)]:
            look = _look(run)
            _draw_run(axis, run, look)
            lost = int((run["diverged_at"] >= 0).sum())
            counts += [f"{look.label}: {lost} of {run.sizes['trajectory']} diverged"] if lost else []
        axis.set(title=f"linear-Gaussian system, loss {loss}, $N$ = {members}", xlabel="assimilation cycle")
        axis.text(0.98, 0.98, "\n".join(counts), transform=axis.transAxes, ha="right", va="top", fontsize=6.5)
        style.draw_grid(axis)
    axes[0].set(yscale="log", ylabel="2-Wasserstein distance\nfrom the exact posterior (state units)")
    style.use_decades(axes[0].yaxis)
    looks = {look.label: look for look in map(_look, [*references, *learned])}
    handles = [*style.look_handles(looks.values()), style.band_handle("80 % of the trajectories")]
    if any((run["diverged_at"] >= 0).any() for run in runs):
        handles.append(style.handle("a trajectory diverges", {"marker": "x", "linestyle": "none"}))
    style.add_legend(figure, handles, columns=3)
    return figure


def _look(run: xr.Dataset) -> Look:
    if run.attrs["filter"] in REFERENCES:
        return REFERENCES[run.attrs["filter"]]
    decay = float(run.attrs["weight_decay"])
    if decay == 0.0:
        return Look("MNMEF, no weight decay", TRAINED.color, TRAINED.marker)
    return Look(f"MNMEF, weight decay {decay:g}", style.SECOND_COLOR, "D")


def _draw_run(axis: Axes, run: xr.Dataset, look: Look) -> None:
    cycles, distance = run["cycle"].values, run["wasserstein"].values
    low, middle, high = np.quantile(distance, QUANTILES, axis=0, method="inverted_cdf")
    axis.plot(cycles, middle, marker=look.marker, color=look.color, markevery=max(1, len(cycles) // 10))
    axis.fill_between(cycles, low, high, where=np.isfinite(high), color=look.color, **style.BAND)
    known = np.where(np.isfinite(distance), distance, run["prior_distance"].values)
    for trajectory, at in enumerate(run["diverged_at"].values):
        if at >= 0:
            axis.plot(cycles[at], known[trajectory, at], "x", color=look.color)
