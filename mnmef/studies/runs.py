"""Truths, observations and runs of filters, as most studies need them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from mnmef.assimilation.cycling import CycleRecord, OnCycle, in_turn, noise_source, run_filter
from mnmef.data.twin import simulate_truth
from mnmef.experiments.experiment import Experiment
from mnmef.filters.base import Filter

Stream = Callable[[str], np.random.Generator]
TwinData = Sequence[Tensor]
"""First ensemble (T, N, Nx), observations (T, K, d) and truth (T, K, Nx)."""


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


def run_on_twin(
    filter_: Filter,
    experiment: Experiment,
    data: TwinData,
    *,
    seed: int,
    stream: str,
    title: str | None = None,
    on_cycle: OnCycle | None = None,
) -> CycleRecord:
    """Run a filter on the data of a twin experiment, without gradients.

    Parameters
    ----------
    filter_ : Filter
    experiment : Experiment
        Forecast model and observation operator.
    data : sequence of Tensor
        First ensemble (T, N, Nx), observations (T, K, d) and truth (T, K, Nx).
    seed : int
        Root of the perturbations of observations.
    stream : str
        Label of their random stream.
    title : str or None
        Text beside the progress bar; no bar by default.
    on_cycle : callable or None
        Called after each cycle, as by `mnmef.assimilation.cycling.run_filter`.

    Returns
    -------
    CycleRecord
        Scores of every trajectory and cycle.
    """
    first, observations, truth = data
    shape = (*first.shape[:2], experiment.observation_size)
    draw = noise_source(seed, stream, first.shape[1], shape)
    bar = tqdm(total=truth.shape[1], desc=title, unit="cycle", mininterval=5, disable=title is None)
    with torch.no_grad(), bar:
        callbacks = in_turn(*([on_cycle] if on_cycle else []), lambda *_: bar.update())
        return run_filter(filter_, experiment, first, observations, truth, draw, on_cycle=callbacks)


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
        Return the generator of `truth`, of `observation` and of `first_ensemble`.
    dtype : type
        Precision of the draws and of what is returned.

    Returns
    -------
    tuple of Tensor
        First ensemble (T, N, Nx) one cycle before the first observation, observations (T, K, d) and truth (T, K, Nx).
    """
    trajectories, cycles, members = size
    states: np.ndarray = simulate_truth(experiment, trajectories, cycles, stream("truth")).astype(dtype, copy=False)
    shape = (trajectories, cycles, experiment.observation_size)
    noise = stream("observation").standard_normal(shape, dtype=dtype)
    observations = states[:, 1:][..., list(experiment.observed)] + sigma_y * noise
    shape = (trajectories, members, experiment.state_size)
    anomalies = stream("first_ensemble").standard_normal(shape, dtype=dtype)
    first = states[:, :1] + experiment.first_spread * anomalies
    return torch.from_numpy(first), torch.from_numpy(observations), torch.from_numpy(states[:, 1:])
