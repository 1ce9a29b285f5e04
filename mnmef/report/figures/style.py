"""One look for all figures: the same color, marker and line for the same filter everywhere."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from mnmef.io.files import write_atomically

COLUMN_WIDTH = 7.0
"""Width of a figure in inches: a text column of a one-column journal."""

BAND: dict[str, Any] = {"alpha": 0.15, "linewidth": 0}
"""How an interval is drawn about a curve."""

SYSTEM_TITLES = {"lorenz63": "Lorenz '63", "lorenz96": "Lorenz '96", "ks": "Kuramoto-Sivashinsky"}

RC: dict[Any, Any] = {
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.labelsize": 8,
    "legend.fontsize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.2,
    "lines.markersize": 4.5,
    "svg.hashsalt": "mnmef",
    "svg.fonttype": "none",
    "figure.dpi": 100,
    "savefig.dpi": 200,
}


@dataclass(frozen=True)
class Look:
    """How a filter is drawn. Colors are Okabe and Ito's (distinct for color-blind readers); markers differ for grey
    prints.
    """

    label: str
    color: str
    marker: str


LOOKS = {
    "mnmef_tuned": Look("MNMEF (fine-tuned)", "#D55E00", "o"),
    "mnmef_pretrained": Look("MNMEF (pretrained)", "#E69F00", "s"),
    "mnmef_conv": Look("MNMEF (convolutions)", "#8B0000", "p"),
    "mnmef_own": Look("MNMEF (own weights)", "#F0E442", "h"),
    "letkf": Look("LETKF", "#0072B2", "^"),
    "esrf": Look("ESRF", "#009E73", "v"),
    "enkf_localized": Look("EnKF, localized", "#56B4E9", "D"),
    "enkf": Look("EnKF", "#7F7F7F", "P"),
    "ienkf_pertobs": Look("IEnKF (perturbed obs.)", "#CC79A7", "X"),
    "ienkf_sqrt": Look("IEnKF (square root)", "#000000", "*"),
}


def new_figure(width: float, height: float) -> Figure:
    """A figure of `width` x `height` inches in this style, laid out so that labels do not overlap."""
    mpl.rcParams.update(RC)
    return Figure(figsize=(width, height), layout="constrained")


def use_sizes(axis: Axes, sizes: list[int]) -> None:
    """A logarithmic axis of ensemble sizes, with a tick at each of them."""
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(FixedLocator(sizes))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xticklabels([str(n) for n in sizes])
    axis.grid(alpha=0.25, linewidth=0.5)


def save_figure(figure: Figure, *paths: str | Path) -> None:
    """Write `figure` to each path, in the format of its ending, atomically and without a date."""
    for path in map(Path, paths):
        kind = path.suffix.removeprefix(".")
        metadata = {"Date": None} if kind == "svg" else {"Software": None}
        write_atomically(path, partial(figure.savefig, format=kind, metadata=metadata))
