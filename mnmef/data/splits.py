"""Splits of an experiment as the workflow makes them from merged settings: simulated, or of the user's trajectories."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from mnmef.data.twin import observed_split, simulate_split, simulate_training, training_split
from mnmef.experiments.experiment import Experiment
from mnmef.io.arrays import read_array, variables_of


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
        For trajectories that are of another system, too few, too short or not finite, and observations that are not of
        theirs or of several noise levels.
    """
    section, seed, file = settings["data"], settings["seed"], settings.get("trajectories")
    part, levels = section[split], settings["noise_levels"] if split != "train" else [1.0]
    states, observations = stored_split(Path(file), split, section, experiment) if file else (None, None)
    if observations is not None and len(levels) != 1:
        raise ValueError(
            f"observations in {file} are of one noise level: noise_levels = {levels} must be that one alone"
        )
    if split == "train":
        if states is not None:
            return training_split(experiment, states, observations)
        return simulate_training(experiment, part["windows"], part["window_cycles"] + part["offset_cycles"], seed)
    drawn = {"noise_levels": levels, "members": section["members"], "seed": seed}
    if states is not None:
        return observed_split(experiment, split, states, stored=observations, **drawn)
    return simulate_split(experiment, split, **part, **drawn)


def stored_split(
    file: Path, split: str, sizes: Mapping[str, Any], experiment: Experiment
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return truths of a split from the user's trajectories, and their observations if the file has any.

    The first trajectories are for the test split, the next ones for the tuning split, and the training split has
    segments of all others, one after the other.

    Parameters
    ----------
    file : Path
        States one cycle apart: an array (trajectory, time, state) of NumPy's (.npy), the only variable of a NetCDF, or
        its variable `truth`. Its variable `observation` (trajectory, time, observed), NaN where missing, is used if it
        is there; observations of the first time of a split are not, since the first ensemble is at it.
    split : str
        "train", "tune" or "test".
    sizes : mapping
        The config's section `data`.
    experiment : Experiment
        Source of the numbers of components Nx and of observations d.

    Returns
    -------
    states : ndarray (T, K + 1, Nx) of float32
    observations : ndarray (T, K + 1, d) of float32, or None

    Raises
    ------
    ValueError
        Naming the file, what it has, and what is right.
    """
    states, observations = _read(file)
    _check_numbers(f"trajectories {file}", states, ("trajectory", "time", experiment.state_size))
    if observations is not None:
        _check_numbers(f"observations in {file}", observations, (*states.shape[:2], experiment.observation_size))
    part = _of_split(file, states, split, sizes)
    if not np.isfinite(part).all():
        raise ValueError(f"trajectories {file}: a state of the {split} split is not finite; right are numbers")
    if observations is None:
        return part.astype(np.float32), None
    seen = _of_split(file, observations, split, sizes)
    if np.isinf(seen).any():
        raise ValueError(f"observations in {file}: one of the {split} split is infinite; right are numbers, or NaN")
    return part.astype(np.float32), seen.astype(np.float32)


def _read(file: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Read truths and, if a file has them, observations, with the axes in order."""
    names = () if file.suffix == ".npy" else variables_of(file)
    found = [read_array(file, "truth" if {"truth", "observation"} & set(names) else None)]
    found.extend([read_array(file, "observation")] if "observation" in names else [])
    known = ("trajectory", "time")
    arrays = [
        np.asarray(array.transpose(*known, ...) if set(known) <= set(getattr(array, "dims", ())) else array)
        for array in found
    ]
    return arrays[0], arrays[1] if len(arrays) > 1 else None


def _check_numbers(name: str, values: np.ndarray, right: tuple[Any, ...]) -> None:
    """Raise `ValueError` for what is no array of real numbers of three axes, of the sizes that are numbers."""
    fits = values.ndim == 3 and all(
        isinstance(n, str) or n == size for n, size in zip(right, values.shape, strict=True)
    )
    if not fits or values.dtype.kind not in "fiu":
        shape = f"({', '.join(map(str, right))})"
        raise ValueError(f"{name} are of shape {values.shape} and type {values.dtype}; right are real numbers {shape}")


def _of_split(file: Path, values: np.ndarray, split: str, sizes: Mapping[str, Any]) -> np.ndarray:
    """Return the part of arrays (trajectory, time, ...) that is of a split; `ValueError` if there is too little."""
    tested, tuned = (sizes[name]["trajectories"] for name in ("test", "tune"))
    if split == "train":
        section, part = sizes["train"], values[tested + tuned :]
        length, count = 1 + section["window_cycles"] + section["offset_cycles"], section["windows"]
        # Segment by segment, so that the first ones are of all trajectories.
        starts = range(0, part.shape[1] - length + 1, length)
        part = np.concatenate([part[:, start : start + length] for start in starts] or [part[:0]])[:count]
        right = f"{count} segments of {length} times (data.train) of the trajectories after the first {tested + tuned}"
    else:
        length, count = 1 + sizes[split]["cycles"], sizes[split]["trajectories"]
        first = tested if split == "tune" else 0
        part = values[first : first + count, :length]
        right = f"{first + count} trajectories of {length} times (data.{split})"
    if part.shape[:2] != (count, length):
        has = f"{values.shape[0]} trajectories of {values.shape[1]} times"
        raise ValueError(f"trajectories {file} have {has}; the {split} split needs {right}: make data.{split} smaller")
    return part
