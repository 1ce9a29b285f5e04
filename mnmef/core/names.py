"""Methods that tables and figures can show: their names, their looks and their filters.

A method is a filter together with where its settings or weights come from. Its name stands in tables, in file names and
in config.yaml; nothing is ever read out of the letters of a name.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from mnmef.core.errors import unknown_name

Stage = Literal["searched", "pretrained", "finetuned", "own", "given", "analyses"]
"""Source of settings or weights: hyperparameter search, training, fine-tuning for each ensemble size, weights of the
user's, or a filter of the user's with its options; or analyses that were made elsewhere."""
OUTSIDE_FILTERS = "MNMEF_FILTERS"
"""Variable of the environment with the names of the user's filters in use, which jobs inherit."""
OUTSIDE: dict[Stage, str] = {"given": OUTSIDE_FILTERS, "analyses": "MNMEF_ANALYSES"}
"""The same by stage, with those of analyses."""


@dataclass(frozen=True)
class Look:
    """Label, color and marker of a line in figures.

    Colors are Okabe and Ito's (distinct for color-blind readers); markers differ for gray prints.
    """

    label: str
    color: str
    marker: str


@dataclass(frozen=True)
class Method(Look):
    """A row of this project's tables.

    Parameters
    ----------
    name : str
        In tables.
    filter : str
        The filter that runs.
    stage : Stage
    localizes : bool
        True with a localization radius, which needs a grid.
    inflates : bool
        True with a factor on the analysis anomalies.
    is_iterative : bool
        True if its analysis runs the model again, which must be deterministic.
    stream : str
        Label of the random stream of its analyses. It stays what it is, whatever else is renamed.
    """

    name: str
    filter: str
    stage: Stage = "searched"
    localizes: bool = False
    inflates: bool = True
    is_iterative: bool = False
    stream: str = ""

    @property
    def is_learned(self) -> bool:
        """True for a method with weights."""
        return self.stage in ("pretrained", "finetuned", "own")


METHODS = {
    method.name: method
    for method in (
        Method("MNMEF (fine-tuned)", "#D55E00", "o", "mnmef_finetuned", "mnmef", "finetuned", stream="mnmef_tuned"),
        Method("MNMEF (pretrained)", "#E69F00", "s", "mnmef_pretrained", "mnmef", "pretrained"),
        Method("MNMEF (convolutions)", "#8B0000", "p", "mnmef_conv", "mnmef_conv", "pretrained"),
        Method("MNMEF (local analyses)", "#006400", "X", "mnmef_local", "mnmef_local", "pretrained"),
        Method("MNMEF (few variables)", "#4B0082", "H", "mnmef_members", "mnmef_members", "pretrained"),
        Method("MNMEF (own weights)", "#F0E442", "h", "mnmef_own", "mnmef", "own"),
        Method("MNMEF (convolutions, own weights)", "#DDCC77", "H", "mnmef_conv_own", "mnmef_conv", "own"),
        Method("MNMEF (local analyses, own weights)", "#999933", "8", "mnmef_local_own", "mnmef_local", "own"),
        Method("MNMEF (few variables, own weights)", "#AA4499", "D", "mnmef_members_own", "mnmef_members", "own"),
        Method("LETKF", "#0072B2", "^", "letkf", "letkf", localizes=True),
        Method("ESRF", "#009E73", "v", "esrf", "esrf"),
        Method("EnKF, localized", "#56B4E9", "D", "enkf_localized", "enkf_localized", localizes=True),
        Method("EnKF", "#7F7F7F", "P", "enkf", "enkf"),
        Method("IEnKF (perturbed obs.)", "#CC79A7", "X", "ienkf_pertobs", "ienkf_pertobs", is_iterative=True),
        Method("IEnKF (square root)", "#000000", "*", "ienkf_sqrt", "ienkf_sqrt", is_iterative=True),
        Method("IEnKS (square root)", "#5E3C99", "d", "ienks", "ienks", is_iterative=True, stream="ienks_sqrt_lag2"),
        Method("EnKF-N", "#1B7837", "<", "enkf_n", "enkf_n"),
        Method("DEnKF", "#80CDC1", ">", "denkf", "denkf"),
        Method("Particle filter", "#A6611A", "1", "particle", "particle", inflates=False),
        Method("3D-Var", "#404040", "2", "var3d", "var3d", inflates=False),
        Method(
            "Optimal interpolation", "#878787", "3", "optimal_interpolation", "optimal_interpolation", inflates=False
        ),
        Method("Climatology", "#BABABA", "4", "climatology", "climatology", inflates=False),
    )
}
"""All methods, in the order of legends and tables."""

GRIDS_OF = {"mnmef_conv": ("periodic",), "mnmef_local": ("periodic", "plane"), "mnmef_members": (None, "dapper")}
"""Grids, as experiments' files name them, on which a learned filter runs; `mnmef` runs on all."""


def serves_grid(filter_name: str, grid: str | None) -> bool:
    """Return whether a learned filter can run on a grid, as an experiment's file names it."""
    return filter_name not in GRIDS_OF or grid in GRIDS_OF[filter_name]


CLASSICAL_METHODS = tuple(name for name, method in METHODS.items() if method.stage == "searched")
LOCALIZED_METHODS = tuple(name for name, method in METHODS.items() if method.localizes)
LEARNED_FILTERS = tuple(dict.fromkeys(method.filter for method in METHODS.values() if method.is_learned))


def method_of(filter_name: str, stage: str) -> Method:
    """Return the method that runs `filter_name` with settings or weights of `stage`.

    Raises
    ------
    ValueError
        If there is none.
    """
    for method in METHODS.values():
        if (method.filter, method.stage) == (filter_name, stage):
            return method
    raise ValueError(unknown_name("method", f"{filter_name} ({stage})", METHODS))


def stream_of(name: str) -> str:
    """Return the label of the random stream of the method `name`: its `stream`, else the name itself."""
    return (METHODS[name].stream if name in METHODS else "") or name


_COLORS = ("#17BECF", "#BCBD22", "#8C564B", "#E377C2", "#2CA02C", "#9467BD")
_MARKERS = ("<", ">", "8", "H", "v", "s")


def use_filters(names: Iterable[str], stage: Stage = "given") -> None:
    """Make what is the user's a method of this process and of those that it starts, in place of earlier ones.

    Parameters
    ----------
    names : iterable of str
        Names of the classes of filters, or of analyses, which are labels too; looks are from a cycle.
    stage : Stage
        "given" for filters, "analyses".
    """
    for name in [name for name, method in METHODS.items() if method.stage == stage]:
        del METHODS[name]
    others = sum(method.stage in OUTSIDE for method in METHODS.values())
    names = list(dict.fromkeys(names))
    for i, name in enumerate(names, others):
        look = _COLORS[i % len(_COLORS)], _MARKERS[i % len(_MARKERS)]
        METHODS[name] = Method(name, *look, name, name, stage)
    os.environ[OUTSIDE[stage]] = ",".join(names)


for each, where in OUTSIDE.items():
    use_filters(filter(None, os.environ.get(where, "").split(",")), each)
