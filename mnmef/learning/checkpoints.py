"""Weights on disk: safetensors with a card that says what they are. Loading is strict."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from mnmef.core.errors import unknown_name
from mnmef.experiments.load import load_experiment
from mnmef.filters.learned import NETWORKS, LearnedFilter, make_learned
from mnmef.io.files import package_versions, source_commit, write_atomically

INFERENCE_OPTIONS = ("inflation",)
"""Options that change what the filter does with its weights, not which weights it has."""

BASE = "mnmef_pretrained.safetensors"
"""Checkpoint that completes a file of heads. Cards written before it had this name say `pretrained.safetensors`."""

ENTRIES: Mapping[str, tuple[type, ...]] = {
    "filter": (str,),
    "experiment": (str,),
    "sigma_y": (float, int),
    "model": (dict,),
}
"""Keys of every card, and the types of their values."""

SERVED = ("system", "observation", "steps_per_cycle", "grid")
"""Keys of an experiment's description that weights are made for."""


def save_checkpoint(filter_: LearnedFilter, path: str | Path, card: Mapping[str, Any] | None = None) -> None:
    """Write the weights of a filter with their card, atomically.

    Parameters
    ----------
    filter_ : LearnedFilter
        Filter to save.
    path : str or Path
        Where to.
    card : mapping or None
        Further entries of the card, such as `training`. Filter, experiment, sigma_y, model options, commit and package
        versions are always in it.
    """
    described = {
        "filter": filter_.name,
        "experiment": filter_.experiment.name,
        "description": dict(filter_.experiment.description),
        "state_size": filter_.experiment.state_size,
        "sigma_y": filter_.sigma_y,
        "model": asdict(filter_.options),
        "commit": source_commit(),
        "versions": package_versions(),
        **(card or {}),
    }
    write_tensors(filter_.state_dict(), described, path)


def write_tensors(tensors: Mapping[str, torch.Tensor], card: Mapping[str, Any], path: str | Path) -> None:
    """Write named tensors with their card, atomically."""
    stored = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    metadata = {"card": json.dumps(card, sort_keys=True)}
    write_atomically(path, lambda temporary: save_file(stored, temporary, metadata=metadata))


def read_tensors(path: str | Path) -> dict[str, torch.Tensor]:
    """Read the named tensors of a checkpoint to the CPU."""
    return load_file(path)


def read_card(path: str | Path) -> dict[str, Any]:
    """Read the card of a checkpoint.

    Parameters
    ----------
    path : str or Path
        The checkpoint.

    Returns
    -------
    dict
        Entries of `save_checkpoint`; of files shipped so far, with their present names.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is a folder, is truncated or was not written by `save_checkpoint`.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no checkpoint {path}")
    if path.is_dir():
        raise ValueError(f"{path} is a folder; a checkpoint is a file, such as {path / BASE}")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is not a readable safetensors file ({error}); it may be truncated") from error
    if "card" not in metadata:
        raise ValueError(f"{path} carries no card, so it is no checkpoint of this project")
    try:
        card = dict(json.loads(metadata["card"]))
    except (ValueError, TypeError):
        raise ValueError(f"the card of {path} must be a JSON mapping, not {metadata['card'][:60]!r}") from None
    if "system" in card:  # written before experiments had names of their own
        card["experiment"] = card.pop("system")
    for key, kinds in ENTRIES.items():
        if not isinstance(card.get(key), kinds):
            right = f"right is a value of type {kinds[0].__name__}"
            raise ValueError(f"the card of {path} has {key} = {card.get(key)!r}; {right}")
    return card


def load_checkpoint(
    path: str | Path,
    *,
    name: str | None = None,
    experiment: str | None = None,
    sigma_y: float | None = None,
    model: Mapping[str, Any] | None = None,
) -> LearnedFilter:
    """Load a trained filter, which must be the one that is asked for.

    A file that holds the heads alone takes the other weights from the file that its card names as `base`, in the same
    folder.

    Parameters
    ----------
    path : str or Path
        The checkpoint.
    name : str or None
        The filter that it must be of, such as `mnmef`. None: any, here and below.
    experiment : str or None
        The experiment that it must have been trained on.
    sigma_y : float or None
        The noise level that it must have been trained at, state units, or within whose range.
    model : mapping or None
        The options that its network must have. Options that only act at inference (`inflation`) are taken from here.

    Returns
    -------
    LearnedFilter
        On the CPU.

    Raises
    ------
    ValueError
        Naming the file, and the property that differs or is none, or the weights that are missing, not of this filter,
        of another shape or type, or not finite.
    """
    card, model = read_card(path), dict(model or {})
    at_inference = {key: model[key] for key in INFERENCE_OPTIONS if key in model}
    level = None if sigma_y is None or sigma_y == card["sigma_y"] else sigma_y
    asked = {"experiment": experiment, "filter": name, **_dotted(model), **_asked_level(card, level)}
    found = {**card, **_dotted(_first_options(card["filter"]) | card["model"] | at_inference)}
    _refuse_others(path, {key: value for key, value in asked.items() if value is not None}, found)
    tensors, base = read_tensors(path), _base_of(path, card)
    name, experiment, sigma_y, model = card["filter"], card["experiment"], card["sigma_y"], card["model"] | at_inference
    try:
        filter_ = make_learned(name, load_experiment(str(experiment)), float(card["sigma_y"]), model)
    except Exception as error:  # whatever sizes of a network lead to
        raise ValueError(f"checkpoint {path} describes no filter: {error}") from error
    _check_tensors(path, tensors, filter_.state_dict(), heads_only=base is not None)
    if base is not None:
        whole = load_checkpoint(base, name=name, experiment=experiment, sigma_y=sigma_y, model=model)
        tensors = whole.state_dict() | tensors
    filter_.load_state_dict(tensors)
    filter_.tuned_members = _tuned_members(card)
    return filter_ if level is None else filter_.at_noise(level)


def filter_served(path: str | Path, description: Mapping[str, Any], sigma_y: float | None = None) -> str:
    """Return the name of the filter of a checkpoint that must serve an experiment.

    Parameters
    ----------
    path : str or Path
        The checkpoint. Cards that are older than descriptions of experiments say their names alone.
    description : mapping
        Of the experiment.
    sigma_y : float or None
        Noise level, state units; any by default.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        Naming the file, and what differs: system, grid, pattern or interval of observations, noise level; or a filter
        that there is not.
    """
    card = read_card(path)
    if card["filter"] not in NETWORKS:
        raise ValueError(unknown_name(f"filter in the card of {path}", card["filter"], NETWORKS))
    asked = {"experiment": description["name"]} | _asked_level(card, sigma_y)
    found = {key: card[key] for key in asked}
    if "description" in card:
        asked, found = asked | _served(description), found | _served(card["description"])
    _refuse_others(path, dict.fromkeys(found) | asked, found)
    return str(card["filter"])


def served_levels(card: Mapping[str, Any]) -> tuple[float, float]:
    """Return the lowest and the highest noise level that weights serve, state units."""
    training, sigma_y = card.get("training"), float(card["sigma_y"])
    low, high = (training.get("noise_range") if isinstance(training, dict) else None) or (1.0, 1.0)
    return low * sigma_y, high * sigma_y


def _asked_level(card: Mapping[str, Any], sigma_y: float | None) -> dict[str, float]:
    """Return a noise level as what is asked of a checkpoint, unless it is within the range that its weights serve."""
    low, high = served_levels(card)
    return {} if sigma_y is None or low <= sigma_y <= high else {"sigma_y": sigma_y}


def _served(description: Mapping[str, Any]) -> dict[str, Any]:
    """Return what weights are made for by dotted keys, the user's files without their folders."""
    parts: dict[str, Any] = {}
    for key in SERVED:
        value = json.loads(json.dumps(description[key]))
        parts |= {f"{key}.{name}": each for name, each in value.items()} if isinstance(value, dict) else {key: value}
    return {key: Path(value).name if isinstance(value, str) else value for key, value in parts.items()}


