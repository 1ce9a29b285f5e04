"""Truths, observations and runs of filters, as most studies need them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from mnmef.data.twin import simulate_truth
from mnmef.experiments.experiment import Experiment
from mnmef.filters.base import Filter


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


def simulate_observed(
    experiment: Experiment,
    sigma_y: float,
    size: tuple[int, int],
    stream: Callable[[str], np.random.Generator],
    dtype: type = np.float64,
) -> tuple[np.ndarray, np.ndarray]:
    """Simulate truths and observe them.

    Parameters
    ----------
    experiment : Experiment
    sigma_y : float
        Standard deviation of the observation noise, in state units.
    size : tuple of int
        Numbers T of trajectories and K of cycles.
    stream : callable
        Return the generator of `truth` and of `observation`.
    dtype : type
        Precision of the noise and of what is returned.

    Returns
    -------
    states : array (T, K + 1, Nx)
        The first one lies one cycle before the first observation.
    observations : array (T, K, d)
    """
    states: np.ndarray = simulate_truth(experiment, *size, stream("truth")).astype(dtype, copy=False)
    draws = stream("observation").standard_normal((*size, experiment.observation_size), dtype=dtype)
    return states, states[:, 1:][..., list(experiment.observed)] + sigma_y * draws
