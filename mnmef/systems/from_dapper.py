"""Forecast models of DAPPER's modules: `dapper:Lorenz96.sakov2008` is the HMM in `dapper.mods.Lorenz96.sakov2008`."""

import contextlib
import importlib
import io
import re
import warnings
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mnmef.core.errors import unknown_name
from mnmef.systems.base import System
from mnmef.systems.outside import BlackBox

DISTRIBUTIONS = {"GaussRV": {}, "LaplaceParallelRV": {"distribution": "laplace"}}
"""Random variables of DAPPER that are observation noise here -> keys of the section `observation`."""

WIDTHS = 10.0 ** np.arange(13) / 3
"""Widths at which a localizer is asked for distances, over the number of components: of grid points to meters."""


class HmmModel:
    """The dynamics of a hidden Markov model of DAPPER, as a forecast model in NumPy.

    Parameters
    ----------
    hmm : HiddenMarkovModel
        DAPPER's object. Its process noise is the experiment's (`describe_module`), and its model is called with the
        time 0.
    """

    def __init__(self, hmm: Any) -> None:
        self.hmm = hmm
        self.state_size, self.step_size = int(hmm.Dyn.M), float(hmm.tseq.dt)

    def step(self, state: np.ndarray) -> np.ndarray:
        """Advance states (M, Nx) by `step_size`."""
        return self.hmm.Dyn(state.copy(), 0.0, self.step_size)  # some models change their input

    def dapper_step(self) -> Callable[..., Any]:
        """Return DAPPER's own step."""
        return self.hmm.Dyn

    def initial_states(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draw `count` states (count, Nx) from X0, and leave DAPPER's own generator as it was."""
        bits = import_quietly("dapper.tools.seeding").rng.bit_generator
        kept, bits.state = bits.state, np.random.default_rng(rng.integers(2**63)).bit_generator.state
        try:
            return self.hmm.X0.sample(count)
        finally:
            bits.state = kept


def import_quietly(name: str) -> ModuleType:
    """Import a module of DAPPER without its remarks about plots and its progress bars."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(name)


@cache
def load_hmm(name: str) -> Any:
    """Return the HMM of a module of DAPPER.

    Parameters
    ----------
    name : str
        Of the module below `dapper.mods`, such as `Lorenz96.sakov2008`.

    Raises
    ------
    ValueError
        Naming the module, and the nearest known one: no such module, one that cannot be imported or has no HMM.
    """
    whole = f"dapper.mods.{name}"
    try:
        found = getattr(import_quietly(whole), "HMM", None)
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and f"{whole}.".startswith(f"{error.name}."):
            raise ValueError(unknown_name("module of DAPPER", name, _modules())) from None
        raise ValueError(f"system dapper:{name} cannot be imported: {type(error).__name__}: {error}") from error
    if not hasattr(found, "Dyn"):
        raise ValueError(f"the module {name} of DAPPER has no HMM; {unknown_name('module with one', name, _modules())}")
    return found


def _modules() -> list[str]:
    """Names of DAPPER's modules that define an HMM."""
    root = Path(import_quietly("dapper.mods").__path__[0])
    found = (path for path in root.rglob("*.py") if re.search(r"^HMM\b", path.read_text(encoding="utf-8"), re.M))
    return sorted(".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__") for path in found)


def load_model(name: str, options: Mapping[str, Any]) -> BlackBox:
    """Make a forecast model of the HMM of a module of DAPPER.

    Raises
    ------
    ValueError
        As `load_hmm`; for options, which there are none of, and for correlated process noise.
    """
    if options:
        raise ValueError(f"system dapper:{name} has no options, but {', '.join(options)} is given")
    hmm = load_hmm(name)
    process_noise_of(name, hmm)  # refuses what a description cannot say
    return BlackBox(HmmModel(hmm), f"dapper:{name}")


def is_zero(noise: Any) -> bool:
    """Return whether a random variable of DAPPER has no variance."""
    return isinstance(noise.C, int | float) and noise.C == 0


def process_noise_of(name: str, hmm: Any) -> dict[str, Any]:
    """Return the process noise of an HMM as the key of a description; `ValueError` for a correlated one."""
    if is_zero(hmm.Dyn.noise):
        return {}
    covariance = np.asarray(hmm.Dyn.noise.C.full)
    variance = np.diag(covariance)
    if not np.array_equal(covariance, np.diag(variance)):
        raise ValueError(f"system dapper:{name} has correlated process noise; right is Dyn.noise with a diagonal C")
    deviation = np.sqrt(hmm.tseq.dt * variance)  # DAPPER's variance is that of a model time unit
    is_one = (deviation == deviation[0]).all()
    return {"process_noise": {"per_step": float(deviation[0]) if is_one else deviation.tolist()}}


