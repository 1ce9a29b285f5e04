"""What is possible with the dynamics and the observations: the best classical filter with a very large ensemble.

With a thousand members sampling errors are small, and what is left of a filter's error is that of Gaussian updates and
the chaos itself. Inflation, radius and the kind of filter are chosen on the tuning split, scores are of the test split.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from mnmef.core.seeds import numpy_generator
from mnmef.evaluation.baseline import evaluate_baseline
from mnmef.filters.classical import LOCALIZED_METHODS
from mnmef.scores.scoring import score_evaluation
from mnmef.search.grids import Setting
from mnmef.search.search import Trial, rank, score_batched
from mnmef.systems import make_system

UNTRACED = {"ensemble_size": 0, "trajectories": 0}


def with_members(split: xr.Dataset, members: int, seed: int) -> xr.Dataset:
    """`split` with first ensembles of `members`: those that it stores, and new ones around their mean.

    The truth at that time is not stored; the mean of a hundred members is as good a center.
    """
    stored = split["first_ensemble"]
    more = members - stored.sizes["member"]
    if more <= 0:
        return split
    name, kind = split.attrs["system"], split.attrs["split"]
    center = stored.values.mean(1, keepdims=True)
    shape = (len(center), more, center.shape[-1])
    draws = numpy_generator(seed, name, kind, "reference").standard_normal(shape)
    extra = center + make_system(name).first_spread * draws
    values = np.concatenate((stored.values, extra.astype(np.float32)), 1)
    return split.drop_vars("first_ensemble").assign(first_ensemble=(stored.dims, values, stored.attrs))


def settings_to_try(method: str, inflations: Sequence[float], radii: Sequence[float]) -> list[Setting]:
    """All combinations of inflation and, for a method that localizes, radius in grid points."""
    return list(itertools.product(inflations, radii if method in LOCALIZED_METHODS else [None]))


def run_reference(
    tune: xr.Dataset, test: xr.Dataset, sigma_y: float, plan: Mapping[str, Any], *, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All scores on the `tune` split, and the row of the best setting with its scores on the `test` split.

    plan: ensemble_size, methods, inflations, radii (empty without a grid: localized methods are left out), and
    trajectories and cycles of the tuning split for each setting. Columns of the second table: those of
    `mnmef.scores.scoring`, with inflation, localization_radius, tuning_rrmse, and seconds of the test run.
    """
    members, system = plan["ensemble_size"], tune.attrs["system"]
    tune, test = (with_members(split, members, seed) for split in (tune, test))
    scores = []
    for method in plan["methods"]:
        settings = settings_to_try(method, plan["inflations"], plan["radii"])
        trial = Trial(system, sigma_y, method, members, plan["trajectories"], plan["cycles"], seed)
        if settings:
            scores.append(score_batched(settings, tune, trial))
    table = pd.concat(scores, ignore_index=True)
    best = rank(table).head(1)
    chosen = best.iloc[0]
    evaluation = evaluate_baseline(test, chosen["method"], sigma_y, best, traced=UNTRACED, seed=seed)
    result = pd.DataFrame(score_evaluation(evaluation)).assign(
        inflation=chosen["inflation"],
        localization_radius=chosen["localization_radius"],
        tuning_rrmse=chosen["rrmse"],
        seconds=float(evaluation["seconds"].item()),
    )
    return table, result
