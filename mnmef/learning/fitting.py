"""From settings of the config to trained and fine-tuned filters."""

from dataclasses import dataclass, fields, replace
from pathlib import Path

import pandas as pd
import torch
import xarray as xr
from torch import Tensor

from mnmef.config.settings import PACE, Settings
from mnmef.core.devices import default_device
from mnmef.core.hardware import hardware_name
from mnmef.experiments.experiment import Experiment
from mnmef.experiments.load import experiment_of
from mnmef.filters.learned import FIRST_OPTIONS, LearnedFilter, begin_with, initial_filter, make_learned
from mnmef.filters.mnmef_local import MnmefLocal
from mnmef.learning.checkpoints import load_checkpoint, read_card, save_checkpoint
from mnmef.learning.options import TrainingOptions
from mnmef.learning.training import train


@dataclass(frozen=True)
class Recipe:
    """Settings of a training.

    Parameters
    ----------
    filter_name : str
        The learned filter.
    model : mapping
        Options of its network.
    training : mapping
        The config's section, merged for the experiment.
    window_cycles : int
        Cycles of a window.
    seed : int
        Root of the random streams.
    resume_folder : Path
        Where the state of an interrupted training is kept.
    finetuning : mapping or None
        The config's section, for a fine-tuning.
    """

    filter_name: str
    model: Settings
    training: Settings
    window_cycles: int
    seed: int
    resume_folder: Path
    finetuning: Settings | None = None

    @classmethod
    def from_settings(cls, settings: Settings, pace: Settings) -> "Recipe":
        """Make a recipe of `mnmef.config.settings.training_settings` and more, with the keys `PACE` of `pace`."""
        return cls(**{**settings, "training": {**settings["training"], **{key: pace[key] for key in PACE}}})


def training_data(truths: xr.Dataset) -> Tensor | tuple[Tensor, Tensor]:
    """Return the truths (W, L + 1, Nx) of a training split, with their observations (W, L + 1, d) if these are
    stored.
    """
    truth = torch.from_numpy(truths["truth"].values)
    return (truth, torch.from_numpy(truths["observation"].values)) if "observation" in truths else truth


