"""Figures 2, 3, 5 and 6: one assimilation in space and time, MNMEF beside LETKF."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Patch

from mnmef.core.names import METHODS
from mnmef.experiments.files import titles
from mnmef.report.figures import style

LAST_CYCLES = 100


def figure_fields(split: xr.Dataset, evaluations: Mapping[str, xr.Dataset], sigma_y: float) -> Figure:
    """Draw truth and observations, then analysis mean, absolute error and spread of each method in space and time.

    The last 100 cycles. Errors and spreads share one scale.

    Parameters
    ----------
    split : Dataset
        The test split.
    evaluations : mapping of str to Dataset
        Evaluation of each method, with a traced first trajectory.
    sigma_y : float
        Noise level.

    Raises
    ------
    ValueError
        If an evaluation holds no traced trajectory.
    """
    views = _views(split, evaluations, sigma_y)
    shared = next(iter(views.values()))
    errors = {method: abs(view["mean"] - view["truth"]) for method, view in views.items()}
    low, high = np.nanquantile(shared["truth"].values, [0.002, 0.998])
    sizes = (*errors.values(), *(view["deviation"] for view in views.values()))
    peak = max(float(np.nanquantile(field.values, 0.995)) for field in sizes)
    state = {"cmap": "RdBu_r", "vmin": -max(-low, high), "vmax": max(-low, high)}
    size = {"cmap": "magma_r", "vmin": 0.0, "vmax": peak}
    figure = style.new_figure(style.COLUMN_WIDTH, 6.8)
    axes = figure.subplots(4, 2, sharex=True, sharey=True)
    state_image = _image(axes[0, 0], shared["truth"], "truth", state)
    axes[0, 1].set_facecolor("0.85")
    _image(axes[0, 1], shared["observation"], "observations (grey: unobserved)", state)
    for column, (method, view) in zip(axes.T, views.items(), strict=False):
        label = METHODS[method].label
        _image(column[1], view["mean"], f"{label}: analysis mean", state)
        _image(column[2], errors[method], f"{label}: absolute error", size)
        size_image = _image(column[3], view["deviation"], f"{label}: spread", size)
        column[3].set_xlabel("assimilation cycle")
    for axis in axes[:, 0]:
        axis.set_ylabel("grid point")
    figure.colorbar(state_image, ax=axes[:2], label="state", extend="both", aspect=30)
    units = "absolute error, spread (units of the state)"
    figure.colorbar(size_image, ax=axes[2:], label=units, extend="max", aspect=30)
    figure.suptitle(shared.attrs["title"], fontsize=9)
    return figure


def figure_components(split: xr.Dataset, evaluations: Mapping[str, xr.Dataset], sigma_y: float) -> Figure:
    """Draw an observed and an unobserved component over the last 100 cycles, a panel for each method.

    Each panel has truth, observations, mean and 95 % band.

    Parameters
    ----------
    split, evaluations, sigma_y
        As for `figure_fields`.
    """
    views = _views(split, evaluations, sigma_y)
    # The second observed site, or the only one, and one half way to the next.
    sites = np.append(np.unique(split["observed"].values.clip(min=0)), split.sizes["state"])
    observed = int(sites[:-1][:2][-1])
    components = {observed: "observed", observed + int(sites[1] - sites[0]) // 2: "unobserved"}
    figure = style.new_figure(style.COLUMN_WIDTH, 5.6)
    axes = figure.subplots(len(components) * len(views), 1, sharex=True)
    for component, group in zip(components, axes.reshape(len(components), -1), strict=True):
        for axis, (method, view) in zip(group, views.items(), strict=True):
            look, part, cycles = METHODS[method], view.isel(state=component), view["cycle"].values
            band = [part["mean"] + side * 1.96 * part["deviation"] for side in (-1, 1)]
            axis.fill_between(cycles, *band, color=look.color, alpha=0.3, linewidth=0)
            axis.plot(cycles, part["truth"], color="black", linewidth=1.0)
            axis.plot(cycles, part["mean"], color=look.color, linewidth=1.0, linestyle="--")
            if component == observed:
                axis.plot(cycles, part["observation"], ".", color="0.35", markersize=3)
            axis.set_title(f"{look.label}, component {component} ({components[component]})", loc="left", fontsize=8)
            axis.set_ylabel("state")
            axis.margins(x=0.01)
            style.draw_grid(axis)
        # Equal limits for the panels of one component, so that bands can be compared by eye.
        limits = [end for axis in group for end in axis.get_ylim()]
        for axis in group:
            axis.set_ylim(min(limits), max(limits))
    axes[-1].set_xlabel("assimilation cycle")
    handles = [
        style.handle("truth", {"color": "black"}),
        style.handle("observation", {"color": "0.35", "marker": ".", "linestyle": "none"}),
        style.handle("analysis mean", {"color": "0.5", "linestyle": "--"}),
        Patch(facecolor="0.8", label="mean ± 1.96 standard deviations (95 % band)"),
    ]
    style.add_legend(figure, handles)
    figure.suptitle(next(iter(views.values())).attrs["title"], fontsize=9)
    return figure


def _views(split: xr.Dataset, evaluations: Mapping[str, xr.Dataset], sigma_y: float) -> dict[str, xr.Dataset]:
    """Return truth, observation (NaN where nothing is observed), mean and deviation (cycle, state) of each method.

    The last cycles of the first trajectory.
    """
    for method, evaluation in evaluations.items():
        if "mean" not in evaluation:
            raise ValueError(
                f"the evaluation of {method} holds no traced trajectory: "
                "evaluation.traced.ensemble_size must be one of ensemble_sizes"
            )
    truth = split["truth"].isel(trajectory=0).drop_vars("sigma_y", errors="ignore")
    level = int(np.flatnonzero(np.isclose(split["sigma_y"].values, sigma_y))[0])
    last = slice(-min(LAST_CYCLES, split.sizes["cycle"]), None)
    observation = xr.full_like(truth, np.nan)
    placed = split["observed"].values >= 0  # those without a place on the grid are not drawn
    observation[:, split["observed"].values[placed]] = split["observation"].values[level, 0][:, placed]
    views = {}
    for method, evaluation in evaluations.items():
        fields = {name: (("cycle", "state"), evaluation[name].values[0]) for name in ("mean", "deviation")}
        view = xr.Dataset({**fields, "truth": truth, "observation": observation}).isel(cycle=last)
        title = f"{titles()[split.attrs['experiment']]}, $N$ = {evaluation.attrs['traced_ensemble_size']}"
        views[method] = view.assign_attrs(title=f"{title}, $\\sigma_y$ = {sigma_y:g}")
    return views


def _image(axis: Axes, field: xr.DataArray, title: str, scale: dict[str, Any]) -> AxesImage:
    cycles = field["cycle"].values
    extent = (cycles[0] - 0.5, cycles[-1] + 0.5, -0.5, field.sizes["state"] - 0.5)
    axis.set_title(title, loc="left", fontsize=8)
    return axis.imshow(field.values.T, origin="lower", aspect="auto", extent=extent, interpolation="nearest", **scale)
