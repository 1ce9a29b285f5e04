"""Learned filters by name; a new one is a file beside this one and a line here."""

from collections.abc import Mapping
from typing import Any

import torch

from mnmef.core.errors import positive_number, unknown_name
from mnmef.core.seeds import torch_generator
from mnmef.experiments.experiment import Experiment
from mnmef.filters.mnmef import Mnmef, ModelOptions
from mnmef.filters.mnmef_conv import ConvOptions, MnmefConv
from mnmef.filters.mnmef_local import LocalOptions, MnmefLocal
from mnmef.filters.mnmef_members import MembersOptions, MnmefMembers

LearnedFilter = Mnmef | MnmefConv | MnmefLocal | MnmefMembers
NETWORKS: dict[str, tuple[type[Any], type[Any]]] = {
    "mnmef": (Mnmef, ModelOptions),
    "mnmef_conv": (MnmefConv, ConvOptions),
    "mnmef_local": (MnmefLocal, LocalOptions),
    "mnmef_members": (MnmefMembers, MembersOptions),
}
"""Class of each learned filter, and the options of its network."""

FIRST_OPTIONS = ("radius", "growth", "first_inflation")
"""Options of networks that decide their first weights, and nothing after a training has begun."""


def make_learned(
    name: str, experiment: Experiment, sigma_y: float, model: Mapping[str, Any] | None = None
) -> LearnedFilter:
    """Make an untrained filter.

    Parameters
    ----------
    name : str
        A learned filter, such as "mnmef".
    experiment : Experiment
        Source of the sizes, the observed components and the bound.
    sigma_y : float
        Standard deviation of the observation noise, state units.
    model : mapping, optional
        Options of its network; the defaults are the paper's.

    Raises
    ------
    ValueError
        For an unknown filter, a sigma_y that is not positive, and an option that it does not have or that is out of
        range.
    """
    if name not in NETWORKS:
        raise ValueError(unknown_name("learned filter", name, NETWORKS))
    filter_, options = NETWORKS[name]
    sigma_y = positive_number("sigma_y", sigma_y)
    try:
        return filter_(experiment, sigma_y, options(**(model or {})))
    except TypeError as error:
        raise ValueError(f"options of {name}: {error}") from error


def initial_filter(
    experiment: Experiment, sigma_y: float, model: Mapping[str, Any] | None, seed: int, *, name: str = "mnmef"
) -> LearnedFilter:
    """Make the untrained filter `name` with first weights that follow from `seed` alone.

    Parameters
    ----------
    experiment : Experiment
        Experiment to train on; its name is part of the random stream's label.
    sigma_y : float
        Standard deviation of the observation noise, state units.
    model : mapping or None
        Options of the network, by default its own.
    seed : int
        Root of the random streams.
    name : str
        The learned filter.

    Returns
    -------
    LearnedFilter
        On the CPU.
    """
    state = torch_generator(seed, "weights", experiment.name).initial_seed()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(state)
        return make_learned(name, experiment, sigma_y, model)


def begin_with(filter_: LearnedFilter, other: LearnedFilter) -> None:
    """Give a filter the weights of another one of the same kind, with the same network but for a shorter reach."""
    if isinstance(filter_, MnmefLocal) and isinstance(other, MnmefLocal):
        filter_.begin_with(other)
    else:
        filter_.load_state_dict(other.state_dict())
