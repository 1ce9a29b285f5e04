"""Learned ensemble filters for data assimilation, and the proof that they work.

`load` gives a trained filter, `assimilate` the states behind observations. Importing the package loads neither torch
nor dapper: what is named in `PUBLIC` is looked up when it is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mnmef.assimilation.assimilate import assimilate as assimilate
    from mnmef.data.twin import simulate_split as simulate_split
    from mnmef.experiments.load import load_experiment as load_experiment
    from mnmef.filters.classical import make_classical as make_classical
    from mnmef.learning.checkpoints import load_checkpoint as load_checkpoint
    from mnmef.learning.shipped import load as load
    from mnmef.learning.shipped import shipped_weights as shipped_weights

__version__ = "0.1.0"

PUBLIC = {
    "assimilate": "mnmef.assimilation.assimilate",
    "load": "mnmef.learning.shipped",
    "load_checkpoint": "mnmef.learning.checkpoints",
    "load_experiment": "mnmef.experiments.load",
    "make_classical": "mnmef.filters.classical",
    "shipped_weights": "mnmef.learning.shipped",
    "simulate_split": "mnmef.data.twin",
}
"""Module of each function that can be called as `mnmef.NAME`."""

__all__ = list(PUBLIC)


def __getattr__(name: str) -> Any:
    """Return a function of `PUBLIC`, importing its module."""
    if name not in PUBLIC:
        raise AttributeError(f"module 'mnmef' has no attribute {name!r}; it has {', '.join(PUBLIC)}")
    return getattr(import_module(PUBLIC[name]), name)
