"""Evaluation of learned filters from their checkpoints."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from mnmef.core.devices import default_device
from mnmef.evaluation.evaluate import EvaluationOptions, evaluate
from mnmef.learning.checkpoints import load_checkpoint


def evaluate_learned(
    split: xr.Dataset,
    method: str,
    sigma_y: float,
    checkpoints: Mapping[int, Path],
    options: EvaluationOptions,
    *,
    filter_name: str,
    model: Mapping[str, Any],
) -> xr.Dataset:
    """Evaluate a learned filter.

    Parameters
    ----------
    split : Dataset
        A tune or test split.
    method : str
        Name of the method in tables.
    sigma_y : float
        Noise level, state units.
    checkpoints : mapping of int to Path
        Weights for each ensemble size; several sizes may share a file.
    options : EvaluationOptions
        Seed and further scores.
    filter_name : str
        The filter of the checkpoints.
    model : mapping
        Options of its network.

    Returns
    -------
    Dataset
        See `mnmef.evaluation.evaluate.evaluate`.

    Raises
    ------
    ValueError
        If a checkpoint is of another filter, experiment, noise level or network.
    """
    experiment, device = split.attrs["experiment"], default_device()
    filters = {
        members: load_checkpoint(path, name=filter_name, experiment=experiment, sigma_y=sigma_y, model=model).to(device)
        for members, path in checkpoints.items()
    }
    return evaluate(filters, split, method, sigma_y, options, device=device)
