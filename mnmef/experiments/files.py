"""Experiment files, read without checks and without torch."""

import os
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from mnmef.core.errors import unknown_name
from mnmef.core.references import split_reference
from mnmef.io.strict_yaml import read_yaml

SHIPPED_FOLDER = Path(__file__).parent
"""Experiments that come with the package, a folder for each source."""

DESCRIPTION = (
    *("title", "system", "observation", "steps_per_cycle", "bound", "first_spread", "burn_in_time", "grid"),
    *("process_noise", "truth"),
)
"""Keys that describe the experiment itself."""
ASIDE = ("place", "protocol", "expected")
"""Keys of an order in tables and of published scores. All further ones are laid over config.yaml."""
REFERENCES = ("name", "function", "available")
"""Keys of the sections `system` and `observation` that can name Python of the user's."""
OUTSIDE = "MNMEF_EXPERIMENTS"
"""Variable of the environment with the user's files in use, so that jobs, which inherit it, know them by name."""

_read = cache(read_yaml)


def shipped_experiments(group: str = "*") -> dict[str, Path]:
    """Return the files of the package's experiments, or those in one of its folders, by name, the stem of the file."""
    return {path.stem: path for path in sorted(SHIPPED_FOLDER.glob(f"{group}/*.yaml"))}


def fault_of_name(file: Path) -> str | None:
    """Say why the stem of a file of the user's cannot be the name of an experiment; None if it can."""
    if not re.fullmatch(r"[A-Za-z0-9_]+", file.stem):
        return (
            f"{file}: the name of the file is the name of the experiment, and must have letters, digits and "
            f"underscores alone, such as {re.sub('[^A-Za-z0-9_]+', '_', file.stem)}.yaml"
        )
    if file.resolve().stem != file.stem:
        return f"{file} is a link to {file.resolve()}, of another name; name that file"
    other = shipped_experiments().get(file.stem)
    if other is not None and other.resolve() != file.resolve():
        return f"{file.resolve()} and {other.resolve()} are both called {file.stem}; rename one"
    return None


def use_experiments(files: Iterable[Path]) -> None:
    """Make the user's files known, by absolute paths, to this process and to those that it starts."""
    os.environ[OUTSIDE] = os.pathsep.join(str(path.resolve()) for path in files)


def outside_experiments() -> dict[str, Path]:
    """Return the user's files in use by name, the stem of the file."""
    return {Path(file).stem: Path(file) for file in os.environ.get(OUTSIDE, "").split(os.pathsep) if file}


def known_experiments() -> dict[str, Path]:
    """Return the files of the package's experiments and of the user's in use, by name."""
    return shipped_experiments() | outside_experiments()


def read_experiment(name: str) -> dict[str, Any]:
    """Read the file of the experiment `name` as it is.

    Raises
    ------
    ValueError
        If there is no experiment of that name, naming the nearest, or its file is no mapping.
    """
    known = known_experiments()
    if name not in known:
        raise ValueError(unknown_name("experiment", name, known))
    return _read(known[name])


def with_absolute_paths(section: Any, folder: Path) -> Any:
    """Return a section with the files that it names by their absolute paths."""
    if not isinstance(section, dict):
        return section
    found = {key: split_reference(value) for key, value in section.items() if key in REFERENCES}
    return section | {key: f"{(folder / r[0]).resolve()}:{r[1]}" for key, r in found.items() if r}


def overlay(name: str) -> dict[str, Any]:
    """Return the keys that the file of the experiment `name` lays over config.yaml, its `scales` included."""
    found = {key: value for key, value in read_experiment(name).items() if key not in (*DESCRIPTION, *ASIDE)}
    folder = known_experiments()[name].parent
    if isinstance(found.get("trajectories"), str):
        found["trajectories"] = str((folder / found["trajectories"]).resolve())
    if isinstance(found.get("filters"), list):
        entries = [entry if isinstance(entry, dict) else {"name": entry} for entry in found["filters"]]
        found["filters"] = [with_absolute_paths(entry, folder) for entry in entries]
    return found


def titles() -> dict[str, str]:
    """Return the titles of the experiments by name, in the order of figures and tables."""
    known, outside = known_experiments(), outside_experiments()
    content = {name: read_experiment(name) for name in known}

    def rank(name: str) -> tuple[bool, bool, str, int, str]:
        folder = known[name].parent
        return name in outside, folder.name != "paper", str(folder), content[name].get("place", 0), name

    order = sorted(content, key=rank)
    return {name: content[name].get("title", name) for name in order}


def benchmarks() -> dict[str, str]:
    """Return the benchmark filter of each experiment: the classical method that others are compared with."""
    return {name: read_experiment(name).get("benchmark", "letkf") for name in known_experiments()}
