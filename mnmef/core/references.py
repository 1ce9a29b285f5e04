"""References to the user's Python, such as `my_model.py:Lake`."""

from pathlib import Path


def split_reference(name: object) -> tuple[Path, str] | None:
    """Split `path/to/my_model.py:Lake` into the file and the class; None for another name."""
    path, _, class_name = str(name).rpartition(":")
    return (Path(path), class_name) if path.endswith(".py") else None
