"""Figure C.13: learned filters on a linear-Gaussian system against the exact filter, by the 2-Wasserstein distance.

The learned filter is the paper's, trained from nothing for each loss. It has no localization, since the experiment has
no grid. Its ensembles start from draws of N(0, I), as the exact filter does, and members are forecast with process
noise of their own. Beside it run an EnKF with perturbed observations, untuned, and the sampling baseline: independent
draws from the exact posterior of each cycle, the best that can be expected of an ensemble of this size.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor
from tqdm import tqdm

from mnmef.assimilation.twin import run_on_twin
from mnmef.core.devices import default_device, upload
from mnmef.core.seeds import numpy_generator, torch_generator
from mnmef.data.twin import simulate_truth
from mnmef.experiments.experiment import Experiment
from mnmef.filters.base import CycleResult, Filter
from mnmef.filters.enkf import EnKF
from mnmef.filters.learned import initial_filter
from mnmef.io.files import variable
from mnmef.learning.options import TrainingOptions
from mnmef.learning.trainer import Trainer
from mnmef.learning.windows import Batch, Windows
from mnmef.observations import make_observation
from mnmef.studies.kalman import ensemble_gaussian, kalman_filter, wasserstein_2
from mnmef.studies.runs import simulate_twin
from mnmef.systems.linear_gaussian import LinearGaussian

NAME = LinearGaussian.name
SAMPLING, CLASSICAL = "sampling", "enkf"
"""Runs without training."""

Moments = tuple[np.ndarray, np.ndarray]
"""Means (T, K, Nx) and covariances (T, K, Nx, Nx) of ensembles."""


@dataclass(frozen=True)
class LinearRun:
    """A run on the linear-Gaussian system.

    Parameters
    ----------
    filter_name : str
        `sampling`, `enkf`, or `mnmef`, which is trained.
    loss : str or None
        Of the training.
    model : mapping
        Options of the learned filter's network.
    seed : int
        Root of all random streams.
    state_size : int
        Components Nx of the state; even.
    sigma_v, sigma_y : float
        Standard deviations of process and observation noise, state units.
    ensemble_size : int
        Number of members N.
    trajectories, cycles : int
        Sizes of the test.
    training : mapping
        windows, window_cycles, steps, batch, learning_rate and gradient_clip.
    weight_decay : float
        Of the training.
    """

    filter_name: str
    loss: str | None
    model: Mapping[str, Any]
    seed: int
    state_size: int
    sigma_v: float
    sigma_y: float
    ensemble_size: int
    trajectories: int
    cycles: int
    training: Mapping[str, Any]
    weight_decay: float

    def experiment(self, split: str) -> Experiment:
        """Return the experiment, the same but for its process noise, which has a stream for each split."""
        rng = numpy_generator(self.seed, NAME, "transition")
        generator = torch_generator(self.seed, NAME, "process noise", split)
        system = LinearGaussian(self.state_size, self.sigma_v, rng, generator)
        observation = make_observation({"every": 2}, self.state_size)
        return Experiment(NAME, system.title, system, observation, steps_per_cycle=1, bound=20.0)


class PriorWindows(Windows):
    """Windows that start from draws of N(0, I), instead of about their truths."""

    def first_ensemble(self, batch: Batch, which: Tensor) -> None:
        """Draw ensembles for the slots `which` (B,)."""
        slots = upload(which.nonzero().squeeze(-1), self.truth.device)
        batch.ensemble[slots] = self.normal(len(slots), *batch.ensemble.shape[1:])


def run_linear_gaussian(run: LinearRun) -> xr.Dataset:
    """Compare a filter with the exact one over the test trajectories.

    Parameters
    ----------
    run : LinearRun

    Returns
    -------
    Dataset
        wasserstein (trajectory, cycle), the distance from the exact posterior; error_norm (trajectory, cycle), that of
        the mean from the truth; prior_distance (trajectory, cycle), the distance of N(0, I), forecast without
        observations; and diverged_at (trajectory), the first cycle from which on the run is farther away than that
        until the end, -1 for never.
    """
    experiment, stream = run.experiment("test"), partial(numpy_generator, run.seed, NAME, "test")
    size = (run.trajectories, run.cycles, run.ensemble_size)
    _, observations, truth = (t.numpy() for t in simulate_twin(experiment, run.sigma_y, size, stream))
    exact = kalman_filter(experiment, observations, run.sigma_y)
    variances = 1 + run.sigma_v**2 * np.arange(1, run.cycles + 1)
    prior = wasserstein_2(np.zeros_like(exact[0]), variances[:, None, None] * np.eye(run.state_size), *exact)
    if run.filter_name == SAMPLING:
        mean, covariance = _sample(*exact, run)
    else:
        mean, covariance = _filtered(run, experiment, observations, truth)
    distance = wasserstein_2(mean, covariance, *exact)
    return _as_dataset(distance, np.linalg.norm(mean - truth, axis=-1), prior).assign_attrs(
        filter=run.filter_name, loss=run.loss or "none", weight_decay=run.weight_decay
    )


def _filtered(run: LinearRun, experiment: Experiment, observations: np.ndarray, truth: np.ndarray) -> Moments:
    """Return the moments of the analysis ensembles; not finite from divergence on."""
    filter_ = EnKF(run.sigma_y) if run.filter_name == CLASSICAL or run.loss is None else _train(run, run.loss)
    rng = numpy_generator(run.seed, NAME, "test", "first_ensemble")
    first = rng.standard_normal((run.trajectories, run.ensemble_size, run.state_size))
    data = [torch.from_numpy(values).float().to(default_device()) for values in (first, observations, truth)]
    seen = []

    def keep(_: int, result: CycleResult, __: Tensor) -> None:
        seen.append(ensemble_gaussian(result.analysis.cpu().double().numpy()))

    record = run_on_twin(filter_, experiment, data, seed=run.seed, stream=NAME, on_cycle=keep)
    mean, covariance = (np.stack(part, 1) for part in zip(*seen, strict=True))
    lost = record.diverged_at.numpy()[:, None]
    mean[(lost >= 0) & (np.arange(run.cycles) >= lost)] = np.nan
    return mean, covariance


def _train(run: LinearRun, loss: str) -> Filter:
    """Train MNMEF from random weights."""
    experiment = run.experiment("train")
    filter_ = initial_filter(experiment, run.sigma_y, run.model, run.seed).to(default_device())
    given = {key: value for key, value in run.training.items() if key != "windows"}
    given |= {"ensemble_size": run.ensemble_size, "weight_decay": run.weight_decay, "seed": run.seed}
    options = TrainingOptions(**given, loss=loss)
    rng = numpy_generator(run.seed, NAME, "train", "truth")
    truths = simulate_truth(experiment, run.training["windows"], options.window_cycles, rng)
    trainer = Trainer(filter_, torch.from_numpy(truths), options, PriorWindows)
    title = f"train {loss}, weight decay {run.weight_decay}"
    for _ in tqdm(range(options.steps), desc=title, unit="step", mininterval=5):
        trainer.optimizer_step()
    return filter_


def _sample(means: np.ndarray, covariances: np.ndarray, run: LinearRun) -> Moments:
    """Return the moments of independent draws from each posterior."""
    rng, roots = numpy_generator(run.seed, NAME, SAMPLING), np.linalg.cholesky(covariances)
    # One trajectory at a time, to hold few draws in memory.
    draws = (rng.standard_normal((run.cycles, run.ensemble_size, run.state_size)) for _ in means)
    parts = [ensemble_gaussian(m[:, None] + d @ roots.swapaxes(-1, -2)) for m, d in zip(means, draws, strict=True)]
    mean, covariance = (np.stack(part) for part in zip(*parts, strict=True))
    return mean, covariance


def _as_dataset(distance: np.ndarray, error: np.ndarray, prior: np.ndarray) -> xr.Dataset:
    """Return the dataset of a run from distances, errors and distances of the prior (T, K)."""
    # From the last cycle backwards: how long the run has been outside without a break.
    outside = np.logical_and.accumulate((distance > prior)[:, ::-1], 1)[:, ::-1]
    dims = ("trajectory", "cycle")
    gaussian = "2-Wasserstein distance of the ensemble's Gaussian from the exact posterior"
    forecast = "2-Wasserstein distance of the forecast without observations from the posterior"
    since = "first cycle index from which on the run is farther from the posterior than the prior, -1 for never"
    return xr.Dataset(
        {
            "wasserstein": variable(dims, distance, gaussian),
            "prior_distance": variable(dims, prior, forecast),
            "error_norm": variable(dims, error, "Euclidean norm of ensemble mean minus truth"),
            "diverged_at": variable("trajectory", np.where(outside.any(1), outside.argmax(1), -1), since, None),
        },
        coords={"cycle": variable("cycle", np.arange(1, distance.shape[1] + 1), "assimilation cycle", None)},
        attrs={"experiment": NAME},
    )
