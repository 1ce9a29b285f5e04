"""Splits of an experiment as the workflow makes them, from merged settings."""

from collections.abc import Mapping
from typing import Any

import xarray as xr

from mnmef.data.twin import simulate_split, simulate_training
from mnmef.experiments.experiment import Experiment


def make_split(experiment: Experiment, split: str, settings: Mapping[str, Any]) -> xr.Dataset:
    """Make a split of an experiment.

    Parameters
    ----------
    experiment : Experiment
        The dynamics and the observation operator.
    split : str
        "train", "tune" or "test".
    settings : mapping
        `seed`; `noise_levels` but for training; `data`, of which it takes the sections of the split, and `members` but
        for training.

    Returns
    -------
    Dataset
        See `simulate_training` and `simulate_split`.
    """
    section, seed = settings["data"], settings["seed"]
    part = section[split]
    if split == "train":
        return simulate_training(experiment, part["windows"], part["window_cycles"] + part["offset_cycles"], seed)
    drawn = {"noise_levels": settings["noise_levels"], "members": section["members"]}
    return simulate_split(experiment, split, **part, **drawn, seed=seed)
