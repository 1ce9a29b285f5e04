"""Observation operators, one file each: which part of a state is seen. May import `core`."""

from collections.abc import Mapping
from typing import Any

from mnmef.core.errors import unknown_name
from mnmef.observations.components import Components

_KEYS = ("every", "components")


def make_observation(options: Mapping[str, Any], state_size: int) -> Components:
    """Make an observation operator from the section `observation` of an experiment.

    Parameters
    ----------
    options : mapping
        Either `every: k`, for components 0, k, 2 k, ..., or `components`, a list of indices.
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
    if len(options) != 1:
        raise ValueError(f"observation = {dict(options)}: give either every or components")
    if "components" in options:
        return Components(tuple(options["components"]), state_size)
    every = options["every"]
    if not (isinstance(every, int) and every >= 1):
        raise ValueError(f"observation.every = {every!r}: must be a whole number of at least 1")
    if state_size % every:
        raise ValueError(f"observation.every = {every}: must divide the number of components, {state_size}")
    return Components(tuple(range(0, state_size, every)), state_size)


__all__ = ["Components", "make_observation"]
