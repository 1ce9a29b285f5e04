"""Inflation of a trained filter, tuned as that of classical ones: `python -m mnmef.learning.inflation WEIGHTS OUT`.

The spread of an ensemble takes longer to follow a change of inflation than the cycles that a gradient of the training
runs through. So factors on the learned inflation are tried in long runs on the tuning split.
"""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

import torch
import xarray as xr

from mnmef.data.twin import simulate_split
from mnmef.filters.mnmef_local import MnmefLocal
from mnmef.learning.checkpoints import load_checkpoint, read_card, save_checkpoint
from mnmef.learning.selection import tuning_score

FACTORS = (0.98, 0.985, 0.99, 0.995, 1.0, 1.005, 1.01)
"""Factors on the learned inflation to try."""


@torch.no_grad()
def tune_inflation(filter_: MnmefLocal, split: xr.Dataset, sizes: Sequence[int], seed: int) -> float:
    """Multiply the inflation of a filter by the best of `FACTORS`, and return it.

    Fewest trajectories diverge with it, and among such ones the geometric mean of R-RMSE over ensemble sizes is lowest.

    Raises
    ------
    ValueError
        For another split than the tuning split.
    """
    first, tried = float(filter_.inflation[0]), {}
    for factor in FACTORS:
        filter_.inflation[0] = first + math.log(factor)
        scores = [tuning_score(filter_, split, members, seed) for members in sizes]
        tried[factor] = sum(score["n_diverged"] for score in scores), math.prod(score["rrmse"] for score in scores)
        print(f"factor {factor:g}:", {score["ensemble_size"]: round(score["rrmse"], 5) for score in scores}, flush=True)
    best = min(FACTORS, key=tried.__getitem__)
    filter_.inflation[0] = first + math.log(best)
    return best


def main(arguments: Sequence[str] | None = None) -> None:
    """Tune the inflation of a checkpoint and write another one."""
    parser = argparse.ArgumentParser(prog="python -m mnmef.learning.inflation", description="Tune an inflation.")
    parser.add_argument("weights", type=Path, help="checkpoint of mnmef_local")
    parser.add_argument("out", type=Path, help="checkpoint to write")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10], help="ensemble sizes (default: 10)")
    parser.add_argument("--trajectories", type=int, default=32, help="of the tuning split (default: %(default)s)")
    parser.add_argument("--cycles", type=int, default=1000, help="of each (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=2504, help="that of config.yaml, for the same tuning split")
    given = parser.parse_args(arguments)
    filter_ = load_checkpoint(given.weights, name=MnmefLocal.name)
    assert isinstance(filter_, MnmefLocal)
    extent, level = (given.trajectories, given.cycles), [float(filter_.sigma_y)]
    split = simulate_split(filter_.experiment, "tune", *extent, level, max(given.sizes), given.seed)
    factor = tune_inflation(filter_, split, given.sizes, given.seed)
    save_checkpoint(filter_, given.out, {**read_card(given.weights), "inflation_factor": factor})
    print(f"factor {factor:g} on the inflation, written to {given.out}")


if __name__ == "__main__":
    main()
