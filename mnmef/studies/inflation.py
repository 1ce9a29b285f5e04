"""Inflation of a trained filter, tuned as that of classical ones: `python -m mnmef.studies.inflation WEIGHTS OUT`.

The spread of an ensemble takes longer to follow a change of inflation than the cycles that a gradient of the training
runs through. So factors on the learned inflation are tried in long runs on the tuning split.
"""

import argparse
import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch

from mnmef.assimilation.twin import run_on_twin
from mnmef.filters.mnmef_local import MnmefLocal
from mnmef.learning.checkpoints import load_checkpoint, read_card, save_checkpoint
from mnmef.studies.beside_classical import Design, scored

FACTORS = (0.98, 0.985, 0.99, 0.995, 1.0, 1.005, 1.01)
"""Factors on the learned inflation to try."""


@torch.no_grad()
def tune_inflation(filter_: MnmefLocal, design: Design, sizes: Sequence[int], extent: tuple[int, int]) -> float:
    """Multiply the inflation of a filter by the best of `FACTORS`, and return it.

    Fewest trajectories diverge with it, and among such ones the geometric mean of RMSE over ensemble sizes is lowest.

    Parameters
    ----------
    filter_ : MnmefLocal
        The filter, which is changed.
    design : Design
        Its setting.
    sizes : sequence of int
        Ensemble sizes N.
    extent : tuple of int
        Numbers of trajectories of the tuning split, and of cycles of each after the burn-in.
    """
    data = {members: design.simulate("tune", extent, members, max(sizes)) for members in sizes}
    run = partial(run_on_twin, filter_, design.experiment, seed=design.seed, stream=filter_.name, title="tune")
    first, tried = float(filter_.inflation[0]), {}
    for factor in FACTORS:
        filter_.inflation[0] = first + math.log(factor)
        scores = [scored(run(given), design.burn_in, design.seed) for given in data.values()]
        print(f"factor {factor:g}: RMSE", *(f"{score['rmse']:.4g}" for score in scores), flush=True)
        tried[factor] = -sum(score["trajectories"] for score in scores), math.prod(score["rmse"] for score in scores)
    best = min(FACTORS, key=tried.__getitem__)
    filter_.inflation[0] = first + math.log(best)
    return best


def main(arguments: Sequence[str] | None = None) -> None:
    """Tune the inflation of a checkpoint and write another one."""
    parser = argparse.ArgumentParser(prog="python -m mnmef.studies.inflation", description="Tune an inflation.")
    parser.add_argument("weights", type=Path, help="checkpoint of mnmef_local")
    parser.add_argument("out", type=Path, help="checkpoint to write")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10], help="ensemble sizes (default: 10)")
    parser.add_argument("--extent", type=int, nargs=2, default=[32, 700], help="trajectories and cycles (32 700)")
    parser.add_argument("--burn-in", type=int, default=400, help="cycles before them (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=2504, help="that of config.yaml, for the same tuning split")
    given = parser.parse_args(arguments)
    filter_ = load_checkpoint(given.weights, name=MnmefLocal.name)
    assert isinstance(filter_, MnmefLocal)
    design = Design(filter_.experiment, filter_.sigma_y, given.burn_in, given.seed)
    factor = tune_inflation(filter_, design, given.sizes, tuple(given.extent))
    save_checkpoint(filter_, given.out, {**read_card(given.weights), "inflation_factor": factor})
    print(f"factor {factor:g} on the inflation, written to {given.out}")


if __name__ == "__main__":
    main()
