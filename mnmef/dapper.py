"""Our filters as methods of DAPPER: they stand in an `xpList` beside its own, with its loop, statistics and draws.

`from mnmef.dapper import LETKF, Learned`. It works with DAPPER 1.7, where a decorator makes a method, and 1.8, where a
base class does. Ensembles are float64 throughout.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, cast

import dapper.da_methods as da
import numpy as np
import torch
from dapper.da_methods.ensemble import add_noise, post_process
from dapper.tools.progressbar import progbar
from dapper.tools.seeding import rng
from torch import Tensor, nn

from mnmef.core.names import LOCALIZED_METHODS
from mnmef.experiments.experiment import Experiment
from mnmef.filters.base import Filter
from mnmef.filters.classical import make_classical
from mnmef.filters.ienks import IEnKS as Smoother
from mnmef.learning.checkpoints import load_checkpoint
from mnmef.observations import Observation
from mnmef.systems.from_dapper import (
    HmmModel,
    is_zero,
    localizer_distances,
    noise_of,
    operator_function,
    picked_components,
)
from mnmef.systems.outside import BlackBox


def seen_by_filters(HMM: Any, ko: int, *, by_batch: bool = False) -> tuple[Experiment, float]:
    """Return what our filters see of a hidden Markov model of DAPPER at an observation time.

    Parameters
    ----------
    HMM : HiddenMarkovModel
        DAPPER's object.
    ko : int
        Number of the observation time.
    by_batch : bool
        True for the distances of DAPPER's LETKF, which analyzes some components together.

    Returns
    -------
    experiment : Experiment
        Dynamics, observation operator and distances.
    sigma_y : float
        Standard deviation of the observation noise; 1 where the experiment has a covariance.

    Raises
    ------
    ValueError
        For observation noise without a positive definite covariance.
    """
    operator, size = HMM.Obs(ko), HMM.Dyn.M
    noise, picked = noise_of(operator), picked_components(operator, size)
    sigma_y = 1.0
    if noise is not None and noise.ndim == 1 and np.ptp(noise) == 0:
        sigma_y, noise = float(noise[0]), None
    made = Experiment(
        name=str(HMM.name),
        title=str(HMM.name),
        system=BlackBox(HmmModel(HMM), str(HMM.name)),
        observation=Observation(size, picked, "identity" if picked else operator_function(operator), noise=noise),
        steps_per_cycle=HMM.tseq.dko,
        bound=np.inf,
        known_distances=localizer_distances(operator, size, by_batch=by_batch),
    )
    return made, sigma_y


def _method(cls: type[Any]) -> type[Any]:
    """Make a method of DAPPER of a class with `assimilate`, in the way of the version that is installed."""
    if isinstance(da.da_method, type):
        kept = {key: getattr(cls, key) for key in ("__module__", "__qualname__", "__doc__", "assimilate")}
        made: Any = type(cls.__name__, (da.da_method, dataclass(cls)), kept)
    else:
        made = da.da_method()(cls)
    made.da_method = f"mnmef.{cls.__name__}"  # in DAPPER's tables, beside its own of the same name
    return made


def _double(values: Any) -> Tensor:
    return torch.from_numpy(np.array(values, dtype=np.float64))


@dataclass(kw_only=True)
class _Ensemble:
    """DAPPER's loop, and the settings that it gives its own ensemble methods.

    Parameters
    ----------
    infl : float
        Factor on the anomalies after each analysis.
    rot : bool
        Rotate the anomalies at random after each analysis.
    fnoise_treatm : str
        Treatment of process noise.
    """

    infl: float = 1.0
    rot: bool = False
    fnoise_treatm: str = "Stoch"

    def make(self, HMM: Any, ko: int) -> tuple[Filter, Experiment]:
        """Make the filter of an observation time, and what it sees."""
        raise NotImplementedError(f"{type(self).__name__} makes no filter: a method of DAPPER defines `make`")

    def assimilate(self: Any, HMM: Any, xx: np.ndarray, yy: np.ndarray) -> None:
        """Run the filter over all observations `yy`; DAPPER's statistics compare it with the truth `xx`."""
        operator: Any = None
        E = HMM.X0.sample(self.N)
        self.stats.assess(0, E=E)
        start = E
        for k, ko, t, dt in progbar(HMM.tseq.ticker):
            E = HMM.Dyn(E, t - dt, dt)
            E = add_noise(E, dt, HMM.Dyn.noise, self.fnoise_treatm)
            if ko is not None:
                self.stats.assess(k, ko, "f", E=E)
                if HMM.Obs(ko) is not operator:
                    operator = HMM.Obs(ko)
                    filter_, experiment = self.make(HMM, ko)
                noise, seen = None, _double(yy[ko])
                if filter_.needs_noise:
                    noise = _double(operator.noise.sample(self.N) @ operator.noise.C.sym_sqrt_inv.T)
                if not bool(seen.isnan().all()):  # else there is no observation, and the forecast stays
                    with torch.no_grad():
                        refined = filter_.refine(_double(start), _double(E), seen, experiment)
                        E = filter_.analyze(refined, seen, experiment, noise).numpy()
                    E = post_process(E, self.infl, self.rot)
                start = E
            self.stats.assess(k, ko, E=E)


