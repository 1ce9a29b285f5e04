"""Filters from files of the user's."""

import inspect
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mnmef.core.references import load_object, located
from mnmef.experiments.experiment import Experiment
from mnmef.filters.base import Filter


def variants(entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return an entry with each combination of the options that its key `search` has lists for, the last one fastest;
    the entry alone without that key.
    """
    grid = entry.get("search", {})
    rest = {key: value for key, value in entry.items() if key != "search"}
    return [rest | dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]


def load_filter(entry: Mapping[str, Any], experiment: Experiment, sigma_y: float) -> Filter:
    """Make a filter of the user's.

    Parameters
    ----------
    entry : mapping
        `name`, such as `/path/to/my_filter.py:Mine`, a class that derives from `Filter`; and its options. `search`
        is left out (see `variants`).
    experiment, sigma_y : Experiment, float
        Handed to its constructor under these names, if it has them.

    Raises
    ------
    ValueError
        Naming the file and the class: it cannot be imported, is no filter, has no such option, or raises an error.
    """
    label, options = str(entry["name"]), {key: value for key, value in entry.items() if key not in ("name", "search")}
    path, _, class_name = label.rpartition(":")
    made = load_object(Path(path), class_name, "filters", "class")
    if not issubclass(made, Filter):
        raise ValueError(f"filter {label}: must derive from mnmef.filters.base.Filter")
    signature = inspect.signature(made)
    given = {"experiment": experiment, "sigma_y": sigma_y}
    arguments = {key: value for key, value in given.items() if key in signature.parameters} | options
    try:
        signature.bind(**arguments)
    except TypeError as error:
        raise ValueError(f"options of filter {label}: {error}") from None
    try:
        return made(**arguments)
    except Exception as error:
        raise ValueError(f"filter {label}: {located(error, Path(path))}") from error
