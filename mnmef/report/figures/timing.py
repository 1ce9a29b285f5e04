"""Figure 8: wall seconds of a cycle against ensemble size."""

from typing import Any

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mnmef.report.figures.style import BAND, COLUMN_WIDTH, LOOKS, SYSTEM_TITLES, Look, new_figure, use_sizes

DAPPER = "dapper_letkf"
FILTERS = {
    "mnmef": Look("MNMEF", LOOKS["mnmef_tuned"].color, LOOKS["mnmef_tuned"].marker),
    DAPPER: Look("LETKF in DAPPER", LOOKS["letkf"].color, "<"),
    **{name: LOOKS[name] for name in ("mnmef_conv", "letkf", "esrf", "enkf", "ienkf_pertobs")},
}
"""How each filter is drawn. MNMEF takes the same time before and after fine-tuning."""
PUBLISHED = {
    "mnmef_cpu": "mnmef",
    "mnmef_gpu": "mnmef",
    "letkf": DAPPER,
    "esrf": "esrf",
    "enkf": "enkf",
    "ienkf": "ienkf_pertobs",
}
"""Filters of the published table, and whose color they have; the classical ones are DAPPER's."""


def figure_timing(summary: pd.DataFrame, published: pd.DataFrame) -> Figure:
    """Seconds of analysis and forecast against N: a column per system; rows: the analysis of one trajectory by itself,
    of one among a batch, and the forecast of one by itself.

    summary: of `mnmef.studies.timing_summary.summarize`. Lines are medians over repeats, bands go from the least to the
    most; dotted with hollow markers is a GPU. published: seconds per analysis step of the paper's figure 8, thin and
    dashed; `mnmef_gpu` dotted.
    """
    systems = [name for name in SYSTEM_TITLES if name in set(summary["system"])]
    batch = int(summary["batch"].max())
    panels = (
        ("analysis", 1, "analysis, one\ntrajectory alone (s)"),
        ("analysis", batch, f"analysis, each of {batch}\ntogether (s)"),
        ("forecast", 1, "forecast, one\ntrajectory alone (s)"),
    )
    figure = new_figure(COLUMN_WIDTH, 7.6)
    axes = figure.subplots(len(panels), len(systems), squeeze=False, sharex=True, sharey="row")
    for column, system in enumerate(systems):
        own = summary[summary["system"] == system]
        sizes = sorted(own["ensemble_size"].unique())
        theirs = published[(published["system"] == system) & published["ensemble_size"].isin(sizes)]
        for axis, (part, trajectories, label) in zip(axes[:, column], panels, strict=True):
            if (part, trajectories) == ("analysis", 1):
                _draw_published(axis, theirs)
            _draw(axis, own[(own["part"] == part) & (own["batch"] == trajectories)])
            axis.set_yscale("log")
            use_sizes(axis, sizes)
            if column == 0:
                axis.set_ylabel(label)
        axes[0, column].set_title(SYSTEM_TITLES[system])
        axes[-1, column].set_xlabel("ensemble size $N$")
    figure.legend(handles=_handles(summary), loc="outside lower center", ncols=4, frameon=False, title=_origin(summary))
    return figure


def _draw(axis: Axes, summary: pd.DataFrame) -> None:
    for (method, device), part in summary.groupby(["method", "device"], sort=False):
        look, on_gpu = FILTERS[str(method)], device == "cuda"
        part = part.sort_values("ensemble_size")
        style = ":" if on_gpu else _line(str(method))
        line: dict[str, Any] = {"linestyle": style, "markerfacecolor": "white" if on_gpu else look.color}
        axis.plot(part["ensemble_size"], part["seconds"], color=look.color, marker=look.marker, **line)
        axis.fill_between(part["ensemble_size"], part["seconds_low"], part["seconds_high"], color=look.color, **BAND)


def _line(method: str) -> Any:
    return "-." if method == DAPPER else "-"


def _draw_published(axis: Axes, published: pd.DataFrame) -> None:
    for name, method in PUBLISHED.items():
        part = published[published["method"] == name].sort_values("ensemble_size")
        line = (0, (1, 2)) if name == "mnmef_gpu" else "--"
        seconds = part["seconds_per_analysis_step"]
        axis.plot(part["ensemble_size"], seconds, linestyle=line, color=FILTERS[method].color, linewidth=0.7)


def _origin(summary: pd.DataFrame) -> str:
    """What was measured on what."""
    places = summary[["device", "hardware", "threads"]].drop_duplicates()
    texts = [
        f"{row.hardware}, {row.threads} thread{'s' * (row.threads > 1)}" if row.device == "cpu" else str(row.hardware)
        for row in places.itertuples()
    ]
    return "; ".join([*texts, f"{summary['repeats'].min()} repeats"])


def _handles(summary: pd.DataFrame) -> list[Artist]:
    present = set(summary["method"])
    handles: list[Artist] = [
        Line2D([], [], color=look.color, marker=look.marker, linestyle=_line(name), label=look.label)
        for name, look in FILTERS.items()
        if name in present
    ]
    handles.append(Patch(color="0.4", alpha=BAND["alpha"], label="least to most of the repeats"))
    if "cuda" in set(summary["device"]):
        handles.append(Line2D([], [], color="0.4", linestyle=":", marker="o", markerfacecolor="white", label="GPU"))
    handles.append(Line2D([], [], color="0.4", linestyle="--", linewidth=0.7, label="published, CPU"))
    handles.append(Line2D([], [], color="0.4", linestyle=(0, (1, 2)), linewidth=0.7, label="published MNMEF, GPU"))
    return handles