def _refuse_others(path: str | Path, asked: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Refuse a checkpoint in which a property is `found` to be another than is `asked` for."""
    for key, value in asked.items():
        if value != found.get(key):
            was = f"{key} = {found.get(key)!r}"
            raise ValueError(f"checkpoint {path} was trained with {was}, but {value!r} is asked for")


def _tuned_members(card: Mapping[str, Any]) -> int | None:
    """Return the number of members that weights were fine-tuned for, None for others."""
    training = card.get("training")
    if not isinstance(training, dict) or not training.get("heads_only") or card.get("kept_pretrained"):
        return None
    return training.get("ensemble_size")


def _base_of(path: str | Path, card: Mapping[str, Any]) -> Path | None:
    """Return the checkpoint that completes one that holds the heads alone, None for a whole one."""
    if "base" not in card:
        return None
    name = card["base"]
    if not isinstance(name, str) or not name or Path(name).name != name:
        raise ValueError(f"the card of {path} has base = {name!r}; right is the name of a file in its folder")
    base = Path(path).with_name(name)
    base = base if base.exists() else base.with_name(BASE)
    if "base" in read_card(base):
        raise ValueError(f"the card of {path} has base = {name!r}, but {base} has a base itself; right is a whole one")
    return base


def _check_tensors(
    path: str | Path, tensors: Mapping[str, torch.Tensor], own: Mapping[str, torch.Tensor], *, heads_only: bool
) -> None:
    """Refuse tensors that are not those of a filter, or not finite."""
    for key in {**own, **tensors}:
        if key not in own:
            raise ValueError(f"checkpoint {path} holds {key}, which is no tensor of its filter")
        if key not in tensors:
            if heads_only and key.startswith("encoders."):
                continue
            raise ValueError(f"checkpoint {path} lacks the tensor {key}")
        found, right = (f"{tuple(each[key].shape)} of {each[key].dtype}" for each in (tensors, own))
        if found != right:
            raise ValueError(f"checkpoint {path} holds {key} of shape {found}; right is {right}")
        if not bool(torch.isfinite(tensors[key]).all()):
            raise ValueError(f"checkpoint {path} holds non-finite numbers in {key}; train it anew")


def _first_options(name: str) -> dict[str, Any]:
    """Return the options of a filter's network by default, which cards of before there was an option leave out."""
    return asdict(NETWORKS[name][1]()) if name in NETWORKS else {}


def _dotted(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a network as error texts name them, such as `model.width`."""
    return {f"model.{key}": value for key, value in model.items()}
