"""Settings as plain dictionaries: config.yaml with the overlays of its scale and of an experiment, and parts of them.

Without the checks of `mnmef.config.loading`, whose packages a machine that only trains need not have.
"""

from collections.abc import Mapping
from numbers import Real
from typing import Any

from mnmef.core.errors import unknown_name
from mnmef.experiments.files import overlay

Settings = Mapping[str, Any]
"""Settings of the config, or a section of them."""

PACE = ("checkpoint_seconds", "time_limit")
"""Keys of the section `training` that decide when a training writes and stops, but not its result."""


def merge(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Lay mappings over one another, the last one on top, section by section; lists and values are replaced whole."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            old = merged.get(key)
            merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def layers(raw: Mapping[str, Any], scale: str, experiment: str | None = None) -> list[dict[str, Any]]:
    """Return the layers of the settings, the last one on top.

    They are the keys of config.yaml, those of the experiment's file, the overlay of the scale in config.yaml and that
    in the experiment's file: an experiment's own value at a scale wins over the scale's value for all experiments.
    """
    own = overlay(experiment) if experiment else {}
    return [
        {key: value for key, value in raw.items() if key != "scales"},
        {key: value for key, value in own.items() if key != "scales"},
        raw["scales"][scale] or {},
        (own.get("scales") or {}).get(scale) or {},
    ]


def at_scale(raw: Mapping[str, Any], scale: str | None = None, experiment: str | None = None) -> dict[str, Any]:
    """Merge the content `raw` of config.yaml for a scale, by default the one that it names, and an experiment.

    Raises
    ------
    ValueError
        For a scale without an overlay and an experiment without a file, naming the nearest.
    """
    scale = scale or raw["scale"]
    if scale not in raw["scales"]:
        raise ValueError(unknown_name("scale", scale, raw["scales"]))
    return merge(*layers(raw, scale, experiment), {"scale": scale})


def check_keys(layer: Mapping[str, Any], known: Mapping[str, Any], place: str = "") -> None:
    """Raise `ValueError` for the first key of a layer, or of its sections, that config.yaml does not have.

    Sections that are empty in config.yaml or have numbers as keys, such as those by ensemble size, are not looked into.
    """
    for key, value in layer.items():
        if key not in known:
            raise ValueError(unknown_name("key", place + str(key), [place + str(name) for name in known]))
        section = known[key]
        is_section = isinstance(section, Mapping) and section and all(isinstance(name, str) for name in section)
        if is_section and isinstance(value, Mapping):
            check_keys(value, section, f"{place}{key}.")


def _kind(value: object) -> type:
    """Return what a value of a config is: a truth value, a number, a text, a list or a section."""
    return next((kind for kind in (bool, Real, str, list, Mapping) if isinstance(value, kind)), type(value))


def assign(settings: Mapping[str, Any], path: str, value: object) -> dict[str, Any]:
    """Replace the entry at the dotted `path`, such as `training.steps`, by `value`.

    Raises
    ------
    ValueError
        For a path that leads to nothing, naming the nearest key; for a value of another kind than the one before.
    """
    key, _, rest = path.partition(".")
    if not isinstance(settings, Mapping):
        raise ValueError(f"{path!r} asks for a key of {settings!r}, which is no section")
    if key not in settings:
        raise ValueError(unknown_name("key", key, settings))
    old = settings[key]
    if not rest and None not in (old, value) and _kind(old) is not _kind(value):
        raise ValueError(f"{path} = {value!r}: must be of the kind of {old!r}")
    return {**settings, key: assign(old, rest, value) if rest else value}


def model_settings(settings: Mapping[str, Any], filter_name: str = "mnmef") -> dict[str, Any]:
    """Return the options of a learned filter's network."""
    return dict(settings["model"] if filter_name == "mnmef" else settings[filter_name]["model"])


def first_level(settings: Mapping[str, Any], sigma_y: float) -> float | None:
    """Return the noise level whose weights a training at `sigma_y` begins with, None for random ones."""
    level = settings["training"]["continued"]["sigma_y"]
    return level if level in settings["noise_levels"] and level != sigma_y else None


def training_settings(settings: Mapping[str, Any], filter_name: str, sigma_y: float) -> dict[str, Any]:
    """Return the settings of a training: with its data, and the weights that it begins with, they decide the weights.

    Parameters
    ----------
    settings : mapping
        Merged for the experiment that it is trained on.
    filter_name : str
        Filters other than the paper's have a section of their own, whose `training` is laid over the general one.
    sigma_y : float
        Standard deviation of the observation noise, state units.

    Returns
    -------
    dict
        `filter_name`, `model`, `training`, `window_cycles` and `seed`. The learned inflation is always trained; the
        config may switch it off at inference.
    """
    own = {} if filter_name == "mnmef" else settings[filter_name]["training"]
    training = merge(settings["training"], own)
    continued = training.pop("continued")
    if first_level(settings, sigma_y) is not None:
        training["steps"] = continued["steps"]
    return {
        "filter_name": filter_name,
        "model": {key: value for key, value in model_settings(settings, filter_name).items() if key != "inflation"},
        "training": {key: value for key, value in training.items() if key not in PACE},
        "window_cycles": settings["data"]["train"]["window_cycles"],
        "seed": settings["seed"],
    }
