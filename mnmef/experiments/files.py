"""Experiment files, read without checks and without torch."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from mnmef.core.errors import unknown_name

SHIPPED_FOLDER = Path(__file__).parent
"""Experiments that come with the package, a folder for each source."""

DESCRIPTION = ("title", "system", "observation", "steps_per_cycle", "bound", "first_spread", "burn_in_time", "grid")
"""Keys that describe the experiment itself. The others, but for `place`, are laid over config.yaml."""


def shipped_experiments() -> dict[str, Path]:
    """Return the files of the package's experiments by name, the stem of the file."""
    return {path.stem: path for path in sorted(SHIPPED_FOLDER.glob("*/*.yaml"))}


@cache
def read_experiment(name: str) -> dict[str, Any]:
    """Read the file of the experiment `name` as it is.

    Raises
    ------
    ValueError
        If there is no experiment of that name, naming the nearest, or its file is no mapping.
    """
    shipped = shipped_experiments()
    if name not in shipped:
        raise ValueError(unknown_name("experiment", name, shipped))
    content = yaml.safe_load(shipped[name].read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError(f"{shipped[name]} must be a mapping of keys to values")
    return content


def describe(name: str) -> dict[str, Any]:
    """Return the description of the experiment `name`: its name and the keys of `DESCRIPTION`."""
    content = read_experiment(name)
    return {"name": name, **{key: content[key] for key in DESCRIPTION if key in content}}


def overlay(name: str) -> dict[str, Any]:
    """Return the keys that the file of the experiment `name` lays over config.yaml, its `scales` included."""
    return {key: value for key, value in read_experiment(name).items() if key not in (*DESCRIPTION, "place")}


@cache
def titles() -> dict[str, str]:
    """Return the titles of the experiments by name, in the order of figures and tables."""
    content = {name: read_experiment(name) for name in shipped_experiments()}
    order = sorted(content, key=lambda name: (str(shipped_experiments()[name].parent), content[name].get("place", 0)))
    return {name: content[name]["title"] for name in order}


def benchmarks() -> dict[str, str]:
    """Return the benchmark filter of each experiment: the classical method that others are compared with."""
    return {name: read_experiment(name).get("benchmark", "letkf") for name in shipped_experiments()}
