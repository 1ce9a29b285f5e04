"""A learned filter beside tuned LETKF after a burn-in: `python -m mnmef.studies.beside_letkf WEIGHTS [--out FILE]`.

The paper's scores have no burn-in. The field's have one, and average the RMSE over the cycles after it. Both filters
run on the same trajectories of the test split; LETKF's setting for each ensemble size is the best on the tuning split.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from mnmef.assimilation.cycling import CycleRecord
from mnmef.assimilation.metrics import mean_over_survivors, relative_rmse, time_mean_rmse
from mnmef.assimilation.twin import TwinData, run_on_twin
from mnmef.data.twin import load_trial, simulate_split
from mnmef.filters.classical import Setting, make_classical
from mnmef.filters.learned import LearnedFilter
from mnmef.io.files import read_table, write_table
from mnmef.learning.checkpoints import load_checkpoint
from mnmef.scores.bootstrap import mean_with_interval

BURN_IN_TIME = 20.0
"""Burn-in, model time units, as in DAPPER's settings of Lorenz '96."""

RADII = (2.0, 3.0, 4.0, 5.0, 7.0, 10.0, 15.0)
INFLATIONS = (1.01, 1.02, 1.04, 1.08)
"""Settings of LETKF to try, on `TUNING` trajectories, dropped cycles and cycles after them."""

TUNING = 8, 100, 500

KEYS = ["experiment", "sigma_y", "method", "ensemble_size"]


def tune_letkf(filter_: LearnedFilter, data: TwinData, burn_in: int, seed: int) -> Setting:
    """Return the setting of LETKF with the lowest RMSE after the burn-in, among those that lose no trajectory."""
    radii, inflations = (grid.ravel() for grid in np.meshgrid(RADII, INFLATIONS))
    letkf = make_classical("letkf", filter_.experiment, filter_.sigma_y, inflations, radii)
    first, observations, truth = data
    batch = first.expand(len(radii), *first.shape).clone(), observations, truth
    record = run_on_twin(letkf, filter_.experiment, batch, seed=seed, stream="letkf", title="tune LETKF")
    rmse = time_mean_rmse(record.rmse.numpy(), burn_in).mean(-1)
    best = int(np.nanargmin(rmse))
    return Setting(float(inflations[best]), float(radii[best]))


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


def beside_letkf(
    weights: Path, sizes: Sequence[int], trajectories: int, cycles: int, seed: int, *, test: bool = True
) -> pd.DataFrame:
    """Score a learned filter and LETKF.

    Parameters
    ----------
    weights : Path
        Checkpoint of the learned filter.
    sizes : sequence of int
        Ensemble sizes N.
    trajectories, cycles : int
        Numbers of trajectories, and of cycles of each after the burn-in.
    seed : int
        Root of the splits, of the analyses and of the intervals.
    test : bool
        Score on the test split; False for decisions, on the tuning split.

    Returns
    -------
    DataFrame
        A row for each filter and N: `KEYS` and what `scored` returns.
    """
    filter_ = load_checkpoint(weights)
    experiment, level = filter_.experiment, filter_.sigma_y
    burn_in = round(BURN_IN_TIME / experiment.cycle_length)

    def simulate(split: str, count: int, length: int, members: int) -> TwinData:
        data = simulate_split(experiment, split, count, length, [level], max(sizes), seed)
        return load_trial(data, level, members, torch.float32)

    rows = []
    for members in sizes:
        count, dropped, length = TUNING
        tuned = tune_letkf(filter_, simulate("tune", count, dropped + length, members), dropped, seed)
        print(f"LETKF, N = {members}: {tuned}", flush=True)
        letkf = make_classical("letkf", experiment, level, *tuned)
        data = simulate("test" if test else "tune", trajectories, burn_in + cycles, members)
        for name, run in ((filter_.name, filter_), ("letkf", letkf)):
            record = run_on_twin(run, experiment, data, seed=seed, stream=name, title=f"{name}, N = {members}")
            named = dict(zip(KEYS, (experiment.name, level, name, members), strict=True))
            rows.append(named | scored(record, burn_in, seed))
    return pd.DataFrame(rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Score, print and write the table; rows of the same filters that the file has already are replaced."""
    parser = argparse.ArgumentParser(prog="python -m mnmef.studies.beside_letkf", description="Score after a burn-in.")
    parser.add_argument("weights", type=Path, help="checkpoint of the learned filter")
    parser.add_argument("--sizes", default="5,10,20,40", metavar="N,N,...", help="ensemble sizes")
    parser.add_argument("--trajectories", type=int, default=64)
    parser.add_argument("--cycles", type=int, default=1500, help="after the burn-in")
    parser.add_argument("--seed", type=int, default=2504, help="that of config.yaml, for the same test split")
    parser.add_argument("--tuning", action="store_true", help="score on the tuning split")
    parser.add_argument("--out", type=Path, help="table to write")
    given = parser.parse_args(arguments)
    sizes = [int(size) for size in given.sizes.split(",")]
    table = beside_letkf(given.weights, sizes, given.trajectories, given.cycles, given.seed, test=not given.tuning)
    print(table.to_string(index=False))
    if given.out is not None:
        there = [read_table(given.out)] if given.out.exists() else []
        write_table(pd.concat([*there, table]).drop_duplicates(KEYS, keep="last").sort_values(KEYS), given.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
