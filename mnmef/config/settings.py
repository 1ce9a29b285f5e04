"""Plain dictionaries of settings: the config with the overlay of its scale, and the part of it that decides a stage.

Without the checks of `mnmef.config.loading`, whose packages a machine that only trains need not have.
"""

from collections.abc import Mapping
from typing import Any

from mnmef.core.errors import unknown_name

PACE = ("checkpoint_seconds", "time_limit")
"""Keys of the section `training` that decide when a training writes and stops, but not its result."""


def merge(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the entries of `overlay` laid over it, section by section; lists and values are replaced whole."""
    merged = dict(base)
    for key, value in overlay.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def at_scale(raw: Mapping[str, Any], scale: str | None = None) -> dict[str, Any]:
    """The content `raw` of config.yaml with the overlay of `scale`, by default the one it names, laid over it.

    Raises `ValueError` for a scale without an overlay, naming the nearest.
    """
    scale = scale or raw["scale"]
    if scale not in raw["scales"]:
        raise ValueError(unknown_name("scale", scale, raw["scales"]))
    base = {key: value for key, value in raw.items() if key != "scales"}
    return merge(base, raw["scales"][scale] or {}) | {"scale": scale}


def assign(settings: Mapping[str, Any], path: str, value: object) -> dict[str, Any]:
    """`settings` with the entry at the dotted `path`, such as `training.steps`, replaced by `value`.

    Raises `ValueError` for a path that leads to nothing, naming the nearest key.
    """
    key, _, rest = path.partition(".")
    if not isinstance(settings, Mapping):
        raise ValueError(f"{path!r} asks for a key of {settings!r}, which is no section")
    if key not in settings:
        raise ValueError(unknown_name("key", key, settings))
    return {**settings, key: assign(settings[key], rest, value) if rest else value}


def for_system(section: Mapping[str, Any], system: str) -> dict[str, Any]:
    """A section with each per-system value replaced by the one of `system`."""
    return {
        key: value[system] if isinstance(value, Mapping) and system in value else value
        for key, value in section.items()
    }


def model_settings(settings: Mapping[str, Any], system: str, filter_name: str = "mnmef") -> dict[str, Any]:
    """The options of a learned filter's network."""
    section = settings["model"] if filter_name == "mnmef" else settings[filter_name]["model"]
    return for_system(section, system)


def training_settings(settings: Mapping[str, Any], system: str, filter_name: str = "mnmef") -> dict[str, Any]:
    """What decides the weights that a training of `filter_name` on `system` ends with, besides its data:
    `filter_name`, `model`, `training`, `window_cycles` and `seed`.

    Filters other than the paper's have a section of their own, whose `training` is laid over the general one. The
    learned inflation is always trained; the config may switch it off at inference.
    """
    own = {} if filter_name == "mnmef" else settings[filter_name]["training"]
    training = for_system(merge(settings["training"], own), system)
    model = model_settings(settings, system, filter_name)
    return {
        "filter_name": filter_name,
        "model": {key: value for key, value in model.items() if key != "inflation"},
        "training": {key: value for key, value in training.items() if key not in PACE},
        "window_cycles": settings["data"]["train"]["window_cycles"],
        "seed": settings["seed"],
    }
