"""DAPPER, run on our truths, observations and first ensembles: the reference for tuning and for proofs of equality.

It works with DAPPER 1.7 and 1.8.
"""

import contextlib
import io
import warnings
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import torch

from mnmef.core.errors import unknown_name
from mnmef.experiments.experiment import Experiment
from mnmef.filters.classical import DEFAULTS, Setting, check_radius
from mnmef.filters.options import Options
from mnmef.systems import System

DAPPER_METHODS = ("enkf", "esrf", "letkf", "ienkf_pertobs", "ienkf_sqrt", "ienks")

FURTHER_METHODS = ("enkf_n", "denkf", "particle", "var3d")
"""Methods beyond the paper; `var3d` takes the climate from the truth that DAPPER is given."""

_DIVERGENCE = (ArithmeticError, RuntimeError, ValueError, np.linalg.LinAlgError)
"""Errors of DAPPER and its linear algebra for a non-finite ensemble; wrong input has been ruled out by then."""


@cache
def _dapper() -> ModuleType:
    """Import DAPPER once, without its progress bars and its remark about interactive plotting."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import dapper
        import dapper.da_methods
        import dapper.mods
        import dapper.tools.localization
        import dapper.tools.progressbar
        import dapper.tools.randvars
        import dapper.tools.seeding
    dapper.tools.progressbar.disable_progbar = True
    return dapper


def dapper_step(system: System) -> Any:
    """DAPPER's own model step `(state, time, step_size) -> state` for the system; that of a module, as it is.

    Raises `ValueError` for a system that DAPPER does not have, or has with other parameters.
    """
    _dapper()
    step = system.dapper_step()
    if step is None:
        raise ValueError(f"DAPPER has no model of {system.title} with these options: {vars(system)}")
    return step


def hidden_markov_model(experiment: Experiment, sigma_y: float, first_ensemble: np.ndarray, cycles: int) -> Any:
    """Return DAPPER's description of the twin experiment, with the given first ensemble (N, Nx)."""
    dapper = _dapper()
    mods, size = dapper.mods, experiment.state_size

    def observe(ensemble: np.ndarray) -> np.ndarray:
        return experiment.observe(torch.from_numpy(ensemble)).numpy()

    relative = experiment.observation.covariance()
    noise = dapper.tools.randvars.GaussRV(C=sigma_y**2 * relative)
    obs: Any = {"M": experiment.observation_size, "model": observe, "noise": noise}
    localization, known = dapper.tools.localization, experiment.known_distances
    if known is not None:
        obs["localizer"] = localization.localization_setup(lambda: known.T, np.arange(size)[:, None])
    elif experiment.grid and experiment.observed:
        shape = experiment.grid_shape
        obs["localizer"] = localization.nd_Id_localization(shape, (1,) * len(shape), np.array(experiment.observed))
    if [int(part) for part in dapper.__version__.split(".")[:2]] >= [1, 8]:  # a dictionary before
        obs = mods.Operator(**obs)
    # K, the number of steps, and not Ko, which is 0 for a single cycle and then taken as not given.
    steps = cycles * experiment.steps_per_cycle
    times = mods.Chronology(experiment.system.step_size, dko=experiment.steps_per_cycle, K=steps, Tplot=1, BurnIn=0)
    first = mods.RV(M=size, func=lambda count: first_ensemble[:count].copy())
    dynamics = {"M": size, "model": dapper_step(experiment.system), "noise": _process_noise(experiment)}
    return mods.HiddenMarkovModel(dynamics, obs, times, first)


def _process_noise(experiment: Experiment) -> Any:
    """Return DAPPER's process noise, whose variance is that of a model time unit; it is added at every step."""
    noise = experiment.process_noise
    if noise is None:
        return 0
    if noise.when != "per_step":
        raise ValueError(f"DAPPER adds process noise at every step, but {experiment.title} has it {noise.when}")
    variance = np.broadcast_to(noise.deviation**2 / experiment.system.step_size, experiment.state_size)
    return _dapper().tools.randvars.GaussRV(C=variance)


