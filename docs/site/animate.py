"""Draw docs/animation.gif (`make animation`): truth, analysis and error of two filters on Lorenz '96."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from matplotlib.animation import FuncAnimation, PillowWriter
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mnmef.assimilation.assimilate import assimilate
from mnmef.core.names import METHODS
from mnmef.core.seeds import numpy_generator
from mnmef.data.twin import simulate_truth
from mnmef.experiments.experiment import Experiment
from mnmef.experiments.load import load_experiment
from mnmef.filters.classical import make_classical
from mnmef.learning.checkpoints import load_checkpoint
from mnmef.report.figures.style import draw_grid, new_figure

ROOT = Path(__file__).parents[2]
WEIGHTS = ROOT / "resources" / "weights" / "lorenz96_1.0" / "mnmef_conv_pretrained.safetensors"
SIGMA_Y, MEMBERS, CYCLES, SEED = 1.0, 10, 60, 2504
PUBLISHED_BEST = {"inflation": 1.04, "localization_radius": 1.0}


def twin(experiment: Experiment) -> tuple[np.ndarray, np.ndarray]:
    """Return a truth (K, Nx) and observations of it (K, d)."""
    rng = numpy_generator(SEED, experiment.name, "animation")
    truth = simulate_truth(experiment, 1, CYCLES, rng)[0, 1:]
    noise = rng.standard_normal((CYCLES, experiment.observation_size))
    return truth, truth[:, list(experiment.observed)] + SIGMA_Y * noise


def runs(experiment: Experiment, observations: np.ndarray) -> dict[str, xr.Dataset]:
    """Return what the filters make of the observations."""
    filters = {
        "letkf": make_classical("letkf", experiment, SIGMA_Y, **PUBLISHED_BEST),
        "mnmef_conv": load_checkpoint(WEIGHTS, experiment="lorenz96", sigma_y=SIGMA_Y),
    }
    return {name: assimilate(each, experiment, observations, members=MEMBERS) for name, each in filters.items()}


def state_panel(axis: Axes, name: str, observed: Sequence[int]) -> Callable[[np.ndarray, np.ndarray, xr.Dataset], None]:
    """Return a function that shows a cycle of one filter: truth, observations, mean and twice the deviation."""
    look = METHODS[name]
    points = np.arange(40)
    (true,) = axis.plot(points, points, color="black", linewidth=1.0, label="truth")
    (seen,) = axis.plot(observed, observed, "o", color="black", markersize=3.5, fillstyle="none", label="observation")
    (mean,) = axis.plot(points, points, color=look.color, label=look.label)
    axis.set(xlim=(0, 39), ylim=(-14, 18), xlabel="grid point", title=look.label)
    axis.legend(loc="upper center", ncols=3, frameon=False)
    band = []

    def show(truth: np.ndarray, observation: np.ndarray, run: xr.Dataset) -> None:
        center, wide = run["mean"].values, 2 * run["deviation"].values
        for line, values in ((true, truth), (seen, observation), (mean, center)):
            line.set_ydata(values)
        while band:
            band.pop().remove()
        band.append(axis.fill_between(points, center - wide, center + wide, color=look.color, alpha=0.2, linewidth=0))

    return show


def animate(out: Path) -> None:
    """Write the animation."""
    torch.set_num_threads(1)
    experiment = load_experiment("lorenz96")
    truth, observations = twin(experiment)
    found = runs(experiment, observations)
    figure: Figure = new_figure(8.0, 4.6)
    axes = figure.subplot_mosaic([list(found), ["error"] * 2], height_ratios=[2, 1])
    panels = {name: state_panel(axes[name], name, experiment.observed) for name in found}
    axes["letkf"].set_ylabel("state")
    axis, cycles = axes["error"], np.arange(1, CYCLES + 1)
    errors = {name: np.sqrt(np.square(run["mean"].values - truth).mean(1)) for name, run in found.items()}
    curves = {name: axis.plot([], [], color=METHODS[name].color, label=METHODS[name].label)[0] for name in found}
    axis.set(xlim=(1, CYCLES), ylim=(0, 6), xlabel="observation time", ylabel="RMSE of the analysis")
    axis.legend(loc="upper right", frameon=False)
    draw_grid(axis)

    def frame(k: int) -> None:
        for name, run in found.items():
            panels[name](truth[k], observations[k], run.isel(cycle=k))
            curves[name].set_data(cycles[: k + 1], errors[name][: k + 1])

    frame(CYCLES - 1)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # so that nothing moves but the curves
    FuncAnimation(figure, frame, frames=CYCLES).save(out, PillowWriter(fps=6), dpi=100)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m docs.site.animate", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "animation.gif")
    animate(parser.parse_args().out)
