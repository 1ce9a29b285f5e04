"""Learned filters by name; a new one is a file beside this one and a line here."""

from collections.abc import Mapping
from typing import Any

from mnmef.core.errors import unknown_name
from mnmef.experiments.experiment import Experiment
from mnmef.filters.mnmef import Mnmef, ModelOptions
from mnmef.filters.mnmef_conv import ConvOptions, MnmefConv

LearnedFilter = Mnmef | MnmefConv
NETWORKS: dict[str, tuple[type[Any], type[Any]]] = {
    "mnmef": (Mnmef, ModelOptions),
    "mnmef_conv": (MnmefConv, ConvOptions),
}
"""Class of each learned filter, and the options of its network."""


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
        For an unknown filter, and for an option that it does not have or that is out of range.
    """
    if name not in NETWORKS:
        raise ValueError(unknown_name("learned filter", name, NETWORKS))
    filter_, options = NETWORKS[name]
    try:
        return filter_(experiment, sigma_y, options(**(model or {})))
    except TypeError as error:
        raise ValueError(f"options of {name}: {error}") from error
