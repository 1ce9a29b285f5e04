"""References to Python outside the package: `my_model.py:Lake`, and `dapper:Model.setting`."""

import hashlib
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from mnmef.core.errors import unknown_name


def split_reference(name: object) -> tuple[Path, str] | None:
    """Split `path/to/my_model.py:Lake` into the file and the class; None for another name."""
    path, _, class_name = str(name).rpartition(":")
    return (Path(path), class_name) if path.endswith(".py") else None


def dapper_module(name: object) -> str | None:
    """Return the module that `dapper:Model.setting` names; None for another name."""
    prefix, _, module = str(name).partition(":")
    return module if prefix == "dapper" else None


def load_object(path: Path, name: str, key: str, kind: str) -> Any:
    """Return a class or function of the user's.

    Parameters
    ----------
    path, name : Path, str
        Its file, and its name there.
    key : str
        Key of the experiment's file that names it, for error texts.
    kind : str
        "class", or "function" for whatever can be called.

    Raises
    ------
    ValueError
        For a file that cannot be imported, with the line; for a name that is not there, with the nearest.
    """
    module = load_module(path, key)
    found = getattr(module, name, None)

    def is_kind(each: Any) -> bool:
        return isinstance(each, type) if kind == "class" else callable(each)

    if not is_kind(found):
        own = [each for each, value in vars(module).items() if is_kind(value) and value.__module__ == module.__name__]
        raise ValueError(unknown_name(f"{kind} in {path}", name, own))
    return found


def load_module(path: Path, key: str) -> ModuleType:
    """Import the file at `path`, which an experiment names under `key`, as a module of a name that no other has; once,
    until it is edited.

    What lies beside it can be imported from it, after all that is installed.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{key} {path}: cannot be read: {error.strerror}") from None
    name = f"mnmef_outside_{path.stem}_{hashlib.sha256(str(path.resolve()).encode() + content).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    module = sys.modules[name] = ModuleType(name)
    module.__file__ = str(path)
    try:
        exec(compile(content, str(path), "exec"), module.__dict__)
    except (Exception, SystemExit) as error:  # a script that is not meant to be imported ends
        del sys.modules[name]
        raise ValueError(f"{key} {path}: {located(error, path)}") from error
    return module


def located(error: BaseException, path: Path) -> str:
    """Describe an exception, with the line of the file at `path` that raised it."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    line = error.lineno if isinstance(error, SyntaxError) else (lines[-1] if lines else None)
    said = error.msg if isinstance(error, SyntaxError) else str(error)
    return (f"line {line}: " if line else "") + f"{type(error).__name__}: {said}"
