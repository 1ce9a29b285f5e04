"""The dynamical systems of the experiments, one file each behind the interface of `mnmef.systems.base.System`."""

import torch

from mnmef.core.errors import unknown_name
from mnmef.systems.base import System
from mnmef.systems.kuramoto_sivashinsky import KuramotoSivashinsky
from mnmef.systems.lorenz63 import Lorenz63
from mnmef.systems.lorenz96 import Lorenz96

SYSTEMS: dict[str, type[System]] = {
    "lorenz63": Lorenz63,
    "lorenz96": Lorenz96,
    "ks": KuramotoSivashinsky,
}


def make_system(name: str, model_dtype: torch.dtype | None = None) -> System:
    """The system called `name`, its dynamics computed in `model_dtype` (None: in the dtype of the state).

    Raises `ValueError` naming the known systems if there is none of that name.
    """
    if name not in SYSTEMS:
        raise ValueError(unknown_name("system", name, SYSTEMS))
    system = SYSTEMS[name]()
    system.model_dtype = model_dtype
    return system


__all__ = ["SYSTEMS", "System", "make_system"]
