"""Figures 2, 3, 5 and 6: one assimilation in space and time, MNMEF beside LETKF."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mnmef.report.figures.style import COLUMN_WIDTH, LOOKS, SYSTEM_TITLES, new_figure

LAST_CYCLES = 100


def figure_fields(split: xr.Dataset, evaluations: Mapping[str, xr.Dataset], sigma_y: float) -> Figure:
    """Truth and observations, then analysis mean, absolute error and spread of each method, over the last 100 cycles.

    split: the test split. evaluations: method -> evaluation with a traced first trajectory. Errors and spreads share
    one scale.
    """
    view = _window(split, evaluations, sigma_y)
    low, high = np.nanquantile(view["truth"], [0.002, 0.998])
    state = {"cmap": "RdBu_r", "vmin": -max(-low, high), "vmax": max(-low, high)}
    means, spreads = ({m: v[key] for m, v in view["methods"].items()} for key in ("mean", "deviation"))
    errors = {m: np.abs(mean - view["truth"]) for m, mean in means.items()}
    peak = max(float(np.nanquantile(field, 0.995)) for field in (*errors.values(), *spreads.values()))
    size = {"cmap": "magma_r", "vmin": 0.0, "vmax": peak}
    figure = new_figure(COLUMN_WIDTH, 6.8)
    axes = figure.subplots(4, 2, sharex=True, sharey=True)
    state_image = _image(axes[0, 0], view["truth"], view, "truth", state)
    _observations(axes[0, 1], split, view, state)
    for column, method in enumerate(evaluations):
        label = LOOKS[method].label
        _image(axes[1, column], means[method], view, f"{label}: analysis mean", state)
        _image(axes[2, column], errors[method], view, f"{label}: absolute error", size)
        size_image = _image(axes[3, column], spreads[method], view, f"{label}: spread", size)
        axes[3, column].set_xlabel("assimilation cycle")
    for axis in axes[:, 0]:
        axis.set_ylabel("grid point")
    figure.colorbar(state_image, ax=axes[:2], label="state", extend="both", aspect=30)
    figure.colorbar(
        size_image, ax=axes[2:], label="absolute error, spread (units of the state)", extend="max", aspect=30
    )
    figure.suptitle(_title(split, evaluations, sigma_y), fontsize=9)
    return figure


def figure_components(split: xr.Dataset, evaluations: Mapping[str, xr.Dataset], sigma_y: float) -> Figure:
    """An observed and an unobserved component over the last 100 cycles: truth, observations, mean and 95 % band of each
    method.
    """
    view = _window(split, evaluations, sigma_y)
    observed = int(split["observed"].values[1])
    spacing = int(split["observed"].values[1] - split["observed"].values[0])
    components = {observed: "observed", observed + spacing // 2: "unobserved"}
    figure = new_figure(COLUMN_WIDTH, 5.6)
    axes = figure.subplots(len(components) * len(evaluations), 1, sharex=True)
    rows = [(component, method) for component in components for method in evaluations]
    for axis, (component, method) in zip(axes, rows, strict=True):
        look, fields = LOOKS[method], view["methods"][method]
        mean, deviation = fields["mean"][:, component], fields["deviation"][:, component]
        band = (mean - 1.96 * deviation, mean + 1.96 * deviation)
        axis.fill_between(view["cycles"], *band, color=look.color, alpha=0.3, linewidth=0)
        axis.plot(view["cycles"], view["truth"][:, component], color="black", linewidth=1.0)
        axis.plot(view["cycles"], mean, color=look.color, linewidth=1.0, linestyle="--")
        if component == observed:
            axis.plot(view["cycles"], view["observation"][:, 1], ".", color="0.35", markersize=3)
        axis.set_title(f"{look.label}, component {component} ({components[component]})", loc="left", fontsize=8)
        axis.set_ylabel("state")
        axis.margins(x=0.01)
        axis.grid(alpha=0.25, linewidth=0.5)
    _share_limits(axes, len(evaluations))
    axes[-1].set_xlabel("assimilation cycle")
    figure.legend(handles=_component_legend(), loc="outside lower center", ncols=4, frameon=False)
    figure.suptitle(_title(split, evaluations, sigma_y), fontsize=9)
    return figure


def _window(split: xr.Dataset, evaluations: Mapping[str, xr.Dataset], sigma_y: float) -> dict:
    """The last cycles of the first trajectory: truth and fields (cycle, state), observation (cycle, observed), cycle
    numbers.
    """
    for method, evaluation in evaluations.items():
        if "mean" not in evaluation:
            raise ValueError(
                f"the evaluation of {method} holds no traced trajectory: "
                "evaluation.traced.ensemble_size must be one of ensemble_sizes"
            )
    last = slice(-min(LAST_CYCLES, split.sizes["cycle"]), None)
    level = int(np.flatnonzero(np.isclose(split["sigma_y"].values, sigma_y))[0])
    return {
        "cycles": split["cycle"].values[last],
        "truth": split["truth"].values[0, last],
        "observation": split["observation"].values[level, 0, last],
        "methods": {m: {k: e[k].values[0, last] for k in ("mean", "deviation")} for m, e in evaluations.items()},
    }


def _image(axis: Axes, field: np.ndarray, view: dict, title: str, scale: dict) -> AxesImage:
    cycles = view["cycles"]
    extent = (cycles[0] - 0.5, cycles[-1] + 0.5, -0.5, field.shape[1] - 0.5)
    axis.set_title(title, loc="left", fontsize=8)
    return axis.imshow(field.T, origin="lower", aspect="auto", extent=extent, interpolation="nearest", **scale)


def _observations(axis: Axes, split: xr.Dataset, view: dict, scale: dict) -> None:
    """Observations where and when they are made, on the colors of the state; the sites that nobody observes stay
    grey.
    """
    field = np.full_like(view["truth"], np.nan)
    field[:, split["observed"].values] = view["observation"]
    axis.set_facecolor("0.85")
    _image(axis, field, view, "observations (grey: unobserved)", scale)


def _component_legend() -> list[Artist]:
    """What the lines of a component mean, whatever the color of the filter."""
    return [
        Line2D([], [], color="black", label="truth"),
        Line2D([], [], color="0.35", marker=".", linestyle="none", label="observation"),
        Line2D([], [], color="0.5", linestyle="--", label="analysis mean"),
        Patch(facecolor="0.8", label="mean ± 1.96 standard deviations (95 % band)"),
    ]


def _share_limits(axes: np.ndarray, group: int) -> None:
    """Equal vertical limits for the panels of one component, so that bands can be compared by eye."""
    for begin in range(0, len(axes), group):
        part = axes[begin : begin + group]
        low, high = (
            pick(values)
            for pick, values in zip((min, max), zip(*(a.get_ylim() for a in part), strict=True), strict=True)
        )
        for axis in part:
            axis.set_ylim(low, high)


def _title(split: xr.Dataset, evaluations: Mapping[str, xr.Dataset], sigma_y: float) -> str:
    members = next(iter(evaluations.values())).attrs["traced_ensemble_size"]
    return f"{SYSTEM_TITLES[split.attrs['system']]}, $N$ = {members}, $\\sigma_y$ = {sigma_y:g}"
