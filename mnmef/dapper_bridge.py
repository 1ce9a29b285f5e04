"""DAPPER, run on our truths, observations and first ensembles: the reference for tuning and for proofs of equality.

The only module that imports dapper. It works with DAPPER 1.7 and 1.8.
"""

import contextlib
import io
import warnings
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

from mnmef.errors import unknown_name
from mnmef.systems.base import System

DAPPER_METHODS = ("enkf", "esrf", "letkf", "ienkf_pertobs", "ienkf_sqrt", "ienks_sqrt_lag2")

_DIVERGENCE = (np.linalg.LinAlgError, FloatingPointError, OverflowError, ValueError)
"""What DAPPER and its linear algebra raise when an ensemble has become non-finite."""


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
    obs = partial_Id_Obs(size, observed)
    obs["noise"] = sigma_y**2
    if system.is_periodic:
        obs["localizer"] = dapper.tools.localization.nd_Id_localization((size,), (1,), observed)
    times = mods.Chronology(system.step_size, dko=system.steps_per_cycle, Ko=cycles - 1, Tplot=1, BurnIn=0)
    first = mods.RV(M=size, func=lambda count: first_ensemble[:count].copy())
    return mods.HiddenMarkovModel({"M": size, "model": dapper_step(system.name), "noise": 0}, obs, times, first)


def dapper_method(method: str, members: int, inflation: float, localization_radius: float | None) -> Any:
    """DAPPER's experiment object for one of our method names. Raises `ValueError` for a method that DAPPER does not have."""
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

    seed: at least 1, of DAPPER's global generator, which the stochastic methods draw from. A run that breaks down is NaN throughout.
    """
    dapper = _dapper()
    cycles = len(observations)
    model = hidden_markov_model(system, sigma_y, np.asarray(first_ensemble, dtype=float), cycles)
    experiment = dapper_method(method, len(first_ensemble), inflation, localization_radius)
    dapper.tools.seeding.set_seed(seed)
    # DAPPER's statistics want a truth; we score the means ourselves, so that zeros will do.
    truth = np.zeros((model.tseq.K + 1, system.state_size))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            experiment.assimilate(model, truth, np.asarray(observations, dtype=float))
        except _DIVERGENCE:
            return np.full((cycles, system.state_size), np.nan)
    return np.array(experiment.stats.mu.a)
