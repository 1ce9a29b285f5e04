"""Experiments from names and from files of data."""

import json

import torch
import xarray as xr

from mnmef.experiments.description import describe
from mnmef.experiments.experiment import Experiment


def load_experiment(name: str, model_dtype: torch.dtype | None = None) -> Experiment:
    """Load the experiment `name`.

    Parameters
    ----------
    name : str
        Stem of a file in `mnmef/experiments/*/`, such as `lorenz96`.
    model_dtype : dtype or None
        Precision of its dynamics; that of the states by default.

    Raises
    ------
    ValueError
        If there is none of that name; the message names the nearest.
    """
    return Experiment.from_description(describe(name), model_dtype)


def experiment_of(split: xr.Dataset, model_dtype: torch.dtype | None = None) -> Experiment:
    """Return the experiment of the truths and observations in `split`.

    Parameters
    ----------
    split : Dataset
        A train, tune or test split.
    model_dtype : dtype or None
        Precision of the dynamics; that of the states by default.
    """
    return Experiment.from_description(json.loads(split.attrs["description"]), model_dtype)
