"""Dynamical systems, one file each behind the interface of `System`. May import `core` and `kernels`."""

import inspect
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

from mnmef.core.errors import unknown_name
from mnmef.core.references import dapper_module, split_reference
from mnmef.systems.base import System
from mnmef.systems.from_dapper import load_model
from mnmef.systems.kolmogorov import Kolmogorov
from mnmef.systems.kuramoto_sivashinsky import KuramotoSivashinsky
from mnmef.systems.lorenz63 import Lorenz63
from mnmef.systems.lorenz96 import Lorenz96
from mnmef.systems.lorenz96_twoscale import Lorenz96TwoScale
from mnmef.systems.outside import load_outside

SYSTEMS: dict[str, type[System]] = {
    system.name: system for system in (Lorenz63, Lorenz96, Lorenz96TwoScale, KuramotoSivashinsky, Kolmogorov)
}
"""Systems that an experiment can name."""


def make_system(options: Mapping[str, Any]) -> System:
    """Make a system from the section `system` of an experiment.

    Parameters
    ----------
    options : mapping
        `name`, a key of `SYSTEMS`, a class in a file such as `/path/to/my_model.py:Lake` or a module of DAPPER such as
        `dapper:Lorenz96.sakov2008`, and its options.

    Raises
    ------
    ValueError
        For an unknown name, naming the nearest, and for an option that the system does not have or that is out of
        range.
    """
    options = dict(options)
    name = options.pop("name", None)
    reference, module = split_reference(name), dapper_module(name)
    if reference:
        return load_outside(*reference, options)
    if module is not None:
        return load_model(module, options)
    if not isinstance(name, str) or name not in SYSTEMS:
        raise ValueError(unknown_name("system", name, SYSTEMS))
    known = {key: each.default for key, each in inspect.signature(SYSTEMS[name]).parameters.items()}
    for key, value in options.items():
        if key not in known:
            raise ValueError(f"options of system {name}: {unknown_name('option', key, known)}")
        kind, text = (Integral, "whole number") if isinstance(known[key], int) else (Real, "number")
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ValueError(f"options of system {name}: {key} must be a {text}, not {value!r}")
    return SYSTEMS[name](**options)


__all__ = ["SYSTEMS", "System", "make_system"]