def dapper_method(method: str, members: int, setting: Setting, lag: int = 2, options: Options = DEFAULTS) -> Any:
    """Return DAPPER's experiment object for one of our methods; `ValueError` for a method that DAPPER does not have."""
    if method == "enkf_localized":
        raise ValueError(
            "DAPPER has no perturbed-observation EnKF with covariance localization: enkf_localized is ours alone"
        )
    known = (*DAPPER_METHODS, *FURTHER_METHODS)
    if method not in known:
        raise ValueError(unknown_name("DAPPER method", method, known))
    da, (inflation, radius), rotation, certainty = _dapper().da_methods, setting, options.rotation, options.hyperprior
    if method == "letkf":
        return da.LETKF(N=members, infl=inflation, loc_rad=radius, rot=rotation)
    if method == "enkf_n":
        return da.EnKF_N(N=members, dual=True, xN=certainty or 1.0, infl=inflation, rot=rotation)
    if method == "particle":
        return da.PartFilt(N=members, reg=options.jitter, NER=options.resampling)
    if method == "var3d":
        return da.Var3D(xB=options.background)
    update = "PertObs" if method in ("enkf", "ienkf_pertobs") else "DEnKF" if method == "denkf" else "Sqrt"
    if method in ("enkf", "denkf", "esrf"):
        return da.EnKF(update, members, infl=inflation, rot=rotation)
    lag = lag if method == "ienks" else 1
    return da.iEnKS(update, members, infl=inflation, Lag=lag, xN=certainty, rot=rotation)


def run_dapper(
    method: str,
    experiment: Experiment,
    sigma_y: float,
    first_ensemble: np.ndarray,
    observations: np.ndarray,
    setting: Setting,
    *,
    lag: int = 2,
    seed: int = 1,
) -> np.ndarray:
    """Run a method of DAPPER.

    Parameters
    ----------
    method : str
        One of `DAPPER_METHODS`.
    experiment : Experiment
        The dynamics and the observation operator.
    sigma_y : float
        Standard deviation of the observation noise, state units.
    first_ensemble : ndarray (N, Nx)
        Ensemble one cycle before the first observation.
    observations : ndarray (K, d)
        Observations, one cycle apart.
    setting : Setting
        Inflation and localization radius.
    lag : int
        Window of `ienks`, in cycles.
    seed : int
        Seed, at least 1, of DAPPER's global generator, from which stochastic methods draw.

    Returns
    -------
    ndarray (K, Nx)
        Analysis means, all NaN if the run breaks down or the state becomes non-finite.

    Raises
    ------
    ValueError
        For arrays of the wrong shape, non-finite input, or a setting that the method cannot have.
    """
    first, seen = np.asarray(first_ensemble, dtype=float), np.asarray(observations, dtype=float)
    _check_input(experiment, sigma_y, first, seen, setting)
    xp = dapper_method(method, len(first), setting, lag)
    check_radius(method, setting.localization_radius)
    if assimilation_error(xp, hidden_markov_model(experiment, sigma_y, first, len(seen)), seen, seed):
        return np.full((len(seen), experiment.state_size), np.nan)
    means = np.array(xp.stats.mu.a)
    # 1.7 checks each ensemble it assesses, but the last increment of an iterative filter can still overflow.
    return means if np.isfinite(means).all() else np.full_like(means, np.nan)


def _check_input(experiment: Experiment, sigma_y: float, first: np.ndarray, seen: np.ndarray, setting: Setting) -> None:
    """Raise `ValueError` for arrays, noise or a setting that no method can have."""
    inflation, radius = setting
    if first.ndim != 2 or first.shape[0] < 2 or first.shape[1] != experiment.state_size:
        raise ValueError(f"the first ensemble must be (N >= 2, {experiment.state_size}), not {first.shape}")
    if seen.ndim != 2 or len(seen) == 0 or seen.shape[1] != experiment.observation_size:
        raise ValueError(f"observations must be (K >= 1, {experiment.observation_size}), not {seen.shape}")
    if not (np.isfinite(first).all() and np.isfinite(seen).all()):
        raise ValueError("the first ensemble and the observations must be finite")
    if not (sigma_y > 0 and 1.0 <= inflation < np.inf):
        raise ValueError(f"sigma_y must be positive and inflation at least 1, not {sigma_y} and {inflation}")
    if radius is not None and not radius > 0:
        raise ValueError(f"localization radius must be positive, not {radius}")


def assimilation_error(xp: Any, model: Any, observations: np.ndarray, seed: int) -> str | None:
    """Run DAPPER's xp; return the text of the error that ended the run, or None."""
    if seed < 1:
        raise ValueError(f"DAPPER's seed must be at least 1, not {seed}")
    _dapper().tools.seeding.set_seed(seed)
    # DAPPER's statistics want a truth; the means are scored elsewhere, so that zeros will do.
    truth = np.zeros((model.tseq.K + 1, model.Dyn.M))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            xp.assimilate(model, truth, np.asarray(observations, dtype=float))
        except _DIVERGENCE as error:
            return f"{type(error).__name__}: {error}"
    return None
