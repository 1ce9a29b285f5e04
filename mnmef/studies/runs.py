"""Truths, observations and runs of filters, as most studies need them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from mnmef.assimilation.cycling import CycleRecord, in_turn, noise_source, run_filter
from mnmef.data.twin import simulate_truth
from mnmef.experiments.experiment import Experiment
from mnmef.filters.base import CycleResult, Filter

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
    on_cycle: Callable[[int, CycleResult, Tensor], None] | None = None,
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
        callbacks = [callback for callback in (on_cycle, lambda *_: bar.update()) if callback is not None]
        return run_filter(filter_, experiment, first, observations, truth, draw, on_cycle=in_turn(*callbacks))


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
        Return the generator of `truth`, of `observation` and of what is `missing`.
    dtype : type
        Precision of the noise and of what is returned.

    Returns
    -------
    states : array (T, K + 1, Nx)
        The first one lies one cycle before the first observation.
    observations : array (T, K, d)
        NaN where missing.
    """
    states: np.ndarray = simulate_truth(experiment, *size, stream("truth")).astype(dtype, copy=False)
    draws = stream("observation").standard_normal((*size, experiment.observation_size), dtype=dtype)
    return states, experiment.observation.simulate(states[:, 1:], [sigma_y], draws, stream("missing"))[0]
