"""Figure 11: R-RMSE along a fine-tuning, of the heads alone or of all parameters.

The learning rate is constant, as in the paper, whose halvings begin at epoch 200: a score at any epoch is that of a
fine-tuning that ends there, whatever comes later. Scores are of the test split, as in the paper, and decide nothing:
the filters of all other figures are those of the rule `finetune_filter`.

An epoch of schedule `cycle` is the share of a fine-tuning's optimizer steps that falls to each of its epochs in the
config: epoch 20 is where the fine-tuning of the other figures ends, whatever its length.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import xarray as xr
from tqdm import tqdm

from mnmef.assimilation.metrics import relative_rmse
from mnmef.assimilation.twin import run_on_twin
from mnmef.core.devices import default_device
from mnmef.data.twin import load_trial
from mnmef.filters.learned import LearnedFilter
from mnmef.learning.checkpoints import load_checkpoint
from mnmef.learning.fitting import finetuning_options, training_data
from mnmef.learning.trainer import Trainer

HALVED_FROM = 0.2
"""Fraction of a run at which the decay `halve` first acts: runs here end before."""


@dataclass(frozen=True)
class ScoredFinetuning:
    """A fine-tuning that is scored along the way.

    Parameters
    ----------
    sigma_y : float
        Noise level, state units.
    ensemble_size : int
        Number of members N.
    parameters : str
        Tuned parameters: `heads` or `all`.
    pretrained : Path
        Checkpoint that it starts from.
    filter_name : str
        The learned filter.
    model, training, finetuning : mapping
        Sections of the config.
    window_cycles : int
        Cycles of a training window.
    epochs : sequence of int
        Epochs at which it is scored.
    cycles : int
        Cycles of the test trajectories, from the first one on.
    seed : int
        Root of the random streams.
    """

    sigma_y: float
    ensemble_size: int
    parameters: str
    pretrained: Path
    filter_name: str
    model: Mapping[str, Any]
    training: Mapping[str, Any]
    finetuning: Mapping[str, Any]
    window_cycles: int
    epochs: Sequence[int]
    cycles: int
    seed: int


def finetuning_scores(truths: xr.Dataset, test: xr.Dataset, study: ScoredFinetuning) -> pd.DataFrame:
    """Fine-tune a filter and score it on the test trajectories at some epochs.

    Parameters
    ----------
    truths, test : Dataset
        Training and test split of one experiment.
    study : ScoredFinetuning

    Returns
    -------
    DataFrame
        Columns: experiment, sigma_y, ensemble_size, parameters, epoch, step, trajectory, and rrmse, R-RMSE of the
        trajectory (NaN where it diverged).
    """
    cell = {"experiment": truths.attrs["experiment"], "sigma_y": study.sigma_y}
    load = partial(load_checkpoint, name=study.filter_name, model=study.model)
    filter_ = load(study.pretrained, **cell).to(default_device())
    trainer, steps = _trainer(filter_, truths, study)
    trial = load_trial(test, study.sigma_y, study.ensemble_size, torch.float32, cycles=study.cycles)
    data = [part.to(default_device()) for part in trial]
    cell |= {"ensemble_size": study.ensemble_size, "parameters": study.parameters}
    title = "{experiment} {sigma_y} N={ensemble_size} {parameters}".format(**cell)
    parts = []
    with tqdm(total=max(steps.values()), desc=title, unit="step", mininterval=5) as bar:
        for epoch, step in sorted(steps.items()):
            while trainer.step_number < step:
                trainer.optimizer_step()
                bar.update()
            # The analysis noise is the same at every epoch and for both choices of parameters.
            record = run_on_twin(filter_, filter_.experiment, data, seed=study.seed, stream="figure_11")
            rrmse = relative_rmse(record.error_norm.numpy(), record.truth_norm.numpy())
            scores = {"epoch": epoch, "step": step, "trajectory": range(len(rrmse)), "rrmse": rrmse}
            parts.append(pd.DataFrame({**cell, **scores}))
    return pd.concat(parts, ignore_index=True)


def _trainer(filter_: LearnedFilter, truths: xr.Dataset, study: ScoredFinetuning) -> tuple[Trainer, dict[int, int]]:
    """Return the trainer, its learning rate constant, and the optimizer step of each epoch."""
    options = finetuning_options(
        study.training, study.finetuning, study.ensemble_size, truths.sizes["window"], study.window_cycles, study.seed
    )
    steps = {epoch: round(epoch * options.steps / study.finetuning["epochs"]) for epoch in study.epochs}
    # So long a run that its first halving comes after the last step.
    length = max(1, int(max(steps.values()) / HALVED_FROM) + 1)
    options = replace(options, heads_only=study.parameters == "heads", decay="halve", steps=length)
    return Trainer(filter_, training_data(truths), options), steps
