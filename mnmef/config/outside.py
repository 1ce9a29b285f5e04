"""Files of the user's in the config: experiments by their paths, and the Python files that they name."""

import ast
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from mnmef.config.messages import ConfigError
from mnmef.core.errors import unknown_name
from mnmef.core.names import METHODS
from mnmef.core.references import dapper_module, split_reference
from mnmef.experiments.description import describe
from mnmef.experiments.files import REFERENCES, SHIPPED_FOLDER, fault_of_name, known_experiments, use_experiments
from mnmef.io.digest import code_digest, plain_tree

SYSTEMS_FOLDER = SHIPPED_FOLDER.parent / "systems"


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
    fault, other = fault_of_name(path), files.get(path.stem)
    if not path.is_file() and not fault:
        near = sorted(str(each) for each in path.parent.glob("*.yaml") if each.is_file()) or ["none"]
        fault = f"there is no file {path.resolve()}; files there: {', '.join(near)}"
    if other is not None and other.resolve() != path.resolve():
        fault = f"{path.resolve()} and {other.resolve()} are both called {path.stem}; rename one"
    if fault:
        raise ConfigError(f"experiments: {fault}")
    files[path.stem] = path
    return path.stem


def references_of(name: str) -> dict[str, tuple[Path, str]]:
    """Return the Python files that an experiment names, with the class or function in each, by key; none for the
    package's.
    """
    described, found = describe(name), {}
    for section in ("system", "truth", "observation"):
        part = described.get(section)
        part = part if isinstance(part, Mapping) else {}
        for key in REFERENCES:
            reference = split_reference(part.get(key))
            if reference:
                found[section if key == "name" else f"{section}.{key}"] = reference
    return found


def faults_of_code(name: str) -> Iterator[str]:
    """Name what is wrong with the Python files of an experiment, without running them."""
    file = known_experiments()[name].name
    for key, reference in references_of(name).items():
        fault = _fault_of(*reference, is_class=key in ("system", "truth"))
        if fault:
            yield f"{file}: {key}: {fault}"


def _fault_of(path: Path, wanted: str, *, is_class: bool) -> str | None:
    """Name what is wrong with a file that should have a class or a function."""
    try:
        tree = _tree(path)
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    except SyntaxError as error:
        return f"{path}, line {error.lineno}: {error.msg}"
    kinds = ast.ClassDef if is_class else ast.ClassDef | ast.FunctionDef
    names = [node.name for node in tree.body if isinstance(node, kinds)]
    makes_more = any(not isinstance(node, ast.ClassDef | ast.FunctionDef) for node in tree.body)
    if wanted in names or (makes_more and wanted in ast.unparse(tree)):
        return None
    return unknown_name(f"{'class' if is_class else 'function'} in {path}", wanted, names)


def _tree(path: Path) -> ast.Module:
    """Return the syntax tree of the user's file at `path`."""
    return plain_tree(path.read_text(encoding="utf-8"), path)


def faults_of_filters(name: str, filters: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Name what is wrong with the key `filters` of an experiment, without running the user's code."""
    file, seen = known_experiments()[name].name, set()
    for entry in filters:
        reference = split_reference(entry.get("name"))
        if reference is None:
            yield f"{file}: filters: {entry.get('name')!r}: must be a class in a file, such as my_filter.py:Mine"
            continue
        grid = entry.get("search", {})
        if not isinstance(grid, Mapping) or not all(isinstance(tried, list) and tried for tried in grid.values()):
            yield f"{file}: filters: {reference[1]}.search = {grid!r}: must have a list of values for each option"
        elif both := sorted(grid.keys() & entry.keys()):
            yield f"{file}: filters: {reference[1]} has {both[0]} as an option and in search: give it once"
        fault, own = _fault_of(*reference, is_class=True), reference[1]
        if fault:
            yield f"{file}: filters: {fault}"
        if own in seen or (own in METHODS and METHODS[own].stage != "given"):
            yield f"{file}: filters: {own}: there is another filter of this name; rename the class"
        seen.add(own)


def model_speaks_of(name: str, words: str) -> bool:
    """Say whether the forecast model may have an attribute: its file, the user's or one of the package with its name,
    has one of the words, joined by |.
    """
    reference = references_of(name).get("system")
    path = reference[0] if reference else SYSTEMS_FOLDER / f"{describe(name).get('system', {}).get('name')}.py"
    return path.is_file() and bool(re.search(rf"\b({words})\b", ast.unparse(_tree(path))))


def _named_files(path: Path) -> str:
    """Digest the files that texts in the user's Python name, beside it, such as a program; empty without any."""
    texts = (node.value for node in ast.walk(_tree(path)) if isinstance(node, ast.Constant))
    words = {word for text in texts if isinstance(text, str) for word in text.split() if len(word) < 256}
    files = sorted(path.parent / word for word in words if "\0" not in word and (path.parent / word).is_file())
    total = hashlib.sha256(b"".join(file.read_bytes() for file in files))
    return total.hexdigest()[:16] if files else ""


def code_of(name: str) -> dict[str, str]:
    """Return the key `code` of an experiment's description: a digest of the user's Python and of the files that it
    names, and the version of DAPPER for a module of its; none for the package's.
    """
    paths = dict.fromkeys(path for path, _ in references_of(name).values())
    parts = [code_digest(path, path.parent) + _named_files(path) for path in paths]
    if dapper_module(describe(name)["system"].get("name")) is not None:
        parts.append(f"dapper {metadata.version('dapper')}")
    return {"code": "".join(parts)} if parts else {}
