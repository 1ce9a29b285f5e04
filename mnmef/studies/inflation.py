"""Inflation of a trained filter, tuned as that of classical ones: `python -m mnmef.studies.inflation WEIGHTS OUT`.

The spread of an ensemble takes longer to follow a change of inflation than the cycles that a gradient of the training
runs through. So factors on the learned inflation are tried in long runs on the tuning split, for each ensemble size.
"""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from mnmef.assimilation.twin import run_on_twin
from mnmef.filters.mnmef_local import MEMBERS, MnmefLocal
from mnmef.filters.mnmef_members import MnmefMembers
from mnmef.learning.checkpoints import load_checkpoint, read_card, save_checkpoint
from mnmef.studies.beside_classical import Design, scored

InflatedFilter = MnmefLocal | MnmefMembers
"""Filters whose inflation is a power of N."""

FACTORS = (0.98, 0.985, 0.99, 0.995, 1.0, 1.005, 1.01, 1.02, 1.03, 1.04)
"""Factors on the learned inflation to try."""


@torch.no_grad()
def tune_inflation(
    filter_: InflatedFilter, design: Design, sizes: Sequence[int], extent: tuple[int, int]
) -> dict[int, float]:
    """Multiply the inflation of a filter by the best of `FACTORS` at each ensemble size, and return these.

    The best has the lowest RMSE on average with its neighbors, so it lies at no edge of divergence and a repetition
    finds it again. A learned inflation is a power of N, and so is what it is multiplied by: with two sizes the two
    factors, with more the nearest power in least squares.

    Parameters
    ----------
    filter_ : MnmefLocal or MnmefMembers
        The filter, which is changed.
    design : Design
        Its setting.
    sizes : sequence of int
        Ensemble sizes N.
    extent : tuple of int
        Numbers of trajectories of the tuning split, and of cycles of each after the burn-in.

    Raises
    ------
    ValueError
        If trajectories diverge with each factor or its neighbors.
    """
    first, best = filter_.inflation.detach().clone(), {}
    for members in sizes:
        data, tried = design.simulate("tune", extent, members, max(sizes)), []
        for factor in FACTORS:
            filter_.inflation[0] = first[0] + math.log(factor)
            record = run_on_twin(filter_, design.experiment, data, seed=design.seed, stream=filter_.name, title="tune")
            score = scored(record, design.burn_in, design.seed)
            print(f"N = {members}, factor {factor:g}: RMSE {score['rmse']:.4g}", flush=True)
            tried.append(score["rmse"] if score["trajectories"] == extent[0] else math.inf)
        smooth = [np.mean(tried[max(0, place - 1) : place + 2]) for place in range(len(tried))]
        if math.isinf(min(smooth)):
            raise ValueError(f"{filter_.name} with {members} members loses trajectories next to each of {FACTORS}")
        best[members] = FACTORS[int(np.argmin(smooth))]
    sizes_and_factors = np.log(np.divide([*best], MEMBERS)), np.log([*best.values()])
    line = np.polynomial.polynomial.polyfit(*sizes_and_factors, min(1, len(best) - 1))
    filter_.inflation.copy_(first + torch.tensor([*line, 0.0][:2]))  # with a single size its slope stays
    return best


def main(arguments: Sequence[str] | None = None) -> None:
    """Tune the inflation of a checkpoint and write another one."""
    parser = argparse.ArgumentParser(prog="python -m mnmef.studies.inflation", description="Tune an inflation.")
    parser.add_argument("weights", type=Path, help="checkpoint of mnmef_local or mnmef_members")
    parser.add_argument("out", type=Path, help="checkpoint to write")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10], help="ensemble sizes (default: 10)")
    parser.add_argument("--extent", type=int, nargs=2, default=[32, 700], help="trajectories and cycles (32 700)")
    parser.add_argument("--burn-in", type=int, default=400, help="cycles before them (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=2504, help="that of config.yaml, for the same tuning split")
    given = parser.parse_args(arguments)
    filter_ = load_checkpoint(given.weights)
    if not isinstance(filter_, InflatedFilter):
        parser.error(f"{given.weights} is a checkpoint of {filter_.name}, whose inflation is no power of N")
    design = Design(filter_.experiment, filter_.sigma_y, given.burn_in, given.seed)
    factors = tune_inflation(filter_, design, given.sizes, tuple(given.extent))
    save_checkpoint(filter_, given.out, {**read_card(given.weights), "inflation_factors": factors})
    print(f"factors {factors} on the inflation, written to {given.out}")


if __name__ == "__main__":
    main()
