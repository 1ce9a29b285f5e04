"""A learned filter beside tuned classical ones: `python -m mnmef.studies.beside_classical [WEIGHTS] [--out FILE]`.

All run on the same trajectories of the test split, by default after a burn-in of 20 time units, as in the field's own
settings; the paper's have none. The setting of a classical filter is the best on the tuning split, for each ensemble
size. Weights that serve a range of noise, or missing observations, are scored at `--sigma` and on `--experiment`;
without weights these two are needed, and classical filters are scored alone.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from mnmef.assimilation.cycling import CycleRecord
from mnmef.assimilation.metrics import mean_over_survivors, relative_rmse, time_mean_rmse
from mnmef.assimilation.twin import TwinData, run_on_twin
from mnmef.core.errors import unknown_name
from mnmef.core.names import CLASSICAL_METHODS, METHODS
from mnmef.data.twin import load_trial, simulate_split
from mnmef.experiments.experiment import Experiment
from mnmef.experiments.load import load_experiment
from mnmef.filters.base import Filter
from mnmef.filters.classical import ITERATIVE, Setting, make_classical
from mnmef.io.files import read_table, write_table
from mnmef.learning.checkpoints import load_checkpoint
from mnmef.scores.bootstrap import mean_with_interval
from mnmef.search.race import ranking

RADII = (2.0, 3.0, 4.0, 5.0, 7.0, 10.0, 15.0)
INFLATIONS = (1.0, 1.01, 1.02, 1.04, 1.08, 1.16, 1.3)
"""Settings of classical filters to try by default."""

TUNING = 8, 500
"""Trajectories, and cycles after the burn-in, on which they are tried by default."""

KEYS = ["experiment", "sigma_y", "method", "ensemble_size"]


@dataclass(frozen=True)
class Design:
    """Setting in which filters are scored.

    Parameters
    ----------
    experiment : Experiment
        Source of truths and observations.
    sigma_y : float
        Standard deviation of the observation noise, state units.
    burn_in : int
        Cycles before those that are scored.
    seed : int
        Root of the splits, of the analyses and of the intervals.
    radii, inflations : sequence of float
        Localization radii, grid points, and inflations of classical filters to try.
    tuning : tuple of int or None
        Trajectories, and cycles after the burn-in, on which they are tried; `TUNING` by default.
    """

    experiment: Experiment
    sigma_y: float
    burn_in: int
    seed: int
    radii: Sequence[float] = RADII
    inflations: Sequence[float] = INFLATIONS
    tuning: tuple[int, int] | None = None

    def simulate(self, split: str, extent: tuple[int, int], members: int, largest: int) -> TwinData:
        """Simulate trajectories of a split and cycles after the burn-in, as many of both as `extent` says."""
        trajectories, cycles = extent
        length = self.burn_in + cycles
        data = simulate_split(self.experiment, split, trajectories, length, [self.sigma_y], largest, self.seed)
        return load_trial(data, self.sigma_y, members, torch.float32)


def _precise(method: str, data: TwinData) -> TwinData:
    """Return the data of an iterative filter in double precision; in single precision it may diverge."""
    return [part.double() for part in data] if method in ITERATIVE else data


def tune(method: str, design: Design, data: TwinData) -> Setting:
    """Return the setting of a classical filter with the lowest RMSE among those that lose the fewest trajectories."""
    radii = design.radii if METHODS[method].localizes else (np.nan,)
    tried = [(inflation, radius) for radius in radii for inflation in design.inflations]
    inflations, distances = np.array(tried).T
    given = (inflations, distances) if METHODS[method].localizes else (inflations,)
    filter_ = make_classical(method, design.experiment, design.sigma_y, *given)
    first, observations, truth = _precise(method, data)
    batch = first.expand(len(tried), *first.shape).clone(), observations, truth
    record = run_on_twin(filter_, design.experiment, batch, seed=design.seed, stream=method, title=f"tune {method}")
    rmse = time_mean_rmse(record.rmse.numpy(), design.burn_in)
    for (inflation, radius), each in zip(tried, rmse, strict=True):
        print(f"{method}, inflation {inflation:g}, radius {radius:g}: {mean_over_survivors(each)[0]:.4g}")
    inflation, radius = tried[ranking(rmse)[0]]
    return Setting(inflation, radius if METHODS[method].localizes else None)


def scored(record: CycleRecord, burn_in: int, seed: int) -> dict[str, float]:
    """Score a run: R-RMSE, RMSE with its interval of 95 %, and root-mean-square spread over error, all after the
    burn-in.
    """
    error, spread = (tensor[:, burn_in:].double().numpy() for tensor in (record.rmse, record.spread))
    rmse = mean_with_interval(time_mean_rmse(error), seed)
    truth = record.truth_norm[:, burn_in:].double().numpy() / record.state_size**0.5
    return {
        "rrmse": mean_over_survivors(relative_rmse(error, truth))[0],
        "rmse": rmse.value,
        "low": rmse.low,
        "high": rmse.high,
        "spread_error_ratio": float(np.sqrt(np.nanmean(spread**2) / np.nanmean(error**2))),
        "trajectories": rmse.used,
    }


def beside_classical(
    learned: Filter | None,
    methods: Sequence[str],
    design: Design,
    sizes: Sequence[int],
    extent: tuple[int, int],
    split: str,
) -> pd.DataFrame:
    """Score a learned filter and classical ones.

    Parameters
    ----------
    learned : Filter or None
        The learned filter, at the noise of the design.
    methods : sequence of str
        Classical filters.
    design : Design
        Experiment, noise and burn-in.
    sizes : sequence of int
        Ensemble sizes N.
    extent : tuple of int
        Numbers of trajectories, and of cycles of each after the burn-in.
    split : str
        `test`; `tune` for decisions.

    Returns
    -------
    DataFrame
        A row for each filter and N: `KEYS` and what `scored` returns.
    """
    rows = []
    for members in sizes:
        filters = {} if learned is None else {learned.name: learned}
        for method in methods:
            setting = tune(method, design, design.simulate("tune", design.tuning or TUNING, members, max(sizes)))
            print(f"{method}, N = {members}: {setting}", flush=True)
            filters[method] = make_classical(method, design.experiment, design.sigma_y, *setting)
        data = design.simulate(split, extent, members, max(sizes))
        for name, filter_ in filters.items():
            title = f"{name}, N = {members}"
            record = run_on_twin(
                filter_, design.experiment, _precise(name, data), seed=design.seed, stream=name, title=title
            )
            named = dict(zip(KEYS, (design.experiment.name, design.sigma_y, name, members), strict=True))
            rows.append(named | scored(record, design.burn_in, design.seed))
    return pd.DataFrame(rows)


def _numbers(text: str) -> tuple[Any, ...]:
    """Return numbers that commas separate, whole ones as integers."""
    return tuple(json.loads(f"[{text}]"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m mnmef.studies.beside_classical", description="Score side by side.")
    parser.add_argument("weights", type=Path, nargs="?", help="checkpoint of the learned filter (default: none)")
    parser.add_argument("--classical", default="letkf", metavar="METHOD,...", help="filters beside it (default: letkf)")
    parser.add_argument("--experiment", help="where to score it (default: where it was trained)")
    parser.add_argument("--sigma", type=float, help="standard deviation of the noise (default: that of the training)")
    parser.add_argument("--sizes", type=_numbers, default="5,10,20,40", metavar="N,N,...", help="ensemble sizes")
    parser.add_argument("--trajectories", type=int, default=64)
    parser.add_argument("--cycles", type=int, default=1500, help="after the burn-in")
    parser.add_argument("--burn-in", type=float, default=20.0, help="model time units (default: 20)")
    parser.add_argument("--seed", type=int, default=2504, help="that of config.yaml, for the same test split")
    parser.add_argument("--radii", type=_numbers, default=RADII, metavar="R,R,...", help="to try, grid points")
    parser.add_argument("--inflations", type=_numbers, default=INFLATIONS, metavar="I,I,...", help="to try")
    parser.add_argument("--tuned-on", type=_numbers, metavar="T,K", help="trajectories and cycles (default: 8,500)")
    parser.add_argument("--tuning", action="store_true", help="score on the tuning split")
    parser.add_argument("--out", type=Path, help="table to write")
    return parser


def _subject(weights: Path | None, name: str | None, sigma_y: float | None) -> tuple[Filter | None, Experiment, float]:
    """Return the learned filter, if there are weights, at the noise, the experiment and the noise; without a name or a
    noise those of the training.
    """
    if weights is None:
        return None, load_experiment(str(name)), float(sigma_y or 0.0)
    trained = load_checkpoint(weights)
    experiment = load_experiment(name) if name else trained.experiment
    learned = trained if sigma_y in (None, trained.sigma_y) else trained.at_noise(sigma_y)
    return learned, experiment, sigma_y or trained.sigma_y


def main(arguments: Sequence[str] | None = None) -> int:
    """Score, print and write the table; rows of the same filters that the file has already are replaced."""
    parser = _parser()
    given = parser.parse_args(arguments)
    methods = list(filter(None, given.classical.split(",")))
    for method in methods:
        if method not in CLASSICAL_METHODS:
            parser.error(unknown_name("method", method, CLASSICAL_METHODS))
    if given.weights is None and None in (given.experiment, given.sigma):
        parser.error("without weights, --experiment and --sigma are needed")
    learned, experiment, sigma_y = _subject(given.weights, given.experiment, given.sigma)
    burn_in = round(given.burn_in / experiment.cycle_length)
    design = Design(experiment, sigma_y, burn_in, given.seed, given.radii, given.inflations, given.tuned_on)
    split, extent = "tune" if given.tuning else "test", (given.trajectories, given.cycles)
    table = beside_classical(learned, methods, design, given.sizes, extent, split)
    print(table.to_string(index=False))
    if given.out is not None:
        there = [read_table(given.out)] if given.out.exists() else []
        write_table(pd.concat([*there, table]).drop_duplicates(KEYS, keep="last").sort_values(KEYS), given.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
