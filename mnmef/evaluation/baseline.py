"""Evaluation of classical filters with the settings that a search has chosen."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import torch
import xarray as xr

from mnmef.evaluation.evaluate import EvaluationOptions, evaluate
from mnmef.experiments.load import experiment_of
from mnmef.filters.classical import Setting, make_classical
from mnmef.filters.outside import load_filter, variants


def evaluate_baseline(
    split: xr.Dataset, method: str, sigma_y: float, best: pd.DataFrame, options: EvaluationOptions, *, lag: int = 2
) -> xr.Dataset:
    """Evaluate a classical filter: forecasts in single, analyses in double precision (see `Experiment.model_dtype`).

    Parameters
    ----------
    split : Dataset
        A tune or test split.
    method : str
        One of `CLASSICAL_METHODS`.
    sigma_y : float
        Noise level, state units.
    best : DataFrame
        One row for each ensemble_size, with inflation and localization_radius.
    options : EvaluationOptions
        Seed and further scores.
    lag : int
        Window of `ienks`, in cycles.

    Returns
    -------
    Dataset
        See `mnmef.evaluation.evaluate.evaluate`.
    """
    experiment = experiment_of(split, model_dtype=torch.float32)
    filters = {
        int(row["ensemble_size"]): make_classical(method, experiment, sigma_y, *Setting.of(row), lag=lag)
        for _, row in best.iterrows()
    }
    return evaluate(filters, split, method, sigma_y, options, experiment=experiment, dtype=torch.float64)


def evaluate_given(
    split: xr.Dataset,
    entry: Mapping[str, Any],
    sigma_y: float,
    ensemble_sizes: Sequence[int],
    options: EvaluationOptions,
    best: pd.DataFrame | None = None,
) -> xr.Dataset:
    """Evaluate a filter of the user's with its options.

    Parameters
    ----------
    split, sigma_y, options
        As for `evaluate_baseline`.
    entry : mapping
        See `mnmef.filters.outside.load_filter`.
    ensemble_sizes : sequence of int
        Numbers of members N.
    best : DataFrame or None
        Where options were searched: one row for each ensemble_size, with the setting.
    """
    experiment, made = experiment_of(split), variants(entry)
    chosen = {} if best is None else dict(zip(best["ensemble_size"], best["setting"], strict=True))
    filters = {n: load_filter(made[chosen.get(n, 0)], experiment, sigma_y) for n in ensemble_sizes}
    is_network = isinstance(next(iter(filters.values())), torch.nn.Module)
    dtype = torch.float32 if is_network else torch.float64
    name = entry["name"].rpartition(":")[2]
    return evaluate(filters, split, name, sigma_y, options, experiment=experiment, dtype=dtype)
