"""Figure C.13: learned filters on a linear-Gaussian system against the exact filter, by the 2-Wasserstein distance.

The learned filter is the paper's, trained from nothing for each loss. It has no localization, since the system has no
grid. Its ensembles start from draws of N(0, I), as the exact filter does, and members are forecast with process noise
of their own. Beside it run an EnKF with perturbed observations, untuned, and the sampling baseline: as many independent
draws from the exact posterior of each cycle, than which no ensemble of this size can be expected to be closer.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor
from tqdm import tqdm

from mnmef.assimilation.cycling import noise_source, run_filter
from mnmef.core.seeds import numpy_generator, torch_generator
from mnmef.data.twin import simulate_truth
from mnmef.filters.base import CycleResult, Filter
from mnmef.filters.enkf import EnKF
from mnmef.learning.trainer import Trainer, TrainingOptions, initial_filter
from mnmef.studies.kalman import ensemble_gaussian, kalman_filter, wasserstein_2
from mnmef.systems.linear_gaussian import LinearGaussian

Settings = Mapping[str, Any]
SAMPLING, CLASSICAL = "sampling", "enkf"
"""Runs without training."""
DECAY = "_decay"


class PriorTrainer(Trainer):
    """A training whose windows start from draws of N(0, I), instead of about their truths."""

    def _first_ensemble(self, which: Tensor) -> None:
        self.batch.ensemble[which.to(self.device)] = self._normal(int(which.sum()), *self.batch.ensemble.shape[1:])


def run_variant(variant: str, settings: Settings, model: Settings, seed: int) -> xr.Dataset:
    """Distance from the exact filter, and of the mean from the truth, of one run over the test trajectories.

    variant: `sampling`, `enkf`, or a loss such as `nl2`, with the suffix `_decay` for a training with weight decay.
    settings: the config's section `linear_gaussian`. model: options of the learned filter's network.
    Returns `wasserstein` and `error_norm` (trajectory, cycle), and `prior_distance` (trajectory, cycle): the distance
    of N(0, I), forecast without observations. `diverged_at` (trajectory) is the first cycle from which on the run is
    farther away than that until the end, -1 for never.
    """
    system, observations, truth = _test_data(settings, seed)
    means, covariances = kalman_filter(system, observations, settings["sigma_y"])
    states = np.eye(system.state_size)
    spread = 1 + system.sigma_v**2 * np.arange(1, observations.shape[1] + 1)
    prior = wasserstein_2(np.zeros_like(means), spread[:, None, None] * states, means, covariances)
    if variant == SAMPLING:
        mean, covariance = _sample(means, covariances, settings["ensemble_size"], seed)
    else:
        filter_ = _make_filter(variant, system, settings, model, seed)
        mean, covariance = _run(filter_, system, observations, truth, settings, seed)
    distance = wasserstein_2(mean, covariance, means, covariances)
    return _as_dataset(distance, np.linalg.norm(mean - truth, axis=-1), prior, variant)


def _test_data(settings: Settings, seed: int) -> tuple[LinearGaussian, np.ndarray, np.ndarray]:
    """The system, observations (T, K, d) and truths (T, K, Nx) of the test trajectories."""
    system = _make_system(settings, seed, "test")
    trajectories, cycles = settings["trajectories"], settings["cycles"]
    truth = simulate_truth(system, trajectories, cycles, numpy_generator(seed, system.name, "test", "truth"))[:, 1:]
    rng = numpy_generator(seed, system.name, "test", "observation")
    noise = rng.standard_normal((trajectories, cycles, system.observation_size))
    return system, truth[..., list(system.observed)] + settings["sigma_y"] * noise, truth


def _make_system(settings: Settings, seed: int, stream: str) -> LinearGaussian:
    """The same system for every `stream`, which names its process noise."""
    name = LinearGaussian.name
    rng, generator = numpy_generator(seed, name, "transition"), torch_generator(seed, name, "process noise", stream)
    return LinearGaussian(settings["state_size"], settings["sigma_v"], rng, generator)


def _make_filter(variant: str, system: LinearGaussian, settings: Settings, model: Settings, seed: int) -> Filter:
    if variant == CLASSICAL:
        return EnKF(settings["sigma_y"])
    loss = variant.removesuffix(DECAY)
    twin = _make_system(settings, seed, "train")
    learned = initial_filter(twin, settings["sigma_y"], model, seed)
    section = settings["training"]
    options = TrainingOptions(
        **{key: section[key] for key in ("steps", "window_cycles", "batch", "learning_rate", "gradient_clip")},
        ensemble_size=settings["ensemble_size"],
        loss=loss,
        weight_decay=settings["weight_decay"] if loss != variant else 0.0,
        seed=seed,
    )
    rng = numpy_generator(seed, system.name, "train", "truth")
    truths = simulate_truth(twin, section["windows"], section["window_cycles"], rng)
    trainer = PriorTrainer(learned, torch.from_numpy(truths), options)
    for _ in tqdm(range(options.steps), desc=f"train {variant}", unit="step", mininterval=5):
        trainer.optimizer_step()
    return learned


def _run(
    filter_: Filter, system: LinearGaussian, observations: np.ndarray, truth: np.ndarray, settings: Settings, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Means (T, K, Nx) and covariances (T, K, Nx, Nx) of the analysis ensembles; not finite from divergence on."""
    members, trajectories = settings["ensemble_size"], len(truth)
    draw = noise_source(seed, system.name, members, (trajectories, members, system.observation_size))
    rng = numpy_generator(seed, system.name, "test", "first_ensemble")
    first = torch.from_numpy(rng.standard_normal((trajectories, members, system.state_size))).float()
    seen = []

    def observe(_: int, result: CycleResult, __: Tensor) -> None:
        seen.append(ensemble_gaussian(result.analysis.double().numpy()))

    given, states = (torch.from_numpy(values).float() for values in (observations, truth))
    with torch.no_grad():
        record = run_filter(filter_, system, first, given, states, draw, observe=observe)
    mean, covariance = (np.stack(part, 1) for part in zip(*seen, strict=True))
    lost = record.diverged_at.numpy()
    mean[(lost[:, None] >= 0) & (np.arange(mean.shape[1]) >= lost[:, None])] = np.nan
    return mean, covariance


