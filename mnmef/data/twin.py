"""Truths, observations and first ensembles of the twin experiments."""

from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from mnmef.core.seeds import numpy_generator
from mnmef.systems import System, make_system

SPLITS = ("train", "tune", "test")


def simulate_truth(system: System, trajectories: int, cycles: int, rng: np.random.Generator) -> np.ndarray:
    """States (trajectories, cycles + 1, Nx) at observation times 0 (no observation), 1, ..., cycles.

    All trajectories advance together in float64, each from its own initial state through its own burn-in.
    """
    state = torch.from_numpy(system.initial_states(trajectories, rng))
    for _ in range(round(system.burn_in_time / system.cycle_length)):
        state = system.propagate(state)
    states = np.empty((trajectories, cycles + 1, system.state_size), dtype=np.float32)
    for k in range(cycles + 1):
        states[:, k] = state.numpy()
        if k < cycles:
            state = system.propagate(state)
    if not np.isfinite(states).all():
        raise FloatingPointError(f"a truth of {system.title} became non-finite during simulation")
    return states


def simulate_training(system_name: str, windows: int, segment_cycles: int, seed: int) -> xr.Dataset:
    """Training truths `truth(window, time, state)`; `segment_cycles` observation times follow the first state.

    Observation noise and first ensembles are drawn afresh in every pass of the training, so they are not stored.
    """
    system = make_system(system_name)
    truth = simulate_truth(system, windows, segment_cycles, numpy_generator(seed, system_name, "train", "truth"))
    dataset = xr.Dataset({"truth": (("window", "time", "state"), truth, {"long_name": "true state", "units": "1"})})
    return _describe(dataset, system, "train", np.arange(segment_cycles + 1))


def simulate_split(
    system_name: str, split: str, trajectories: int, cycles: int, noise_levels: list[float], members: int, seed: int
) -> xr.Dataset:
    """Truth, observations and first ensembles of the tune or test split.

    noise_levels: sigma_y, standard deviations of the observation noise, in units of the state; the same standard normal
    draws are scaled for each level. members: size of the stored first ensemble; a filter with N members starts from the
    first N.
    The first ensemble lies one cycle before the first observation.
    """
    if split not in ("tune", "test"):
        raise ValueError(f"split {split!r} holds no observations; it must be 'tune' or 'test'")
    system = make_system(system_name)
    streams = {
        what: numpy_generator(seed, system_name, split, what) for what in ("truth", "observation", "first_ensemble")
    }
    states = simulate_truth(system, trajectories, cycles, streams["truth"])
    truth = states[:, 1:]
    draws = streams["observation"].standard_normal((trajectories, cycles, system.observation_size))
    observation = np.stack([truth[..., list(system.observed)] + level * draws for level in noise_levels])
    anomalies = system.first_spread * streams["first_ensemble"].standard_normal(
        (trajectories, members, system.state_size)
    )
    dataset = xr.Dataset(
        {
            "truth": (
                ("trajectory", "cycle", "state"),
                truth,
                {"long_name": "true state at observation times", "units": "1"},
            ),
            "observation": (
                ("sigma_y", "trajectory", "cycle", "observed"),
                observation.astype(np.float32),
                {"long_name": "observed components plus Gaussian noise", "units": "1"},
            ),
            "first_ensemble": (
                ("trajectory", "member", "state"),
                (states[:, :1] + anomalies).astype(np.float32),
                {
                    "long_name": "members one cycle before the first observation; N members are the first N",
                    "units": "1",
                },
            ),
        },
        coords={
            "sigma_y": (
                "sigma_y",
                noise_levels,
                {"long_name": "standard deviation of observation noise", "units": "1"},
            ),
            "observed": ("observed", list(system.observed), {"long_name": "index of the observed state component"}),
            "cycle": ("cycle", np.arange(1, cycles + 1), {"long_name": "assimilation cycle"}),
        },
    )
    return _describe(dataset, system, split, np.arange(1, cycles + 1))


def _describe(dataset: xr.Dataset, system: System, split: str, cycles: np.ndarray) -> xr.Dataset:
    axis = "time" if split == "train" else "cycle"
    times = (
        axis,
        cycles * system.cycle_length,
        {"long_name": "model time since the first state", "units": "model time units"},
    )
    attributes: dict[str, Any] = {
        "title": f"{system.title}: {split} split of a twin experiment",
        "system": system.name,
        "split": split,
        "step_size": system.step_size,
        "steps_per_cycle": system.steps_per_cycle,
    }
    return dataset.assign_coords({"model_time" if split != "train" else "time": times}).assign_attrs(attributes)


def load_trial(
    dataset: xr.Dataset,
    sigma_y: float,
    members: int,
    dtype: torch.dtype,
    trajectories: int | None = None,
    cycles: int | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """First ensemble (T, N, Nx), observations (T, K, d) and truth (T, K, Nx) of a tune or test split.

    trajectories, cycles: take the first so many only. Raises `ValueError` if the split has fewer members, or no such
    noise level.
    """
    levels = dataset["sigma_y"].values
    match = np.flatnonzero(np.isclose(levels, sigma_y))
    if match.size == 0:
        raise ValueError(f"no observations with sigma_y = {sigma_y}; the file has {', '.join(map(str, levels))}")
    if members > dataset.sizes["member"]:
        raise ValueError(f"the split stores {dataset.sizes['member']} members, fewer than the {members} asked for")
    some, times = slice(trajectories), slice(cycles)
    first = dataset["first_ensemble"].values[some, :members]
    observations = dataset["observation"].values[match[0], some, times]
    truth = dataset["truth"].values[some, times]
    return (
        torch.from_numpy(first).to(dtype),
        torch.from_numpy(observations).to(dtype),
        torch.from_numpy(truth).to(dtype),
    )
