"""Runs of filters on the data of twin experiments, with a progress bar."""

from collections.abc import Sequence

import torch
from torch import Tensor
from tqdm import tqdm

from mnmef.assimilation.cycling import CycleRecord, OnCycle, in_turn, noise_source, run_filter
from mnmef.experiments.experiment import Experiment
from mnmef.filters.base import Filter

TwinData = Sequence[Tensor]
"""First ensemble (T, N, Nx), observations (T, K, d) and truth (T, K, Nx)."""


def run_on_twin(
    filter_: Filter,
    experiment: Experiment,
    data: TwinData,
    *,
    seed: int,
    stream: str,
    title: str | None = None,
    traced: int = 0,
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
        Root of the perturbations of observations, and of what is random in the dynamics.
    stream : str
        Label of their random streams.
    title : str or None
        Text beside the progress bar; no bar by default.
    traced, on_cycle : int, OnCycle or None
        As of `mnmef.assimilation.cycling.run_filter`.

    Returns
    -------
    CycleRecord
        Scores of every trajectory and cycle.
    """
    first, observations, truth = data
    # Of a batch of settings (S, T, N, Nx), all see the same perturbations.
    trajectories, members = first.shape[-3:-1]
    draw = noise_source(seed, stream, members, (trajectories, members, experiment.observation_size))
    bar = tqdm(total=truth.shape[1], desc=title, unit="cycle", mininterval=5, disable=title is None)
    with torch.no_grad(), bar:
        watch = in_turn(*([on_cycle] if on_cycle else []), lambda *_: bar.update())
        experiment = experiment.with_seed(seed, stream, first.shape[1])
        return run_filter(filter_, experiment, first, observations, truth, draw, traced=traced, on_cycle=watch)
