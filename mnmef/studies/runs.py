"""Truths, observations and runs of filters, as most studies need them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mnmef.data.twin import simulate_truth
from mnmef.experiments.experiment import Experiment
from mnmef.filters.base import Filter

Stream = Callable[[str], np.random.Generator]


@dataclass(frozen=True)
class Candidate:
    """A filter under study.

    Parameters
    ----------
    name : str
        In tables.
    make : callable
        Return the filter for what the study varies: a noise level or an experiment.
    dtype : dtype
        Precision of its ensembles.
    device : device
        Where it runs.
    """

    name: str
    make: Callable[..., Filter]
    dtype: torch.dtype = torch.float32
    device: torch.device | str = "cpu"


def simulate_twin(
    experiment: Experiment, sigma_y: float, size: tuple[int, int, int], stream: Stream, dtype: type = np.float64
) -> tuple[Tensor, Tensor, Tensor]:
    """Simulate truths, observe them, and draw first ensembles about their starts.

    Parameters
    ----------
    experiment : Experiment
    sigma_y : float
        Standard deviation of the observation noise, in state units.
    size : tuple of int
        Numbers T of trajectories, K of cycles and N of members.
    stream : callable
        Return the generator of `truth`, of `observation`, of what is `missing` and of `first_ensemble`.
    dtype : type
        Precision of the draws and of what is returned.

    Returns
    -------
    tuple of Tensor
        First ensemble (T, N, Nx) one cycle before the first observation, observations (T, K, d), NaN where missing, and
        truth (T, K, Nx).
    """
    trajectories, cycles, members = size
    truths: np.ndarray = simulate_truth(experiment.of_truth(), trajectories, cycles, stream("truth"))
    states: np.ndarray = truths[..., : experiment.state_size].astype(dtype, copy=False)
    shape = (trajectories, cycles, experiment.observation_size)
    noise = stream("observation").standard_normal(shape, dtype=dtype)
    observations = experiment.observation.simulate(states[:, 1:], [sigma_y], noise, stream("missing"))[0]
    shape = (trajectories, members, experiment.state_size)
    anomalies = stream("first_ensemble").standard_normal(shape, dtype=dtype)
    first = states[:, :1] + experiment.first_spread * anomalies
    return torch.from_numpy(first), torch.from_numpy(observations), torch.from_numpy(states[:, 1:])
