"""The learned filters by name: a new one is a file beside this one and a line here."""

from collections.abc import Mapping
from typing import Any

from mnmef.core.errors import unknown_name
from mnmef.filters.mnmef import Mnmef, ModelOptions
from mnmef.filters.mnmef_conv import ConvOptions, MnmefConv
from mnmef.systems.base import System

LearnedFilter = Mnmef | MnmefConv
LEARNED_FILTERS: dict[str, tuple[type[Any], type[Any]]] = {
    "mnmef": (Mnmef, ModelOptions),
    "mnmef_conv": (MnmefConv, ConvOptions),
}
"""Name -> filter and the options that its network takes."""


def make_learned(name: str, system: System, sigma_y: float, model: Mapping[str, Any] | None = None) -> LearnedFilter:
    """The untrained filter `name` for `system` and noise level `sigma_y`, with options `model`, by default its own.

    Raises `ValueError` for an unknown filter, an option that it does not have or that is out of range.
    """
    if name not in LEARNED_FILTERS:
        raise ValueError(unknown_name("learned filter", name, LEARNED_FILTERS))
    filter_, options = LEARNED_FILTERS[name]
    try:
        return filter_(system, sigma_y, options(**(model or {})))
    except TypeError as error:
        raise ValueError(f"options of {name}: {error}") from error
