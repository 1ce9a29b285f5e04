"""Observations: which part or function of a state is seen, and with which noise. May import `core`."""

import math
from collections.abc import Mapping
from typing import Any

from mnmef.core.errors import unknown_name
from mnmef.core.references import split_reference
from mnmef.observations.observation import FUNCTIONS, Observation
from mnmef.observations.outside import load_available, load_operator

_KEYS = ("every", "components", "function", "sites", "noise", "distribution", "missing", "available")


def make_observation(options: Mapping[str, Any], state_size: int) -> Observation:
    """Make the observation from the section `observation` of an experiment.

    Parameters
    ----------
    options : mapping
        `every: k`, for components 0, k, 2 k, ..., or `every: [k, l]`, for every k-th row and l-th column of a square
        grid whose points are the components, row by row; or `components`, a list of indices. Without a function of the
        user's one of the two is needed. Further the parameters of `Observation`, functions of the user's as
        `/path/to/my_model.py:radiance`.
    state_size : int
        Number of components Nx of the state.

    Raises
    ------
    ValueError
        For other keys, naming the nearest, and for components that the state does not have.
    """
    for key in options:
        if key not in _KEYS:
            raise ValueError(unknown_name("key in observation", key, _KEYS))
    rest = dict(options)
    every, components = rest.pop("every", None), rest.pop("components", None)
    operator, available = (split_reference(rest.get(key)) for key in ("function", "available"))
    given = (every is not None) + (components is not None)
    if given > 1 or (not given and not operator and not callable(rest.get("function"))):
        raise ValueError(f"observation = {dict(options)}: give either every or components")
    if every is not None:
        components = _evenly(every, state_size)
    if operator:
        rest["function"] = load_operator(*operator)
    name = rest.pop("available", None)
    made = Observation(state_size, components, **rest)
    if available:
        made.available = load_available(*available, made.size)
    elif name is not None:
        raise ValueError(f"observation.available = {name!r}: must be a function in a file, such as my_model.py:network")
    return made


def _evenly(every: Any, state_size: int) -> list[int]:
    """Return the indices of every k-th component, or of those at every k-th row and l-th column of a square grid."""
    strides, is_plane = (every, True) if isinstance(every, list | tuple) else ([every], False)
    side = math.isqrt(state_size) if is_plane else state_size
    whole = all(isinstance(stride, int) and stride >= 1 for stride in strides)
    if not whole or len(strides) != (2 if is_plane else 1):
        raise ValueError(f"observation.every = {every!r}: must be a whole number of at least 1, or a list of two")
    if is_plane and side**2 != state_size:
        raise ValueError(f"observation.every = {every}: {state_size} components are no square grid")
    if any(side % stride for stride in strides):
        what = "points of a side" if is_plane else "components"
        raise ValueError(f"observation.every = {every}: must divide the number of {what}, {side}")
    if not is_plane:
        return list(range(0, state_size, every))
    return [row + column for row in range(0, state_size, side * strides[0]) for column in range(0, side, strides[1])]


__all__ = ["FUNCTIONS", "Observation", "make_observation"]