def _sample(means: np.ndarray, covariances: np.ndarray, members: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of `members` independent draws from each posterior."""
    rng = numpy_generator(seed, LinearGaussian.name, SAMPLING)
    roots = np.linalg.cholesky(covariances)
    # One trajectory at a time, to hold few draws in memory.
    draws = (rng.standard_normal((means.shape[1], members, means.shape[2])) for _ in means)
    parts = [ensemble_gaussian(m[:, None] + d @ roots.swapaxes(-1, -2)) for m, d in zip(means, draws, strict=True)]
    mean, covariance = (np.stack(part) for part in zip(*parts, strict=True))
    return mean, covariance


def _as_dataset(distance: np.ndarray, error: np.ndarray, prior: np.ndarray, variant: str) -> xr.Dataset:
    dims = ("trajectory", "cycle")
    # From the last cycle backwards: how long the run has been outside without a break.
    outside = np.logical_and.accumulate((distance > prior)[:, ::-1], 1)[:, ::-1]
    diverged_at = np.where(outside.any(1), outside.argmax(1), -1)
    texts = {
        "wasserstein": (distance, "2-Wasserstein distance of the ensemble's Gaussian from the exact posterior"),
        "prior_distance": (prior, "2-Wasserstein distance of the forecast without observations from the posterior"),
        "error_norm": (error, "Euclidean norm of ensemble mean minus truth"),
    }
    dataset = xr.Dataset({name: (dims, v, {"long_name": text, "units": "1"}) for name, (v, text) in texts.items()})
    text = "first cycle index from which on the run is farther from the posterior than the prior, -1 for never"
    dataset["diverged_at"] = ("trajectory", diverged_at, {"long_name": text})
    cycles = ("cycle", np.arange(1, distance.shape[1] + 1), {"long_name": "assimilation cycle"})
    return dataset.assign_coords(cycle=cycles).assign_attrs(system=LinearGaussian.name, variant=variant)
