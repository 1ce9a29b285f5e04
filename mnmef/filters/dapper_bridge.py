"""DAPPER, run on our truths, observations and first ensembles: the reference for tuning and for proofs of equality.

The only module that imports dapper. It works with DAPPER 1.7 and 1.8.
"""

import contextlib
import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from types import ModuleType
from typing import Any

import numpy as np

from mnmef.core.errors import unknown_name
from mnmef.systems.base import System

DAPPER_METHODS = ("enkf", "esrf", "letkf", "ienkf_pertobs", "ienkf_sqrt", "ienks_sqrt_lag2")

_DIVERGENCE = (ArithmeticError, RuntimeError, ValueError, np.linalg.LinAlgError)
"""What DAPPER and its linear algebra raise once an ensemble is non-finite; wrong input has been ruled out by then."""


@dataclass(frozen=True)
class DapperRun:
    """Analyses of one run: mean (K, Nx), ensemble (K, N, Nx), all NaN if it diverged; failure says why, or is None."""

    mean: np.ndarray
    ensemble: np.ndarray
    failure: str | None


@cache
def _dapper() -> ModuleType:
    """DAPPER, imported once and quietly: no progress bars, and its remark about interactive plotting is not shown."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import dapper
        import dapper.da_methods
        import dapper.mods
        import dapper.tools.localization
        import dapper.tools.progressbar
        import dapper.tools.seeding
    dapper.tools.progressbar.disable_progbar = True
    return dapper


def _version() -> tuple[int, int]:
    """DAPPER's version, (major, minor)."""
    major, minor = metadata.version("dapper").split(".")[:2]
    return int(major), int(minor)


@cache
def dapper_step(system_name: str) -> Any:
    """DAPPER's own model step `(state, time, step_size) -> state` for the system."""
    _dapper()
    if system_name == "lorenz63":
        from dapper.mods.Lorenz63 import step
    elif system_name == "lorenz96":
        from dapper.mods.Lorenz96 import step
    elif system_name == "ks":
        from dapper.mods.KS import Model

        step = Model(dt=0.25).step
    else:
        raise ValueError(unknown_name("DAPPER model", system_name, ("lorenz63", "lorenz96", "ks")))
    return step


def hidden_markov_model(system: System, sigma_y: float, first_ensemble: np.ndarray, cycles: int) -> Any:
    """DAPPER's description of the twin experiment; its first ensemble is the given one (N, Nx)."""
    dapper = _dapper()
    mods, size = dapper.mods, system.state_size
    from dapper.mods.utils import partial_Id_Obs

    observed = np.array(system.observed)
    obs = {**partial_Id_Obs(size, observed), "noise": sigma_y**2}
    if system.is_periodic:
        obs["localizer"] = dapper.tools.localization.nd_Id_localization((size,), (1,), observed)
    if _version() >= (
        1,
        8,
    ):  # since then observations are an operator, or a function that returns one; before, a dictionary
        obs = mods.Operator(**obs)
    # K, the number of steps, and not Ko, which is 0 for a single cycle and then taken as not given.
    steps = cycles * system.steps_per_cycle
    times = mods.Chronology(system.step_size, dko=system.steps_per_cycle, K=steps, Tplot=1, BurnIn=0)
    first = mods.RV(M=size, func=lambda count: first_ensemble[:count].copy())
    return mods.HiddenMarkovModel({"M": size, "model": dapper_step(system.name), "noise": 0}, obs, times, first)


def dapper_method(method: str, members: int, inflation: float, localization_radius: float | None) -> Any:
    """DAPPER's experiment object for one of our method names; `ValueError` for a method that DAPPER does not have."""
    if method == "enkf_localized":
        raise ValueError(
            "DAPPER has no perturbed-observation EnKF with covariance localization: enkf_localized is ours alone"
        )
    da = _dapper().da_methods
    if method == "letkf":
        return da.LETKF(N=members, infl=inflation, loc_rad=localization_radius)
    makers = {
        "enkf": lambda: da.EnKF("PertObs", members, infl=inflation),
        "esrf": lambda: da.EnKF("Sqrt", members, infl=inflation),
        "ienkf_pertobs": lambda: da.iEnKS("PertObs", members, infl=inflation, Lag=1),
        "ienkf_sqrt": lambda: da.iEnKS("Sqrt", members, infl=inflation, Lag=1),
        "ienks_sqrt_lag2": lambda: da.iEnKS("Sqrt", members, infl=inflation, Lag=2),
    }
    if method not in makers:
        raise ValueError(unknown_name("DAPPER method", method, DAPPER_METHODS))
    return makers[method]()


