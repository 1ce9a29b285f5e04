"""References to Python outside the package: `my_model.py:Lake`, and `dapper:Lorenz96.sakov2008`."""

from pathlib import Path


def split_reference(name: object) -> tuple[Path, str] | None:
    """Split `path/to/my_model.py:Lake` into the file and the class; None for another name."""
    path, _, class_name = str(name).rpartition(":")
    return (Path(path), class_name) if path.endswith(".py") else None


def dapper_module(name: object) -> str | None:
    """Return the module that `dapper:Lorenz96.sakov2008` names; None for another name."""
    prefix, _, module = str(name).partition(":")
    return module if prefix == "dapper" else None
