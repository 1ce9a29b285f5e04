"""Draw docs/kolmogorov.png and docs/kolmogorov.gif (`make flow`): the Kolmogorov flow, and two filters on it."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.animation import FuncAnimation, PillowWriter
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from mnmef.assimilation.twin import run_on_twin
from mnmef.core.names import METHODS
from mnmef.data.twin import load_trial, simulate_split
from mnmef.experiments.load import load_experiment
from mnmef.filters.base import Filter
from mnmef.filters.classical import make_classical
from mnmef.learning.checkpoints import load_checkpoint
from mnmef.report.figures.style import draw_grid, new_figure, save_figure

ROOT = Path(__file__).parents[2]
WEIGHTS = ROOT / "resources" / "weights" / "kolmogorov_0.3" / "mnmef_local_pretrained.safetensors"
SIGMA_Y, MEMBERS, CYCLES, SEED = 0.3, 10, 40, 2504
SETTING = {"inflation": 1.2, "localization_radius": 12.0}
"""The best that docs/log/kolmogorov.md tried."""


@dataclass(frozen=True)
class Run:
    """A trajectory of the test split and its analyses.

    Parameters
    ----------
    truth : ndarray (K, n, n)
        Vorticity at each observation time.
    observed : ndarray (K, d)
        Observations.
    places : ndarray (2, d)
        Rows and columns of the observed points.
    means, deviations : dict of ndarray (K, n, n)
        Of the analyses, by filter.
    """

    truth: np.ndarray
    observed: np.ndarray
    places: np.ndarray
    means: dict[str, np.ndarray]
    deviations: dict[str, np.ndarray]


def run_both() -> Run:
    """Run LETKF and the learned filter on the first trajectory of the test split."""
    experiment = load_experiment("kolmogorov", torch.float32)
    split = simulate_split(experiment, "test", 1, CYCLES, [SIGMA_Y], MEMBERS, SEED)
    data = load_trial(split, SIGMA_Y, MEMBERS, torch.float32)
    filters: dict[str, Filter] = {
        "letkf": make_classical("letkf", experiment, SIGMA_Y, **SETTING),
        "mnmef_local": load_checkpoint(WEIGHTS, experiment="kolmogorov", sigma_y=SIGMA_Y),
    }
    records = {
        name: run_on_twin(each, experiment, data, seed=SEED, stream=name, traced=1) for name, each in filters.items()
    }

    def on_square(fields: torch.Tensor) -> np.ndarray:
        return fields[0].numpy().reshape(-1, *experiment.grid_shape)

    return Run(
        truth=on_square(data[2]),
        observed=data[1][0].numpy(),
        places=np.array(np.unravel_index(experiment.observed, experiment.grid_shape)),
        means={name: on_square(record.mean) for name, record in records.items()},
        deviations={name: on_square(record.deviation) for name, record in records.items()},
    )


def prepare(axis: Axes, title: str) -> None:
    """Set limits, ticks and title of a square."""
    axis.set(xticks=[0, 32, 63], yticks=[0, 32, 63], xlim=(-0.5, 63.5), ylim=(-0.5, 63.5), aspect="equal", title=title)


def colors_of(run: Run) -> dict[str, Any]:
    """Return the colors of vorticities."""
    largest = np.quantile(np.abs(run.truth), 0.999)
    return {"cmap": "RdBu_r", "vmin": -largest, "vmax": largest}


def draw(run: Run, out: Path) -> None:
    """Write the figure: truth, observations and analysis mean in the same colors, error and spread."""
    truth, mean, deviation = run.truth[-1], run.means["mnmef_local"][-1], run.deviations["mnmef_local"][-1]
    found = {"truth": truth, "observations": None, "mean": mean, "error": mean - truth, "spread": deviation}
    off = np.abs(mean - truth).max()
    figure = new_figure(11.0, 3.0)
    axes: dict[str, Axes] = figure.subplot_mosaic([list(found)])
    both, colors = colors_of(run), {}
    kinds = {"error": {"cmap": "PuOr_r", "vmin": -off, "vmax": off}, "spread": {"cmap": "magma", "vmin": 0.0}}
    for name, axis in axes.items():
        titles = {"observations": f"{run.places.shape[1]} observations", "mean": "analysis mean"}
        prepare(axis, titles.get(name, name))
        axis.tick_params(labelleft=name == "truth")
        if found[name] is None:
            look = {"s": 26, "edgecolors": "gray", "lw": 0.3, "clip_on": False}
            axis.scatter(run.places[1], run.places[0], c=run.observed[-1], **look, **both)
        else:
            colors[name] = axis.imshow(found[name], origin="lower", **kinds.get(name, both))
    bars = {"mean": [axes[name] for name in ("truth", "observations", "mean")], "error": axes["error"]}
    for name, beside in {**bars, "spread": axes["spread"]}.items():
        is_wide = name == "mean"
        look = {"shrink": 0.5, "aspect": 40} if is_wide else {"shrink": 0.9, "aspect": 24, "ticks": MaxNLocator(4)}
        bar = figure.colorbar(colors[name], ax=beside, location="bottom", **look)
        bar.set_label("vorticity" if is_wide else f"{name} of the vorticity")
    save_figure(figure, out)


def animate(run: Run, out: Path) -> None:
    """Write the animation: truth, both analysis means, and their errors in time."""
    figure = new_figure(8.0, 4.4)
    axes: dict[str, Axes] = figure.subplot_mosaic([["truth", *run.means], ["error"] * 3], height_ratios=[2, 1])
    squares = {"truth": run.truth, **run.means}
    images = {name: axes[name].imshow(fields[-1], origin="lower", **colors_of(run)) for name, fields in squares.items()}
    for name in squares:
        prepare(axes[name], METHODS[name].label if name in METHODS else name)
    axes["truth"].plot(run.places[1], run.places[0], "k.", markersize=2)
    axis, cycles = axes["error"], np.arange(1, CYCLES + 1)
    errors = {name: np.sqrt(np.square(mean - run.truth).mean((1, 2))) for name, mean in run.means.items()}
    curves = {name: axis.plot([], [], color=METHODS[name].color, label=METHODS[name].label)[0] for name in errors}
    top = 1.4 * max(each[5:].max() for each in errors.values())
    axis.set(xlim=(1, CYCLES), ylim=(0, top), xlabel="observation time", ylabel="RMSE")
    axis.axhline(SIGMA_Y, color="gray", linestyle=":", label="an observation's error")
    axis.legend(loc="upper right", frameon=False, ncols=3)
    draw_grid(axis)

    def frame(k: int) -> None:
        for name, image in images.items():
            image.set_data(squares[name][k])
        for name, curve in curves.items():
            curve.set_data(cycles[: k + 1], errors[name][: k + 1])

    frame(CYCLES - 1)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # so that nothing moves but the fields and curves
    FuncAnimation(figure, frame, frames=CYCLES).save(out, PillowWriter(fps=5), dpi=72)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m docs.site.flow", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs", metavar="FOLDER", help="default: docs")
    folder = parser.parse_args().out
    torch.set_num_threads(1)
    both_filters = run_both()
    draw(both_filters, folder / "kolmogorov.png")
    animate(both_filters, folder / "kolmogorov.gif")
