"""Figure 11: R-RMSE along a fine-tuning, of the heads alone or of all parameters.

The learning rate is constant, as in the paper, whose halvings begin at epoch 200: a score at any epoch is that of a
fine-tuning that ends there, whatever comes later. Scores are of the test split, as in the paper, and decide nothing:
the filters of all other figures are those of the rule `finetune_filter`.

An epoch of schedule `cycle` is the share of a fine-tuning's optimizer steps that falls to each of its epochs in the
config: epoch 20 is where the fine-tuning of the other figures ends, whatever its length.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr
from tqdm import tqdm

from mnmef.assimilation.cycling import noise_source, run_filter
from mnmef.assimilation.metrics import relative_rmse
from mnmef.core.devices import default_device
from mnmef.data.twin import load_trial
from mnmef.filters.learned import LearnedFilter
from mnmef.learning.checkpoints import load_checkpoint
from mnmef.learning.fitting import finetuning_options
from mnmef.learning.trainer import Trainer

STRATEGIES = ("heads", "all")
"""Which parameters are tuned."""
HALVED_FROM = 0.2
"""Fraction of a run at which the decay `halve` first acts: runs here end before."""


def tuning_curve(
    truths: xr.Dataset,
    test: xr.Dataset,
    sigma_y: float,
    ensemble_size: int,
    *,
    parameters: str,
    pretrained: Path,
    filter_name: str,
    model: Mapping[str, Any],
    training: Mapping[str, Any],
    finetuning: Mapping[str, Any],
    window_cycles: int,
    epochs: Sequence[int],
    cycles: int,
    seed: int,
) -> pd.DataFrame:
    """R-RMSE of each test trajectory at each of `epochs` of a fine-tuning at N = `ensemble_size`.

    truths, test: training and test split. parameters: `heads` or `all`. pretrained: the checkpoint that it starts from.
    cycles: of the test trajectories, from the first. training, finetuning: sections of the config.
    Columns: system, sigma_y, ensemble_size, parameters, epoch, step, trajectory, rrmse (NaN where it diverged).
    """
    system = truths.attrs["system"]
    filter_ = load_checkpoint(pretrained, name=filter_name, system=system, sigma_y=sigma_y, model=model)
    filter_ = filter_.to(default_device())
    options = finetuning_options(training, finetuning, ensemble_size, truths.sizes["window"], window_cycles, seed)
    steps = {epoch: round(epoch * options.steps / finetuning["epochs"]) for epoch in epochs}
    last = max(steps.values())
    # So long a run that its first halving comes after the last step.
    options = replace(
        options, heads_only=parameters == "heads", decay="halve", steps=max(1, int(last / HALVED_FROM) + 1)
    )
    trainer = Trainer(filter_, torch.from_numpy(truths["truth"].values), options)
    parts = []
    with tqdm(total=last, desc=f"{system} {sigma_y} N={ensemble_size} {parameters}", unit="step", mininterval=5) as bar:
        for epoch, step in sorted(steps.items()):
            while trainer.step_number < step:
                trainer.optimizer_step()
                bar.update()
            rrmse = _score(filter_, test, sigma_y, ensemble_size, cycles, seed)
            parts.append(pd.DataFrame({"epoch": epoch, "step": step, "trajectory": range(len(rrmse)), "rrmse": rrmse}))
    cell = {"system": system, "sigma_y": sigma_y, "ensemble_size": ensemble_size, "parameters": parameters}
    table = pd.concat(parts, ignore_index=True).assign(**cell)
    return table[[*cell, "epoch", "step", "trajectory", "rrmse"]]


def _score(
    filter_: LearnedFilter, test: xr.Dataset, sigma_y: float, members: int, cycles: int, seed: int
) -> np.ndarray:
    """R-RMSE (T,) without burn-in; the same analysis noise at every epoch and for both strategies."""
    trial = load_trial(test, sigma_y, members, torch.float32, cycles=cycles)
    first, observations, truth = (part.to(default_device()) for part in trial)
    draw = noise_source(seed, "figure_11", members, (len(first), members, filter_.system.observation_size))
    with torch.no_grad():
        record = run_filter(filter_, filter_.system, first, observations, truth, draw)
    return relative_rmse(record.error_norm.numpy(), record.truth_norm.numpy())
