"""Error texts that name the thing, the value, and what would be right."""

import difflib
import math
from collections.abc import Iterable
from numbers import Integral, Real


def unknown_name(kind: str, name: object, known: Iterable[object]) -> str:
    """Say that `name` is no known `kind`, suggest the nearest known name and list them all."""
    names = [str(k) for k in known]
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.4)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"unknown {kind} {str(name)!r}.{hint} Known: {', '.join(names)}."


def check_class(name: str, value: object, kind: type) -> None:
    """Raise `TypeError` with the name of an argument that is not of its class, as those in another order are not."""
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be of the class {kind.__name__}, not {type(value).__name__}")


def whole_number(name: str, value: object, least: int) -> int:
    """Return `value` if it is a whole number of at least `least`; raise `ValueError` with its name otherwise."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, not {value!r}")
    return int(value)


def positive_number(name: str, value: object) -> float:
    """Return `value` if it is a number > 0 with a finite square above 0; raise `ValueError` with its name otherwise."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    number = float(value) if is_number else math.nan  # type: ignore[arg-type]
    if not (number > 0.0 and 0.0 < number * number < math.inf):
        raise ValueError(f"{name} must be a positive, finite number, not {value!r}")
    return number
