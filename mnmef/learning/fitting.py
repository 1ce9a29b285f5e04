"""From settings of the config to trained and fine-tuned filters."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import xarray as xr

from mnmef.config.settings import PACE
from mnmef.core.devices import default_device
from mnmef.core.hardware import hardware_name
from mnmef.filters.learned import LearnedFilter
from mnmef.learning.checkpoints import load_checkpoint, read_card, save_checkpoint
from mnmef.learning.trainer import TrainingOptions, initial_filter, train
from mnmef.systems import make_system

Settings = Mapping[str, Any]


def pretraining_options(training: Settings, windows: int, window_cycles: int, seed: int) -> TrainingOptions:
    """The options of a pretraining from the config's `training` section, its per-system values already picked."""
    batch = training["batch"]
    window_steps = training["epochs"] * max(1, windows // batch)
    return TrainingOptions(
        ensemble_size=training["ensemble_size"],
        steps=window_steps if training["schedule"] == "window" else training["steps"],
        window_cycles=window_cycles,
        batch=batch,
        learning_rate=training["learning_rate"],
        schedule=training["schedule"],
        loss=training["loss"],
        optimizer=training["optimizer"],
        other_sizes=tuple(training["other_sizes"]),
        decay=training["decay"],
        weight_decay=training["weight_decay"],
        gradient_clip=training["gradient_clip"],
        chunks=training["chunks"],
        misplaced=training["misplaced"],
        seed=seed,
    )


def finetuning_options(
    training: Settings, finetuning: Settings, ensemble_size: int, windows: int, window_cycles: int, seed: int
) -> TrainingOptions:
    """The options of a fine-tuning at N = `ensemble_size`: heads only, smaller learning rate, smaller batch for large
    N.
    """
    divisor = {int(n): d for n, d in finetuning["batch_divisor"].items()}.get(ensemble_size, 1)
    merged = {
        **training,
        "ensemble_size": ensemble_size,
        "other_sizes": [],
        "epochs": finetuning["epochs"],
        "steps": finetuning["steps"],
        "batch": max(1, training["batch"] // divisor),
        "learning_rate": training["learning_rate"] * finetuning["learning_rate_factor"],
    }
    options = pretraining_options(merged, windows, window_cycles, seed)
    return TrainingOptions(**{**vars(options), "heads_only": True})


def load_start(start: Path, filter_name: str, system: str, model: Settings) -> LearnedFilter:
    """The filter at `start` to begin a training with, of whatever noise level; otherwise as `load_checkpoint`."""
    return load_checkpoint(start, name=filter_name, system=system, sigma_y=read_card(start)["sigma_y"], model=model)


def pretrain(
    truths: xr.Dataset,
    sigma_y: float,
    *,
    filter_name: str,
    model: Settings,
    training: Settings,
    window_cycles: int,
    seed: int,
    weights: Path,
    resume_folder: Path,
    start: Path | None = None,
) -> pd.DataFrame:
    """Train the filter `filter_name` on the training split `truths`, write its checkpoint to `weights`, return the
    curve.

    start: a checkpoint of the same filter and system, at any noise level, to begin with instead of random weights.
    Raises `ValueError` for one of another filter or system.
    """
    system = make_system(truths.attrs["system"])
    options = pretraining_options(training, truths.sizes["window"], window_cycles, seed)
    filter_ = initial_filter(system, sigma_y, model, seed, name=filter_name).to(default_device())
    origin = {}
    if start is not None:
        filter_.load_state_dict(load_start(start, filter_name, system.name, model).state_dict())
        card = read_card(start)
        origin = {"start": {key: card[key] for key in ("sigma_y", "seconds", "commit")}}
    curve = train(
        filter_,
        torch.from_numpy(truths["truth"].values),
        options,
        resume_folder=resume_folder,
        **{key: training[key] for key in PACE if key in training},
        label=f"train {filter_name} {system.name} {sigma_y}",
    )
    save_checkpoint(filter_, weights, **_card(options, truths, curve), **origin)
    return curve


def finetune(
    truths: xr.Dataset,
    sigma_y: float,
    ensemble_size: int,
    *,
    pretrained: Path,
    filter_name: str,
    model: Settings,
    training: Settings,
    finetuning: Settings,
    window_cycles: int,
    seed: int,
    weights: Path,
    resume_folder: Path,
) -> pd.DataFrame:
    """Fine-tune the heads of the checkpoint `pretrained` at N = `ensemble_size`, write to `weights`, return the
    curve.
    """
    system = truths.attrs["system"]
    filter_ = load_checkpoint(pretrained, name=filter_name, system=system, sigma_y=sigma_y, model=model).to(
        default_device()
    )
    options = finetuning_options(training, finetuning, ensemble_size, truths.sizes["window"], window_cycles, seed)
    curve = train(
        filter_,
        torch.from_numpy(truths["truth"].values),
        options,
        resume_folder=resume_folder,
        **{key: training[key] for key in PACE if key in training},
        label=f"fine-tune {system} {sigma_y} N={ensemble_size}",
    )
    save_checkpoint(filter_, weights, **_card(options, truths, curve))
    return curve


def _card(options: TrainingOptions, truths: xr.Dataset, curve: pd.DataFrame) -> dict[str, Any]:
    """What a checkpoint's card says of its training; seconds are all of its pieces', hardware the last one's."""
    return {
        "training": vars(options),
        "windows": truths.sizes["window"],
        "seconds": float(curve["seconds"].iloc[-1]),
        "hardware": hardware_name(default_device()),
    }
