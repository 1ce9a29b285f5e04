"""YAML from outside: plain values alone, and no key twice."""

import re
from pathlib import Path
from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    """The safe loader, which of a key that stands twice keeps the last, without a word."""

    def compose_mapping_node(self, anchor: Any) -> Any:
        node = super().compose_mapping_node(anchor)
        keys = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for i, key in enumerate(keys):
            if key.value in (each.value for each in keys[:i]):
                raise yaml.MarkedYAMLError(problem=f"key {key.value} stands twice", problem_mark=key.start_mark)
        return node


# YAML 1.1, which PyYAML reads, takes 1e-3 for text: its numbers have a point.
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"[-+]?\d+[eE][-+]?\d+$"), list("-+0123456789"))


def read_yaml(file: Path) -> dict[str, Any]:
    """Read a mapping from a file; raise `ValueError` with its name and the line if it is none or has a key twice."""
    try:
        with file.open(encoding="utf-8") as stream:
            content = yaml.load(stream, _Loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"{file} cannot be read: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{file} must be a mapping of keys to values")
    return content