def pretraining_options(training: Settings, windows: int, window_cycles: int, seed: int) -> TrainingOptions:
    """Return the options of a pretraining on `windows` truths from the config's section `training`."""
    given = {field.name: training[field.name] for field in fields(TrainingOptions) if field.name in training}
    if training["schedule"] == "window":
        given["steps"] = training["epochs"] * max(1, windows // training["batch"])
    given["other_sizes"] = tuple(training["other_sizes"])
    if training.get("noise_range"):
        given["noise_range"] = tuple(training["noise_range"])
    return TrainingOptions(**given, window_cycles=window_cycles, seed=seed)


def finetuning_options(
    training: Settings, finetuning: Settings, ensemble_size: int, windows: int, window_cycles: int, seed: int
) -> TrainingOptions:
    """Return the options of a fine-tuning at N = `ensemble_size`: heads only, its own rate, a smaller batch."""
    divisor = {int(n): d for n, d in finetuning["batch_divisor"].items()}.get(ensemble_size, 1)
    own, batch = {key: finetuning[key] for key in ("epochs", "steps", "decay")}, max(1, training["batch"] // divisor)
    options = pretraining_options({**training, **own, "batch": batch}, windows, window_cycles, seed)
    rate = training["learning_rate"] * finetuning["learning_rate_factor"]
    return replace(options, ensemble_size=ensemble_size, other_sizes=(), learning_rate=rate, heads_only=True)


def starting_weights(start: Path, experiment: Experiment, name: str, model: Settings) -> LearnedFilter:
    """Make a filter with the weights that a training begins with: of the same filter and `model`, at any noise level.

    The reach of `mnmef_local` may have been shorter, and its passes fewer or more.

    Raises
    ------
    ValueError
        If they are of another filter, or of an experiment that differs by more than constants of its system.
    """
    free = {*FIRST_OPTIONS, "reach", "passes", "square_root"} if name == MnmefLocal.name else FIRST_OPTIONS
    begun = load_checkpoint(start, name=name, model={key: value for key, value in model.items() if key not in free})
    difference = begun.experiment.difference(experiment)
    if difference:
        raise ValueError(f"checkpoint {start} was trained with experiment = {difference}: it is no start here")
    filter_ = make_learned(name, experiment, float(begun.sigma_y), model)
    begin_with(filter_, begun)
    return filter_


def pretrain(
    truths: xr.Dataset, sigma_y: float, recipe: Recipe, weights: Path, start: Path | None = None
) -> pd.DataFrame:
    """Train a filter and write its checkpoint.

    Parameters
    ----------
    truths : Dataset
        The training split.
    sigma_y : float
        Standard deviation of the observation noise, state units.
    recipe : Recipe
        Settings.
    weights : Path
        Where to write the checkpoint.
    start : Path or None
        A checkpoint to begin with instead of random weights, see `starting_weights`.

    Returns
    -------
    DataFrame
        The training curve.

    Raises
    ------
    ValueError
        If `start` does not fit.
    """
    experiment, name = experiment_of(truths), recipe.filter_name
    filter_ = initial_filter(experiment, sigma_y, recipe.model, recipe.seed, name=name)
    origin = {}
    if start is not None:
        filter_.load_state_dict(starting_weights(start, experiment, name, recipe.model).state_dict())
        origin = {"start": {key: read_card(start)[key] for key in ("experiment", "sigma_y", "seconds", "commit")}}
    options = pretraining_options(recipe.training, truths.sizes["window"], recipe.window_cycles, recipe.seed)
    return _train(filter_, truths, options, recipe, weights, origin)


def finetune(
    truths: xr.Dataset, sigma_y: float, ensemble_size: int, recipe: Recipe, *, pretrained: Path, weights: Path
) -> pd.DataFrame:
    """Fine-tune the heads of a pretrained filter at one ensemble size and write its checkpoint.

    Parameters
    ----------
    truths : Dataset
        The training split.
    sigma_y : float
        Standard deviation of the observation noise, state units.
    ensemble_size : int
        Number of members N.
    recipe : Recipe
        Settings, those of the fine-tuning included.
    pretrained : Path
        The checkpoint to begin with.
    weights : Path
        Where to write the checkpoint.

    Returns
    -------
    DataFrame
        The training curve.

    Raises
    ------
    ValueError
        For a recipe without the section on fine-tuning, or a checkpoint of something else.
    """
    if recipe.finetuning is None:
        raise ValueError("a fine-tuning needs the config's section `finetuning`")
    name, experiment = recipe.filter_name, truths.attrs["experiment"]
    filter_ = load_checkpoint(pretrained, name=name, experiment=experiment, sigma_y=sigma_y, model=recipe.model)
    size = (ensemble_size, truths.sizes["window"], recipe.window_cycles)
    options = finetuning_options(recipe.training, recipe.finetuning, *size, recipe.seed)
    return _train(filter_, truths, options, recipe, weights, {})


def _train(
    filter_: LearnedFilter, truths: xr.Dataset, options: TrainingOptions, recipe: Recipe, weights: Path, card: Settings
) -> pd.DataFrame:
    """Train a filter, write its checkpoint and return the curve; its `card` gets the seconds of all pieces."""
    task = f"fine-tune N={options.ensemble_size}" if options.heads_only else "train"
    entries = {
        "training": vars(options),
        "windows": truths.sizes["window"],
        "hardware": hardware_name(default_device()),
    }

    def finish(curve: pd.DataFrame) -> None:
        save_checkpoint(filter_, weights, {**entries, "seconds": float(curve["seconds"].iloc[-1]), **card})

    return train(
        filter_.to(default_device()),
        training_data(truths),
        options,
        resume_folder=recipe.resume_folder,
        **{key: recipe.training[key] for key in PACE},
        label=f"{task} {filter_.name} {filter_.experiment.name} {filter_.sigma_y}",
        finish=finish,
    )
