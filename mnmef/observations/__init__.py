"""Observations: which part or function of a state is seen, and with which noise. May import `core`."""

from collections.abc import Mapping
from typing import Any

from mnmef.core.errors import unknown_name
from mnmef.observations.observation import FUNCTIONS, Observation

_KEYS = ("every", "components", "function", "sites", "noise")


def make_observation(options: Mapping[str, Any], state_size: int) -> Observation:
    """Make the observation from the section `observation` of an experiment.

    Parameters
    ----------
    options : mapping
        Either `every: k`, for components 0, k, 2 k, ..., or `components`, a list of indices; and the parameters of
        `Observation`.
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
    if (every is None) == (components is None):
        raise ValueError(f"observation = {dict(options)}: give either every or components")
    if every is not None:
        if not (isinstance(every, int) and every >= 1):
            raise ValueError(f"observation.every = {every!r}: must be a whole number of at least 1")
        if state_size % every:
            raise ValueError(f"observation.every = {every}: must divide the number of components, {state_size}")
        components = range(0, state_size, every)
    return Observation(state_size, components, **rest)


__all__ = ["FUNCTIONS", "Observation", "make_observation"]
