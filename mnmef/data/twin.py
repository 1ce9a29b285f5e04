"""Twin experiments: simulated truths, observations and first ensembles."""

import json
from functools import partial
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from mnmef.core.seeds import numpy_generator
from mnmef.experiments.experiment import Experiment
from mnmef.io.files import variable

SPLITS = ("train", "tune", "test")


def simulate_truth(experiment: Experiment, trajectories: int, cycles: int, rng: np.random.Generator) -> np.ndarray:
    """Simulate truths at observation times, in float64, each from an initial state and a burn-in of its own.

    Parameters
    ----------
    experiment : Experiment
        The dynamics.
    trajectories : int
        Number T of truths.
    cycles : int
        Number K of cycles after the first state.
    rng : numpy.random.Generator
        Source of the initial states and of what is random in the dynamics.

    Returns
    -------
    ndarray (T, K + 1, Nx) of float32
        States at times 0 (no observation), 1, ..., K.

    Raises
    ------
    FloatingPointError
        If a state is not finite.
    """
    state = torch.from_numpy(experiment.initial_states(trajectories, rng))
    if experiment.is_random:
        experiment = experiment.with_seed(int(rng.integers(2**63)))
    for _ in range(round(experiment.burn_in_time / experiment.cycle_length)):
        state = experiment.propagate(state)
    states = np.empty((trajectories, cycles + 1, experiment.state_size), dtype=np.float32)
    for k in range(cycles + 1):
        states[:, k] = state.numpy()
        if k < cycles:
            state = experiment.propagate(state)
    if not np.isfinite(states).all():
        raise FloatingPointError(
            f"a truth of {experiment.title} became non-finite during simulation: a smaller step_size, or first states "
            "nearer to the attractor, may help"
        )
    return states


def simulate_training(experiment: Experiment, windows: int, segment_cycles: int, seed: int) -> xr.Dataset:
    """Simulate the training split: truths alone.

    Observation noise and first ensembles are drawn anew in every pass of the training, so they are not stored.

    Parameters
    ----------
    experiment : Experiment
        The dynamics.
    windows : int
        Number of truths.
    segment_cycles : int
        Number of observation times after the first state.
    seed : int
        Seed of the config.

    Returns
    -------
    Dataset
        `truth` (window, time, state).
    """
    rng = numpy_generator(seed, experiment.name, "train", "truth")
    truth = simulate_truth(experiment.of_truth(), windows, segment_cycles, rng)
    return training_split(experiment, truth[..., : experiment.state_size])


def training_split(experiment: Experiment, truth: np.ndarray, stored: np.ndarray | None = None) -> xr.Dataset:
    """Return the training split with truths (W, L + 1, Nx) and, in place of noise that a training draws, stored
    observations (W, L + 1, d) of the user's.
    """
    dataset = xr.Dataset({"truth": variable(("window", "time", "state"), truth, "true state")})
    if stored is not None:
        text = "observations, NaN where missing"
        dataset["observation"] = variable(("window", "time", "observed"), stored, text)
    return _described(dataset, experiment, "train", np.arange(truth.shape[1]))


def simulate_split(
    experiment: Experiment,
    split: str,
    trajectories: int,
    cycles: int,
    noise_levels: list[float],
    members: int,
    seed: int,
) -> xr.Dataset:
    """Simulate the tune or the test split: truths, observations and first ensembles.

    Parameters
    ----------
    experiment, split : Experiment, str
        The dynamics and the observation operator; "tune" or "test".
    trajectories, cycles : int
        Numbers T and K.
    noise_levels : list of float
        Standard deviations sigma_y of the observation noise, state units, which scale the same normal draws.
    members, seed : int
        Size of the stored first ensembles, of which a filter takes the first N; seed of the config.

    Returns
    -------
    Dataset
        `truth` (trajectory, cycle, state), `observation` (sigma_y, trajectory, cycle, observed) and `first_ensemble`
        (trajectory, member, state), which lies one cycle before the first observation.

    Raises
    ------
    ValueError
        For another split.
    """
    if split not in SPLITS[1:]:
        raise ValueError(f"split {split!r} holds no observations; it must be 'tune' or 'test'")
    rng = numpy_generator(seed, experiment.name, split, "truth")
    states = simulate_truth(experiment.of_truth(), trajectories, cycles, rng)[..., : experiment.state_size]
    return observed_split(experiment, split, states, noise_levels, members, seed)


