"""Error texts that name the thing, the value, and what would be right."""

import difflib
from collections.abc import Iterable


def unknown_name(kind: str, name: object, known: Iterable[object]) -> str:
    """Say that `name` is no known `kind`, suggest the nearest known name and list them all."""
    names = [str(k) for k in known]
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.4)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"unknown {kind} {str(name)!r}.{hint} Known: {', '.join(names)}."
