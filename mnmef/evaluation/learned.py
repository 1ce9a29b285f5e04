"""Evaluation of learned filters from their checkpoints."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from mnmef.core.devices import default_device
from mnmef.evaluation.evaluate import evaluate
from mnmef.learning.checkpoints import load_checkpoint


def evaluate_learned(
    split: xr.Dataset,
    method: str,
    sigma_y: float,
    checkpoints: Mapping[int, Path],
    *,
    filter_name: str,
    model: Mapping[str, Any],
    **options: Any,
) -> xr.Dataset:
    """Evaluate learned filters: `checkpoints` says which weights to use for each ensemble size (several may share one
    file) of the filter `filter_name`. options: as of `mnmef.evaluation.evaluate.evaluate`.
    """
    system = split.attrs["system"]
    device = default_device()
    # All are loaded before the first run, so that a bad file costs no evaluation.
    filters = {
        n: load_checkpoint(p, name=filter_name, system=system, sigma_y=sigma_y, model=model)
        for n, p in checkpoints.items()
    }
    return evaluate(
        lambda members: filters[members].to(device),
        split,
        method,
        sigma_y,
        list(filters),
        device=device,
        **options,
    )