def observed_split(
    experiment: Experiment,
    split: str,
    states: np.ndarray,
    noise_levels: list[float],
    members: int,
    seed: int,
    stored: np.ndarray | None = None,
) -> xr.Dataset:
    """Return the tune or test split with truths (T, K + 1, Nx), the first one unobserved; see `simulate_split`.

    Observations are drawn, or those that are stored (T, K + 1, d), of a single noise level.
    """
    stream = partial(numpy_generator, seed, experiment.name, split)
    (trajectories, times, _), truth = states.shape, states[:, 1:]
    cycles, cycle = times - 1, np.arange(1, times)
    if stored is None:
        draws = stream("observation").standard_normal((trajectories, cycles, experiment.observation_size))
        observation = experiment.observation.simulate(truth, noise_levels, draws, stream("missing"))
    else:
        observation = stored[None, :, 1:]
    shape = (trajectories, members, experiment.state_size)
    first = states[:, :1] + experiment.first_spread * stream("first_ensemble").standard_normal(shape)
    observation, first = observation.astype(np.float32), first.astype(np.float32)
    sites = list(experiment.observed) or [-1] * experiment.observation_size
    text = "members one cycle before the first observation; N members are the first N"
    dataset = xr.Dataset(
        {
            "truth": variable(("trajectory", "cycle", "state"), truth, "true state at observation times"),
            "observation": variable(
                ("sigma_y", "trajectory", "cycle", "observed"), observation, "noisy observations, NaN where missing"
            ),
            "first_ensemble": variable(("trajectory", "member", "state"), first, text),
        },
        coords={
            "sigma_y": variable("sigma_y", noise_levels, "standard deviation of observation noise"),
            "observed": variable("observed", sites, "grid point of the observation, -1 for none", None),
            "cycle": variable("cycle", cycle, "assimilation cycle", None),
        },
    )
    return _described(dataset, experiment, split, cycle)


def _described(dataset: xr.Dataset, experiment: Experiment, split: str, cycles: np.ndarray) -> xr.Dataset:
    """Add model times and the attributes of the experiment."""
    name, axis = ("time", "time") if split == "train" else ("model_time", "cycle")
    attributes: dict[str, Any] = {
        "title": f"{experiment.title}: {split} split of a twin experiment",
        "experiment": experiment.name,
        "description": json.dumps(experiment.description),
        "split": split,
        "step_size": experiment.system.step_size,
        "steps_per_cycle": experiment.steps_per_cycle,
    }
    times = variable(axis, cycles * experiment.cycle_length, "model time since the first state", "model time units")
    return dataset.assign_coords({name: times}).assign_attrs(attributes)


def at_level(dataset: xr.Dataset, sigma_y: float) -> xr.Dataset:
    """Return the part of a tune or test split at one noise level.

    Raises
    ------
    ValueError
        If the split has no such noise level.
    """
    levels = dataset["sigma_y"].values
    match = np.flatnonzero(np.isclose(levels, sigma_y))
    if match.size == 0:
        raise ValueError(f"no observations with sigma_y = {sigma_y}; the file has {', '.join(map(str, levels))}")
    return dataset.isel(sigma_y=match[0])


def load_trial(
    dataset: xr.Dataset,
    sigma_y: float,
    members: int,
    dtype: torch.dtype,
    trajectories: int | None = None,
    cycles: int | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Load first ensembles, observations and truths of a tune or test split.

    Parameters
    ----------
    dataset : Dataset
        The split.
    sigma_y : float
        Noise level, state units.
    members : int
        Ensemble size N.
    dtype : dtype
        Of the tensors.
    trajectories, cycles : int or None
        Numbers of leading trajectories T and cycles K; all by default.

    Returns
    -------
    first_ensemble, observations, truth : Tensor
        Of shapes (T, N, Nx), (T, K, d) and (T, K, Nx).

    Raises
    ------
    ValueError
        If the split is smaller, or has no such noise level.
    """
    part = at_level(dataset, sigma_y)
    for name, wanted in (("member", members), ("trajectory", trajectories or 0), ("cycle", cycles or 0)):
        if wanted > dataset.sizes[name]:
            split, stored = dataset.attrs["split"], dataset.sizes[name]
            raise ValueError(f"{wanted} of dimension {name} are asked for, but the {split} split has {stored}")
    part = part.isel(trajectory=slice(trajectories), cycle=slice(cycles), member=slice(members))
    first, observations, truth = (
        torch.from_numpy(part[name].values).to(dtype) for name in ("first_ensemble", "observation", "truth")
    )
    return first, observations, truth