def describe_module(name: str, *, has_observation: bool) -> dict[str, Any]:
    """Return what the HMM of a module of DAPPER says of an experiment: keys of its description.

    Parameters
    ----------
    name : str
        Of the module below `dapper.mods`.
    has_observation : bool
        True if something else is observed than what the HMM says.

    Raises
    ------
    ValueError
        As `load_hmm`; for noise that has no counterpart here.
    """
    hmm = load_hmm(name)
    operator, size = first_operator(hmm), int(hmm.Dyn.M)
    picked, distances = picked_components(operator, size), localizer_distances(operator, size)
    gap = np.abs(np.arange(size)[:, None] - np.array(picked or [0]))
    cyclic = np.minimum(gap, size - gap)
    is_periodic = distances is not None and distances.shape == cyclic.shape and np.allclose(distances, cyclic)
    own = None if has_observation or distances is None else "dapper"
    described = {
        "title": name,
        "steps_per_cycle": int(hmm.tseq.dko),
        "burn_in_time": max(0.0, float(hmm.tseq.BurnIn)),
        "grid": "periodic" if is_periodic else own,
    } | process_noise_of(name, hmm)
    if has_observation:
        return described
    seen: dict[str, Any] = {"components": picked} if picked else {"function": "dapper"}
    noise, kind = noise_of(operator), DISTRIBUTIONS.get(type(operator.noise).__name__)
    if kind is None:
        known = ", ".join(DISTRIBUTIONS)
        raise ValueError(f"dapper:{name}: observation noise of type {type(operator.noise).__name__}; right is {known}")
    return described | {"observation": seen | ({} if noise is None else {"noise": noise.tolist()}) | kind}


def first_operator(hmm: Any) -> Any:
    """Return the observation operator of an HMM at the first time."""
    return hmm.Obs if hasattr(hmm.Obs, "noise") else hmm.Obs(0)  # some modules forget that it depends on time


def own_operator(system: System) -> Any:
    """Return the observation operator of DAPPER that belongs to a system, at the first time.

    Raises
    ------
    ValueError
        For a system that is not from DAPPER.
    """
    if isinstance(system, BlackBox) and isinstance(system.model, HmmModel):
        return first_operator(system.model.hmm)
    raise ValueError("observation.function or grid is dapper, but the system is no module of DAPPER")


def noise_of(operator: Any) -> np.ndarray | None:
    """Return the noise of an operator of DAPPER at sigma_y = 1: standard deviations (d,), or a covariance (d, d) if it
    is correlated; None for the identity.
    """
    covariance = np.asarray(operator.noise.C.full)
    if not np.array_equal(covariance, np.diag(np.diag(covariance))):
        return covariance
    return None if np.array_equal(covariance, np.eye(len(covariance))) else np.sqrt(np.diag(covariance))


def operator_function(operator: Any) -> Callable[[Tensor], Tensor]:
    """Return an operator of DAPPER as a function from states (..., Nx) to observations (..., d), in double precision on
    the CPU.
    """

    def function(state: Tensor) -> Tensor:
        rows = state.detach().reshape(-1, state.shape[-1]).to("cpu", torch.float64).numpy()
        seen = np.array(operator(rows.copy()), dtype=np.float64)
        return torch.from_numpy(seen).reshape(*state.shape[:-1], -1).to(state)

    return function


def picked_components(operator: Any, size: int) -> list[int] | None:
    """Return the components (d,) that an operator of DAPPER picks, in ascending order; None for another operator."""
    states = np.random.default_rng(0).standard_normal((3, size))
    try:
        seen = np.asarray(operator(states))
    except TypeError:  # it wants the time, too
        return None
    same = (seen[:, :, None] == states[:, None, :]).all(0)
    picked = same.argmax(1).tolist()
    return picked if same.any(1).all() and picked == sorted(set(picked)) else None


def localizer_distances(operator: Any, size: int, *, by_batch: bool = False) -> np.ndarray | None:
    """Return the distances (Nx, d) of all components from all observations that DAPPER's localizer has.

    A localizer gives tapers alone: the distances are read off Gaussian ones, of widths that grow until all are known,
    since it leaves out what is far. What stays unknown is farther than all others.

    Parameters
    ----------
    operator : Operator
        DAPPER's observation operator.
    size : int
        Number of components Nx.
    by_batch : bool
        True for the mean distance of the components that DAPPER's LETKF analyzes together.

    Returns
    -------
    ndarray (Nx, d) or None
        In the localizer's units; None without a localizer.
    """
    localizer = getattr(operator, "localizer", None)
    if localizer is None:
        return None
    tapers = np.zeros((size, operator.M))
    distances = np.full(tapers.shape, 10.0 * WIDTHS[-1] * size)
    for width in size * WIDTHS:
        if by_batch:
            batches, of_batch = localizer(width, "x2y", "Gauss")
            places = [(np.ix_(batch, seen), taper) for batch in batches for seen, taper in [of_batch(batch)]]
        else:
            of_observation = localizer(width, "y2x", "Gauss")
            places = [((near, place), taper) for place in range(operator.M) for near, taper in [of_observation(place)]]
        unknown = tapers == 0.0
        for place, taper in places:
            tapers[place] = taper
        found = unknown & (tapers > 0.0)
        distances[found] = width * np.sqrt(-2.0 * np.log(tapers[found]))
        if (tapers > 0.0).all():
            break
    return distances
