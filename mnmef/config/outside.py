"""Files of the user's in the config: experiments by their paths, and the Python files that they name."""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mnmef.config.messages import ConfigError
from mnmef.core.errors import unknown_name
from mnmef.core.references import split_reference
from mnmef.experiments.files import describe, known_experiments, shipped_experiments, use_experiments
from mnmef.io.digest import code_digest, plain_tree


def take_experiments(*parts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Make the user's files known that the key `experiments` names in any part of the config.

    Parameters
    ----------
    *parts : mapping
        Parts of the config that may have the key: a list of names, and of paths that end in .yaml.

    Returns
    -------
    list of dict
        The same parts with the name of each file, its stem, in place of its path.

    Raises
    ------
    ConfigError
        For a file that is not there, a stem that cannot be a name, and two experiments of one name.
    """
    files: dict[str, Path] = {}
    taken = []
    for part in parts:
        entries = part.get("experiments")
        if isinstance(entries, list):
            part = {**part, "experiments": [_take(entry, files) for entry in entries]}
        taken.append(dict(part))
    if files:  # a job is told by its environment
        use_experiments(files.values())
    return taken


def _take(entry: Any, files: dict[str, Path]) -> Any:
    """Return the name of an entry, and note its file if it is one of the user's."""
    if not (isinstance(entry, str) and entry.endswith(".yaml")):
        return entry
    path = Path(entry)
    if not re.fullmatch(r"[A-Za-z0-9_]+", path.stem):
        raise ConfigError(
            f"experiments: {entry}: the name of the file is the name of the experiment, and must have letters, digits "
            f"and underscores alone, such as {re.sub('[^A-Za-z0-9_]+', '_', path.stem)}.yaml"
        )
    if not path.is_file():
        near = sorted(str(each) for each in path.parent.glob("*.yaml")) or ["none"]
        raise ConfigError(f"experiments: there is no file {path.resolve()}; files there: {', '.join(near)}")
    other = (shipped_experiments() | files).get(path.stem)
    if other is not None and other.resolve() != path.resolve():
        raise ConfigError(
            f"experiments: {path.resolve()} and {other.resolve()} are both called {path.stem}; rename one"
        )
    files[path.stem] = path
    return path.stem


def reference_of(name: str) -> tuple[Path, str] | None:
    """Return the Python file and the class that an experiment names as its system; None for a system of the package."""
    system = describe(name).get("system")
    return split_reference(system.get("name")) if isinstance(system, Mapping) else None


def faults_of_code(name: str) -> Iterator[str]:
    """Name what is wrong with the Python file of an experiment, without running it."""
    reference, file = reference_of(name), known_experiments()[name].name
    if reference is None:
        return
    path, class_name = reference
    try:
        tree = plain_tree(path.read_text(encoding="utf-8"), path)
    except OSError as error:
        yield f"{file}: system: {path} cannot be read: {error.strerror}"
    except SyntaxError as error:
        yield f"{file}: system: {path}, line {error.lineno}: {error.msg}"
    else:
        names = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
        makes_more = any(not isinstance(node, ast.ClassDef | ast.FunctionDef) for node in tree.body)
        if class_name not in names and not (makes_more and class_name in ast.unparse(tree)):
            yield f"{file}: system: {unknown_name(f'class in {path}', class_name, names)}"


def code_of(name: str) -> dict[str, str]:
    """Return the key `code` of an experiment's description: a digest of the user's Python; none for the package's."""
    reference = reference_of(name)
    return {"code": code_digest(reference[0], reference[0].parent)} if reference else {}
