"""Evaluation of classical filters with the settings that a search has chosen."""

import pandas as pd
import torch
import xarray as xr

from mnmef.evaluation.evaluate import EvaluationOptions, evaluate
from mnmef.experiments.load import experiment_of
from mnmef.filters.classical import Setting, make_classical


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
