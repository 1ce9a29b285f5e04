"""Draw docs/kolmogorov.png (`make flow`): the Kolmogorov flow, and what LETKF makes of its observations."""

import argparse
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from mnmef.assimilation.twin import run_on_twin
from mnmef.data.twin import load_trial, simulate_split
from mnmef.experiments.load import load_experiment
from mnmef.filters.classical import make_classical
from mnmef.report.figures.style import new_figure, save_figure

ROOT = Path(__file__).parents[2]
SIGMA_Y, MEMBERS, CYCLES, SEED = 0.3, 10, 30, 2504
SETTING = {"inflation": 1.2, "localization_radius": 12.0}
"""The best that docs/log/kolmogorov.md tried."""


def fields() -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return vorticities (points, points) at the last observation time, by name, and the observed points (2, d)."""
    experiment = load_experiment("kolmogorov", torch.float32)
    split = simulate_split(experiment, "test", 1, CYCLES, [SIGMA_Y], MEMBERS, SEED)
    data = load_trial(split, SIGMA_Y, MEMBERS, torch.float32)
    letkf = make_classical("letkf", experiment, SIGMA_Y, **SETTING)
    record = run_on_twin(letkf, experiment, data, seed=SEED, stream="letkf", traced=1)
    side = round(experiment.state_size**0.5)
    places = np.array(np.divmod(experiment.observed, side))
    seen = np.full((side, side), np.nan)
    seen[tuple(places)] = data[1][0, -1]
    truth, mean, deviation = (x[0, -1].numpy().reshape(side, side) for x in (data[2], record.mean, record.deviation))
    return {"truth": truth, "observations": seen, "mean": mean, "error": mean - truth, "spread": deviation}, places


def draw(out: Path) -> None:
    """Write the figure: truth, observations and analysis mean in the same colors, error and spread."""
    torch.set_num_threads(1)
    found, places = fields()
    largest, off = np.abs(found["truth"]).max(), np.abs(found["error"]).max()
    figure = new_figure(11.0, 3.0)
    axes: dict[str, Axes] = figure.subplot_mosaic([list(found)])
    both, colors = {"cmap": "RdBu_r", "vmin": -largest, "vmax": largest}, {}
    kinds = {"error": {"cmap": "PuOr_r", "vmin": -off, "vmax": off}, "spread": {"cmap": "magma", "vmin": 0.0}}
    for name, axis in axes.items():
        axis.set(xticks=[0, 32, 63], yticks=[0, 32, 63], xlim=(-0.5, 63.5), ylim=(-0.5, 63.5), aspect="equal")
        axis.set_title({"observations": f"{places.shape[1]} observations", "mean": "analysis mean"}.get(name, name))
        axis.tick_params(labelleft=name == "truth")
        if name == "observations":
            axis.scatter(
                places[1],
                places[0],
                c=found[name][tuple(places)],
                s=26,
                edgecolors="gray",
                lw=0.3,
                clip_on=False,
                **both,
            )
        else:
            colors[name] = axis.imshow(found[name], origin="lower", **kinds.get(name, both))
    bars = {"mean": [axes[name] for name in ("truth", "observations", "mean")], "error": axes["error"]}
    for name, beside in {**bars, "spread": axes["spread"]}.items():
        wide = (
            {"shrink": 0.5, "aspect": 40} if name == "mean" else {"shrink": 0.9, "aspect": 24, "ticks": MaxNLocator(4)}
        )
        figure.colorbar(colors[name], ax=beside, location="bottom", **wide).set_label(
            "vorticity" if name == "mean" else f"{name} of the vorticity"
        )
    save_figure(figure, out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m docs.site.flow", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "kolmogorov.png")
    draw(parser.parse_args().out)