class _Classical(_Ensemble):
    """A classical filter of ours, inflated by DAPPER."""

    method: ClassVar[str]

    def make(self, HMM: Any, ko: int) -> tuple[Filter, Experiment]:
        """Make the filter of an observation time, and what it sees."""
        experiment, sigma_y = seen_by_filters(HMM, ko, by_batch=self.method == "letkf")
        if self.method in LOCALIZED_METHODS and experiment.known_distances is None:
            raise ValueError(f"{HMM.name}: its Obs has no localizer, so there is no distance to localize with")
        return make_classical(self.method, experiment, sigma_y, 1.0, getattr(self, "loc_rad", None)), experiment


@_method
class EnKF(_Classical):
    """Perturbed-observation EnKF with N members: DAPPER's `EnKF("PertObs", N)`."""

    method: ClassVar[str] = "enkf"
    N: int


@_method
class EnKFLocalized(_Classical):
    """Perturbed-observation EnKF with covariance localization; `loc_rad` in the units of the localizer of `HMM.Obs`."""

    method: ClassVar[str] = "enkf_localized"
    N: int
    loc_rad: float


@_method
class ESRF(_Classical):
    """Symmetric square-root filter with N members: DAPPER's `EnKF("Sqrt", N)`."""

    method: ClassVar[str] = "esrf"
    N: int


@_method
class LETKF(_Classical):
    """Local ensemble transform Kalman filter: DAPPER's `LETKF(N, loc_rad)`, all local analyses at once."""

    method: ClassVar[str] = "letkf"
    N: int
    loc_rad: float


@_method
class Learned(_Ensemble):
    """A learned filter, or any other of ours, used where it was trained.

    Attributes
    ----------
    weights : str, Path or Filter
        File of a checkpoint, or the filter itself. It runs in double precision; a filter that is given stays as it is.
    N : int
        Number of members.
    """

    weights: Any = field(repr=False)  # DAPPER's tables show `filter` instead
    N: int

    def __post_init__(self) -> None:
        is_filter = isinstance(self.weights, Filter)
        self.filter = self.weights.name if is_filter else Path(self.weights).stem

    def make(self, HMM: Any, ko: int) -> tuple[Filter, Experiment]:
        """Make the filter of an observation time, and what it sees.

        Raises
        ------
        ValueError
            For a filter that was trained with another state, observation, noise or interval.
        """
        given = self.weights if isinstance(self.weights, Filter) else load_checkpoint(self.weights)
        experiment, sigma_y = seen_by_filters(HMM, ko)
        if not isinstance(given, nn.Module):
            return given, experiment
        trained: Any = given.experiment
        facts: dict[str, Callable[[Experiment], object]] = {
            "components": lambda each: each.state_size,
            "observed": lambda each: list(each.observed),
            "function": lambda each: each.observation.function,
            "noise": lambda each: None if each.observation.noise is None else each.observation.noise.tolist(),
            "interval": lambda each: round(each.cycle_length, 9),
        }
        pairs = {key: (fact(trained), fact(experiment)) for key, fact in facts.items()}
        for key, (right, here) in {**pairs, "sigma_y": (given.sigma_y, round(sigma_y, 9))}.items():
            if right != here:
                raise ValueError(f"{self.filter} was trained with {key} = {right}, but {HMM.name} has {key} = {here}")
        return copy.deepcopy(given).double(), trained


@_method
class IEnKS:
    """Iterative ensemble Kalman smoother: DAPPER's `iEnKS` with its 10 iterations; without process noise.

    Attributes
    ----------
    upd_a : str
        "Sqrt", or "PertObs" with the window of one cycle.
    N : int
        Number of members.
    Lag : int
        Cycles of the window; with 1 the iterative ensemble Kalman filter.
    infl : float
        Factor on the anomalies after each analysis.
    """

    upd_a: str
    N: int
    Lag: int = 1
    infl: float = 1.0

    def assimilate(self: Any, HMM: Any, xx: np.ndarray, yy: np.ndarray) -> None:
        """Run the smoother over all observations `yy`; DAPPER's statistics compare it with the truth `xx`."""
        if not is_zero(HMM.Dyn.noise):
            raise ValueError(f"{HMM.name} has process noise, which the smoother cannot use: Dyn.noise must be 0")
        E, operator = HMM.X0.sample(self.N), cast(Any, None)
        self.stats.assess(0, E=E)
        carry: Any = (_double(E)[None], 0)
        for ko, k in enumerate(progbar(HMM.tseq.kko)):
            if HMM.Obs(ko) is not operator:
                operator = HMM.Obs(ko)
                experiment, sigma_y = seen_by_filters(HMM, ko)
                smoother = Smoother(sigma_y, self.infl, lag=self.Lag, perturbed=self.upd_a == "PertObs")
            noise = _double(rng.standard_normal((self.N, operator.M))) if smoother.needs_noise else None
            result = smoother.cycle(carry, _double(yy[ko])[None], experiment, noise)
            carry = result.carry
            for kind, ensemble in (("f", result.forecast), ("a", result.analysis)):
                self.stats.assess(k, ko, kind, E=ensemble[0].numpy())
