"""Weights on disk: safetensors with a card that says what they are. Loading is strict."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from mnmef.filters.learned import LearnedFilter, make_learned
from mnmef.io.files import package_versions, source_commit, write_atomically
from mnmef.systems import make_system

# Options that change what the filter does with its weights, not which weights it has.
INFERENCE_OPTIONS = ("inflation",)


def save_checkpoint(filter_: LearnedFilter, path: str | Path, **card: Any) -> None:
    """Write the weights of `filter_` to `path` atomically, with a card: system, sigma_y, model options, versions and
    `card`.
    """
    described = {
        "filter": filter_.name,
        "system": filter_.system.name,
        "state_size": filter_.system.state_size,
        "sigma_y": filter_.sigma_y,
        "model": asdict(filter_.options),
        "commit": source_commit(),
        "versions": package_versions(),
        **card,
    }
    write_tensors(filter_.state_dict(), described, path)


def write_tensors(tensors: Mapping[str, torch.Tensor], card: Mapping[str, Any], path: str | Path) -> None:
    """Write named `tensors` with their `card` to `path`, atomically."""
    stored = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    metadata = {"card": json.dumps(card, sort_keys=True)}
    write_atomically(path, lambda temporary: save_file(stored, temporary, metadata=metadata))


def read_tensors(path: str | Path) -> dict[str, torch.Tensor]:
    """The named tensors at `path`, on the CPU."""
    with safe_open(path, framework="pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (a safetensors handle is no mapping)


def read_card(path: str | Path) -> dict[str, Any]:
    """The card of the checkpoint at `path`. Raises `ValueError` if it is truncated or was not written by
    `save_checkpoint`.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no checkpoint {path}")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is not a readable safetensors file ({error}); it may be truncated") from error
    if "card" not in metadata:
        raise ValueError(f"{path} carries no card, so it is no checkpoint of this project")
    return json.loads(metadata["card"])


def load_checkpoint(
    path: str | Path, *, name: str | None = None, system: str, sigma_y: float, model: Mapping[str, Any] | None = None
) -> LearnedFilter:
    """The filter at `path`, which must have been trained on `system` with `sigma_y` and, if given, be the filter `name`
    with the options `model`.

    Options that only act at inference (`inflation`) follow `model`. A file that holds the heads alone takes the rest
    from the file that its card names as `base`, in the same folder.
    Raises `ValueError` saying which property differs.
    """
    card = read_card(path)
    wanted: dict[str, Any] = {"system": system, "sigma_y": sigma_y}
    if name is not None:
        wanted["filter"] = name
    found = {key: card[key] for key in wanted}
    if model is not None:
        wanted |= {f"model.{key}": value for key, value in model.items() if key not in INFERENCE_OPTIONS}
        found |= {f"model.{key}": card["model"].get(key) for key in model if key not in INFERENCE_OPTIONS}
    for key, value in wanted.items():
        if found[key] != value:
            raise ValueError(f"checkpoint {path} was trained with {key} = {found[key]!r}, but {value!r} is asked for")
    options = card["model"] | {key: model[key] for key in INFERENCE_OPTIONS if model is not None and key in model}
    filter_ = make_learned(card["filter"], make_system(system), sigma_y, options)
    tensors = read_tensors(path)
    if "base" in card:
        base = Path(path).with_name(card["base"])
        load_checkpoint(base, name=name, system=system, sigma_y=sigma_y, model=model)  # with all its checks
        tensors = read_tensors(base) | tensors
    filter_.load_state_dict(tensors)
    for key, value in tensors.items():
        if not bool(torch.isfinite(value).all()):
            raise ValueError(f"checkpoint {path} holds non-finite numbers in {key}; train it anew")
    return filter_
