"""A reference for all filters: the best classical filter without iterations with a very large ensemble.

With a thousand members sampling errors are small, and a filter's error is that of Gaussian updates and the chaos
itself. Inflation, radius and the kind of filter are chosen on the tuning split, scores are of the test split.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from mnmef.core.names import LOCALIZED_METHODS
from mnmef.core.seeds import numpy_generator
from mnmef.data.published import KEYS
from mnmef.evaluation.baseline import evaluate_baseline
from mnmef.evaluation.evaluate import EvaluationOptions
from mnmef.experiments.load import load_experiment
from mnmef.filters.classical import Setting
from mnmef.scores.scoring import run_scores, summarize
from mnmef.search.engines import EACH, score_batched
from mnmef.search.search import rank_settings
from mnmef.search.trial import Trial


@dataclass(frozen=True)
class ReferencePlan:
    """Settings and sizes of the search for a reference.

    Parameters
    ----------
    ensemble_size : int
        Number of members N.
    methods : sequence of str
        Classical filters.
    inflations : sequence of float
        Factors on analysis anomalies.
    radii : sequence of float
        Localization radii in grid points; without any, methods that localize are left out.
    trajectories, cycles : int
        Part of the tuning split that scores a setting.
    """

    ensemble_size: int
    methods: Sequence[str]
    inflations: Sequence[float]
    radii: Sequence[float]
    trajectories: int
    cycles: int


def with_members(split: xr.Dataset, members: int, seed: int) -> xr.Dataset:
    """Return the split with first ensembles of `members`: the stored ones, and new ones around their mean.

    The truth at that time is not stored; the mean of a hundred members is as good a center.
    """
    stored = split["first_ensemble"]
    more = members - stored.sizes["member"]
    if more <= 0:
        return split
    name, kind = split.attrs["experiment"], split.attrs["split"]
    center = stored.values.mean(1, keepdims=True)
    draws = numpy_generator(seed, name, kind, "reference").standard_normal((len(center), more, center.shape[-1]))
    extra = center + load_experiment(name).first_spread * draws
    values = np.concatenate((stored.values, extra.astype(np.float32)), 1)
    return split.drop_vars("first_ensemble").assign(first_ensemble=(stored.dims, values, stored.attrs))


def settings_to_try(method: str, inflations: Sequence[float], radii: Sequence[float]) -> list[Setting]:
    """Return all combinations of inflation and, for a method that localizes, radius in grid points."""
    pairs = itertools.product(inflations, radii if method in LOCALIZED_METHODS else [None])
    return [Setting(*pair) for pair in pairs]


def run_reference(
    tune: xr.Dataset, test: xr.Dataset, sigma_y: float, plan: ReferencePlan, *, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Choose the best setting on the tuning split and score it on the test split.

    Parameters
    ----------
    tune, test : Dataset
        Splits of one experiment.
    sigma_y : float
        Noise level, state units.
    plan : ReferencePlan
    seed : int
        Root of further members and of the analysis noise.

    Returns
    -------
    scores : DataFrame
        All settings on the tuning split, in the columns of `mnmef.search.search.search_method`.
    best : DataFrame
        The best setting on the test split: columns of `mnmef.scores.scoring`, with inflation, localization_radius,
        tuning_rrmse, and seconds of the test run.
    """
    tune, test = (with_members(split, plan.ensemble_size, seed) for split in (tune, test))
    size = (plan.ensemble_size, plan.trajectories, plan.cycles)
    parts = []
    for method in plan.methods:
        settings = settings_to_try(method, plan.inflations, plan.radii)
        if settings:
            parts.append(score_batched(settings, tune, Trial(tune.attrs["experiment"], sigma_y, method, *size, seed)))
    scores = pd.concat(parts, ignore_index=True).drop(columns=EACH)
    best = rank_settings(scores).head(1)
    chosen = best.iloc[0]
    evaluation = evaluate_baseline(test, chosen["method"], sigma_y, best, EvaluationOptions(seed))
    result = summarize(run_scores(evaluation), KEYS, seed).drop(columns=["rrmse_low", "rrmse_high"])
    for name in ("inflation", "localization_radius"):
        result[name] = chosen[name]
    return scores, result.assign(tuning_rrmse=chosen["rrmse"], seconds=float(evaluation["seconds"].item()))
