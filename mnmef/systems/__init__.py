"""The dynamical systems of the experiments, one file each behind the interface of `mnmef.systems.base.System`."""

from mnmef.errors import unknown_name
from mnmef.systems.base import System
from mnmef.systems.kuramoto_sivashinsky import KuramotoSivashinsky
from mnmef.systems.lorenz63 import Lorenz63
from mnmef.systems.lorenz96 import Lorenz96

SYSTEMS: dict[str, type[System]] = {
    "lorenz63": Lorenz63,
    "lorenz96": Lorenz96,
    "ks": KuramotoSivashinsky,
}


def make_system(name: str) -> System:
    """Return the system called `name`; raise `ValueError` naming the known systems if there is none."""
    if name not in SYSTEMS:
        raise ValueError(unknown_name("system", name, SYSTEMS))
    return SYSTEMS[name]()


__all__ = ["SYSTEMS", "System", "make_system"]
