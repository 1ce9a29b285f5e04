"""Figure 8: wall seconds of a cycle against ensemble size."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mnmef.core.names import METHODS, Look
from mnmef.experiments.files import titles
from mnmef.report.figures import style

DAPPER_LETKF = "dapper_letkf"
FILTERS = {
    "mnmef": Look("MNMEF", METHODS["mnmef_finetuned"].color, METHODS["mnmef_finetuned"].marker),
    DAPPER_LETKF: Look("LETKF in DAPPER", METHODS["letkf"].color, "<"),
    **{name: METHODS[name] for name in ("mnmef_conv", "letkf", "esrf", "enkf", "ienkf_pertobs")},
}
"""Look of each filter. MNMEF takes the same time before and after fine-tuning."""
PUBLISHED_FILTERS = {
    "mnmef_cpu": "mnmef",
    "mnmef_gpu": "mnmef",
    "letkf": DAPPER_LETKF,
    "esrf": "esrf",
    "enkf": "enkf",
    "ienkf": "ienkf_pertobs",
}
"""Filters of the published table, and whose color they have; the classical ones are DAPPER's."""
PUBLISHED_GPU: dict[str, Any] = {"linestyle": (0, (1, 2)), "linewidth": 0.7}
GPU: dict[str, Any] = {"linestyle": ":", "markerfacecolor": "white"}


def figure_timing(summary: pd.DataFrame, published: pd.DataFrame) -> Figure:
    """Draw seconds of analysis and forecast against N, a column for each experiment.

    Rows: the analysis of one trajectory by itself, of one among a batch, and the forecast of one by itself. Lines are
    medians over repeats, bands go from the least to the most; dotted with hollow markers is a GPU.

    Parameters
    ----------
    summary : DataFrame
        Table of `timing_summary`.
    published : DataFrame
        Seconds per analysis step of the paper's figure 8, drawn thin and dashed; `mnmef_gpu` dotted.
    """
    experiments, batch = style.shown_experiments(set(summary["experiment"])), int(summary["batch"].max())
    panels = (
        ("analysis", 1, "analysis, one\ntrajectory alone (s)"),
        ("analysis", batch, f"analysis, each of {batch}\ntogether (s)"),
        ("forecast", 1, "forecast, one\ntrajectory alone (s)"),
    )
    figure = style.new_figure(style.COLUMN_WIDTH, 7.6)
    axes = figure.subplots(len(panels), len(experiments), squeeze=False, sharex=True, sharey="row")
    for column, experiment in zip(axes.T, experiments, strict=True):
        own = summary[summary["experiment"] == experiment].sort_values("ensemble_size")
        theirs = published[published["experiment"] == experiment].sort_values("ensemble_size")
        theirs = theirs[theirs["ensemble_size"].isin(own["ensemble_size"])]
        for name, method in PUBLISHED_FILTERS.items():
            line = PUBLISHED_GPU if name == "mnmef_gpu" else style.PUBLISHED
            part = theirs[theirs["method"] == name]
            column[0].plot(
                part["ensemble_size"], part["seconds_per_analysis_step"], color=FILTERS[method].color, **line
            )
        for axis, (name, trajectories, _) in zip(column, panels, strict=True):
            _draw_seconds(axis, own[(own["part"] == name) & (own["batch"] == trajectories)])
            axis.set_yscale("log")
            style.use_sizes(axis, sorted(own["ensemble_size"].unique()))
        column[0].set_title(titles()[experiment])
        column[-1].set_xlabel("ensemble size $N$")
    for axis, (_, _, label) in zip(axes[:, 0], panels, strict=True):
        axis.set_ylabel(label)
    handles = [style.handle(FILTERS[name].label, _line(name)) for name in FILTERS if name in set(summary["method"])]
    handles.append(style.band_handle("least to most of the repeats"))
    if "cuda" in set(summary["device"]):
        handles.append(style.handle("GPU", {"marker": "o", **GPU}))
    handles.append(style.handle("published, CPU", style.PUBLISHED))
    handles.append(style.handle("published MNMEF, GPU", PUBLISHED_GPU))
    style.add_legend(figure, handles, title=_origin(summary))
    return figure


def _draw_seconds(axis: Axes, summary: pd.DataFrame) -> None:
    for (method, device), part in summary.groupby(["method", "device"], sort=False):
        line = _line(str(method)) | (GPU if device == "cuda" else {})
        axis.plot(part["ensemble_size"], part["seconds"], **line)
        ends = part["seconds_low"], part["seconds_high"]
        axis.fill_between(part["ensemble_size"], *ends, color=line["color"], **style.BAND)


def _line(method: str) -> dict[str, Any]:
    look = FILTERS[method]
    return {"color": look.color, "marker": look.marker, "linestyle": "-." if method == DAPPER_LETKF else "-"}


def _origin(summary: pd.DataFrame) -> str:
    """Return hardware, threads and repeats of the timings."""
    texts = [
        f"{row.hardware}, {row.threads} thread{'s' * (row.threads > 1)}" if row.device == "cpu" else str(row.hardware)
        for row in summary[["device", "hardware", "threads"]].drop_duplicates().itertuples()
    ]
    return "; ".join([*texts, f"{summary['repeats'].min()} repeats"])


def timing_summary(timings: pd.DataFrame) -> pd.DataFrame:
    """Compute median, minimum and maximum over repeats of the seconds of a cycle and trajectory.

    Parameters
    ----------
    timings : DataFrame
        Rows of `mnmef.studies.timing_study.time_all`.

    Returns
    -------
    DataFrame
        The columns that describe a filter, then part (forecast or analysis), seconds, seconds_low, seconds_high and
        repeats.
    """
    parts = ["forecast_seconds", "analysis_seconds"]
    keys = [name for name in timings.columns if name not in ("repeat", "cycles", *parts)]
    long = timings.melt(keys, parts, var_name="part", value_name="seconds")
    long["seconds"] /= long["batch"]
    long["part"] = long["part"].str.removesuffix("_seconds")
    grouped = long.groupby([*keys, "part"], sort=False)["seconds"]
    found = grouped.agg(seconds="median", seconds_low="min", seconds_high="max", repeats="count")
    return found.reset_index()
