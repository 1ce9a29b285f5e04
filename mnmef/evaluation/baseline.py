"""Evaluation of classical filters with their tuned settings."""

from typing import Any

import pandas as pd
import torch
import xarray as xr

from mnmef.evaluation.evaluate import evaluate
from mnmef.filters.base import Filter
from mnmef.filters.classical import make_classical
from mnmef.systems import make_system


def evaluate_baseline(split: xr.Dataset, method: str, sigma_y: float, best: pd.DataFrame, **options: Any) -> xr.Dataset:
    """Evaluate a classical filter with the tuned settings `best`: a row with inflation and localization_radius per
    ensemble_size. options: as of `mnmef.evaluation.evaluate.evaluate`.

    Forecasts in single precision, analyses in double (see `System.model_dtype`).
    """
    system = make_system(split.attrs["system"], model_dtype=torch.float32)
    rows = best.set_index("ensemble_size")

    def make_filter(members: int) -> Filter:
        radius = rows.loc[members, "localization_radius"]
        return make_classical(
            method, system, sigma_y, float(rows.loc[members, "inflation"]), None if pd.isna(radius) else float(radius)
        )

    sizes = [int(n) for n in rows.index]
    return evaluate(make_filter, split, method, sigma_y, sizes, system=system, dtype=torch.float64, **options)
