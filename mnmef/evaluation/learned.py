"""Evaluation of learned filters from their checkpoints."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from mnmef.core.devices import default_device
from mnmef.evaluation.evaluate import EvaluationOptions, evaluate
from mnmef.learning.checkpoints import load_checkpoint, read_card


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
        See `mnmef.evaluation.evaluate.evaluate`. If some N lies beside those that its weights were trained with, the
        attribute `beside_range` says so.

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
    result = evaluate(filters, split, method, sigma_y, options, device=device)
    trained = {members: _trained_sizes(read_card(path)) for members, path in checkpoints.items()}
    beside = [n for n, sizes in trained.items() if sizes and not min(sizes) <= n <= max(sizes)]
    if not beside:
        return result
    sizes = sorted({size for n in beside for size in trained[n]})
    text = f"weights trained at N = {', '.join(map(str, sizes))} are used at N = {', '.join(map(str, beside))}"
    return result.assign_attrs(beside_range=text)


def _trained_sizes(card: Mapping[str, Any]) -> set[int]:
    """Return the numbers of members that weights were trained with; none if their card does not say."""
    training = card.get("training")
    if not isinstance(training, dict) or "ensemble_size" not in training:
        return set()
    return {training["ensemble_size"], *training.get("other_sizes", ())}
