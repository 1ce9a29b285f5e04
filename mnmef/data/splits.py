"""Splits of an experiment as the workflow makes them from merged settings: simulated, or of the user's trajectories."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from mnmef.data.twin import observed_split, simulate_split, simulate_training, training_split
from mnmef.experiments.experiment import Experiment
from mnmef.io.arrays import read_array


def make_split(experiment: Experiment, split: str, settings: Mapping[str, Any]) -> xr.Dataset:
    """Make a split of an experiment.

    Parameters
    ----------
    experiment : Experiment
        The dynamics and the observation operator.
    split : str
        "train", "tune" or "test".
    settings : mapping
        Keys of the config: `seed`, `noise_levels`, `data`, and `trajectories`, a file to take truths from.

    Returns
    -------
    Dataset
        See `simulate_training` and `simulate_split`.

    Raises
    ------
    ValueError
        For trajectories that are of another system, too few, too short or not finite.
    """
    section, seed, file = settings["data"], settings["seed"], settings.get("trajectories")
    part = section[split]
    states = stored_truths(Path(file), split, section, experiment.state_size) if file else None
    if split == "train":
        if states is not None:
            return training_split(experiment, states)
        return simulate_training(experiment, part["windows"], part["window_cycles"] + part["offset_cycles"], seed)
    drawn = {"noise_levels": settings["noise_levels"], "members": section["members"], "seed": seed}
    if states is not None:
        return observed_split(experiment, split, states, **drawn)
    return simulate_split(experiment, split, **part, **drawn)


def stored_truths(file: Path, split: str, sizes: Mapping[str, Any], state_size: int) -> np.ndarray:
    """Return truths of a split from the user's trajectories.

    The first trajectories are for the test split, the next ones for the tuning split, and the training split has
    segments of all others, one after the other.

    Parameters
    ----------
    file : Path
        Array (trajectory, time, state) of states one cycle apart: of NumPy's (.npy), or the only variable of a NetCDF.
    split : str
        "train", "tune" or "test".
    sizes : mapping
        The config's section `data`.
    state_size : int
        Number of components Nx.

    Returns
    -------
    ndarray (T, K + 1, Nx) of float32

    Raises
    ------
    ValueError
        Naming the file, what it has, and what is right.
    """
    states = np.asarray(read_array(file))
    tested, tuned = (sizes[name]["trajectories"] for name in ("test", "tune"))
    if states.ndim != 3 or states.shape[2] != state_size or states.dtype.kind not in "fiu":
        right = f"right are real numbers (trajectory, time, {state_size})"
        raise ValueError(f"trajectories {file} are of shape {states.shape} and type {states.dtype}; {right}")
    if split == "train":
        section, part = sizes["train"], states[tested + tuned :]
        length, count = 1 + section["window_cycles"] + section["offset_cycles"], section["windows"]
        # Segment by segment, so that the first ones are of all trajectories.
        starts = range(0, part.shape[1] - length + 1, length)
        part = np.concatenate([part[:, start : start + length] for start in starts] or [part[:0]])[:count]
        right = f"{count} segments of {length} times (data.train) of the trajectories after the first {tested + tuned}"
    else:
        length, first, count = (
            1 + sizes[split]["cycles"],
            tested if split == "tune" else 0,
            sizes[split]["trajectories"],
        )
        part = states[first : first + count, :length]
        right = f"{first + count} trajectories of {length} times (data.{split})"
    if part.shape[:2] != (count, length):
        has = f"{states.shape[0]} trajectories of {states.shape[1]} times"
        raise ValueError(f"trajectories {file} have {has}; the {split} split needs {right}: make data.{split} smaller")
    if not np.isfinite(part).all():
        raise ValueError(f"trajectories {file}: a state of the {split} split is not finite; right are numbers")
    return part.astype(np.float32)