def run_dapper(
    method: str,
    system: System,
    sigma_y: float,
    first_ensemble: np.ndarray,
    observations: np.ndarray,
    *,
    inflation: float = 1.0,
    localization_radius: float | None = None,
    seed: int = 1,
) -> np.ndarray:
    """Analysis means (K, Nx) of a DAPPER method from the given first ensemble (N, Nx) and observations (K, d).

    The first ensemble lies one cycle before the first observation. seed: at least 1, of DAPPER's global generator, from
    which the stochastic methods draw. A run that breaks down, or whose state becomes non-finite, is NaN throughout.
    Raises `ValueError` for arrays of the wrong shape, non-finite input, or a setting that the method cannot have.
    """
    model, experiment = _prepare(method, system, sigma_y, first_ensemble, observations, inflation, localization_radius)
    failure = _assimilate(experiment, model, observations, seed)
    means = np.full((len(observations), system.state_size), np.nan) if failure else np.array(experiment.stats.mu.a)
    # 1.7 checks each ensemble it assesses, but the last increment of an iterative filter can still overflow.
    return means if np.isfinite(means).all() else np.full_like(means, np.nan)


def run_dapper_with_ensembles(
    method: str,
    system: System,
    sigma_y: float,
    first_ensemble: np.ndarray,
    observations: np.ndarray,
    *,
    inflation: float = 1.0,
    localization_radius: float | None = None,
    seed: int = 1,
) -> DapperRun:
    """As `run_dapper`, with the analysis ensembles at observation times, which DAPPER itself does not keep."""
    model, experiment = _prepare(method, system, sigma_y, first_ensemble, observations, inflation, localization_radius)
    ensembles = np.full((len(observations), *np.shape(first_ensemble)), np.nan)
    with _recorded_analyses(experiment, ensembles):
        failure = _assimilate(experiment, model, observations, seed)
    if failure is None and not np.isfinite(ensembles).all():
        failure = "the ensemble became non-finite"
    if failure is not None:
        ensembles[:] = np.nan
    return DapperRun(ensembles.mean(1), ensembles, failure)


def _prepare(
    method: str,
    system: System,
    sigma_y: float,
    first_ensemble: np.ndarray,
    observations: np.ndarray,
    inflation: float,
    localization_radius: float | None,
) -> tuple[Any, Any]:
    """DAPPER's model and experiment, after all checks of the input."""
    first, seen = np.asarray(first_ensemble, dtype=float), np.asarray(observations, dtype=float)
    if first.ndim != 2 or first.shape[0] < 2 or first.shape[1] != system.state_size:
        raise ValueError(f"the first ensemble must be (N >= 2, {system.state_size}), not {first.shape}")
    if seen.ndim != 2 or len(seen) == 0 or seen.shape[1] != system.observation_size:
        raise ValueError(f"observations must be (K >= 1, {system.observation_size}), not {seen.shape}")
    if not (np.isfinite(first).all() and np.isfinite(seen).all()):
        raise ValueError("the first ensemble and the observations must be finite")
    if not (sigma_y > 0 and 1.0 <= inflation < np.inf):
        raise ValueError(f"sigma_y must be positive and inflation at least 1, not {sigma_y} and {inflation}")
    experiment = dapper_method(method, len(first), inflation, localization_radius)
    if (localization_radius is not None) != (method == "letkf"):
        verb = "needs" if method == "letkf" else "does not use"
        raise ValueError(f"{method} {verb} a localization radius, but the radius given is {localization_radius}")
    if localization_radius is not None and not localization_radius > 0:
        raise ValueError(f"localization radius must be positive, not {localization_radius}")
    return hidden_markov_model(system, sigma_y, first, len(seen)), experiment


def _assimilate(experiment: Any, model: Any, observations: np.ndarray, seed: int) -> str | None:
    """Run DAPPER's experiment; return the text of the error that ended it, or None."""
    if seed < 1:
        raise ValueError(f"DAPPER's seed must be at least 1, not {seed}")
    _dapper().tools.seeding.set_seed(seed)
    # DAPPER's statistics want a truth; the means are scored elsewhere, so that zeros will do.
    truth = np.zeros((model.tseq.K + 1, model.Dyn.M))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            experiment.assimilate(model, truth, np.asarray(observations, dtype=float))
        except _DIVERGENCE as error:
            return f"{type(error).__name__}: {error}"
    return None


@contextlib.contextmanager
def _recorded_analyses(experiment: Any, ensembles: np.ndarray) -> Iterator[None]:
    """Copy every analysis ensemble that `experiment` hands to its statistics into `ensembles` (K, N, Nx).

    DAPPER makes the statistics object when the run starts and offers no hook, so its class is wrapped during the run.
    """
    from dapper.stats import Stats

    original = Stats.assess

    def assess(stats: Any, k: int, ko: int | None = None, kind: str | None = None, *args: Any, **kwargs: Any) -> None:
        # Filters name no kind for what follows an analysis; smoothers say "a", and "s" for what they have smoothed.
        if stats.xp is experiment and ko is not None and (kind is None or "a" in kind):
            ensembles[ko] = kwargs["E"]
        original(stats, k, ko, kind, *args, **kwargs)

    Stats.assess = assess
    try:
        yield
    finally:
        Stats.assess = original
