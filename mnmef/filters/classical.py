"""Classical filters by name, one setting or a batch of settings at a time."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mnmef.core.errors import check_class, positive_number, unknown_name, whole_number
from mnmef.core.names import CLASSICAL_METHODS, LOCALIZED_METHODS, METHODS
from mnmef.experiments.experiment import Experiment
from mnmef.filters.base import Filter
from mnmef.filters.enkf import DEnKF, EnKF
from mnmef.filters.esrf import ESRF
from mnmef.filters.finite_size import EnKFN
from mnmef.filters.ienks import IEnKS
from mnmef.filters.letkf import LETKF
from mnmef.filters.localization import gaspari_cohn
from mnmef.filters.options import Options
from mnmef.filters.particle import ParticleFilter
from mnmef.filters.spreading import Respread, Rotation
from mnmef.filters.static import Static, climate_sample

Values = float | np.ndarray | Tensor

ITERATIVE = tuple(name for name in CLASSICAL_METHODS if METHODS[name].is_iterative)
DEFAULTS = Options()


class Setting(NamedTuple):
    """Hyperparameters of a classical filter.

    Attributes
    ----------
    inflation : float
        Factor >= 1 on the analysis anomalies.
    localization_radius : float or None
        In grid points; None for a method without localization.
    """

    inflation: float = 1.0
    localization_radius: float | None = None

    @classmethod
    def of(cls, row: Any) -> "Setting":
        """Return the setting of a table's row with columns inflation and localization_radius (NaN for None)."""
        radius = float(row["localization_radius"])
        return cls(float(row["inflation"]), None if np.isnan(radius) else radius)


def check_radius(method: str, radius: Values | None) -> None:
    """Raise `ValueError` for a localized method without a radius, or one that does not localize with a radius."""
    if (radius is not None) != (method in LOCALIZED_METHODS):
        verb = "needs" if method in LOCALIZED_METHODS else "does not use"
        raise ValueError(f"{method} {verb} a localization radius, but the radius given is {radius}")


def make_classical(
    method: str,
    experiment: Experiment,
    sigma_y: float,
    inflation: Values,
    localization_radius: Values | None = None,
    *,
    lag: int = 2,
    options: Options = DEFAULTS,
) -> Filter:
    """Make a classical filter with one setting, or with S settings that run as a batch.

    Parameters
    ----------
    method : str
        One of `CLASSICAL_METHODS`.
    experiment : Experiment
        Source of the distances between components and observations.
    sigma_y : float
        Standard deviation of the observation noise, state units.
    inflation : float or array (S,)
        Factor >= 1 on the analysis anomalies. A number serves ensembles (T, N, Nx), an array (S, T, N, Nx).
    localization_radius : float, array (S,) or None
        In grid points, for the localized methods only.
    lag : int
        Window of `ienks`, in cycles.
    options : Options
        What single filters have beside these.

    Returns
    -------
    Filter

    Raises
    ------
    ValueError
        For an unknown method, a sigma_y that is not positive, an inflation below 1 or of no use, a lag below 1, a
        radius that is not positive, missing or of no use, a relaxation of a method whose cycle does not start at the
        last analysis, and an iterative method where forecasts are random.
    """
    if method not in CLASSICAL_METHODS:
        raise ValueError(unknown_name("method", method, CLASSICAL_METHODS))
    check_class("experiment", experiment, Experiment)
    check_class("options", options, Options)
    check_radius(method, localization_radius)
    sigma_y, lag = positive_number("sigma_y", sigma_y), whole_number("lag", lag, 1)
    factors = _factors(method, inflation)
    radii = _numbers("localization_radius", 0.0 if localization_radius is None else localization_radius)
    if factors.ndim and radii.ndim and len(factors) != len(radii):
        raise ValueError(
            f"every setting needs an inflation and a radius, but there are {len(factors)} and {len(radii)}"
        )
    factor = float(factors) if factors.ndim == 0 else torch.from_numpy(factors)[:, None, None, None]
    if method in ITERATIVE or not METHODS[method].inflates:
        filter_ = _with_start(method, experiment, sigma_y, factor, lag, options)
    else:
        filter_ = _one_analysis(method, experiment, sigma_y, factor, radii, options)
        filter_ = Respread(filter_, options) if options.relaxes or options.rotation else filter_
    filter_.is_batch = bool(factors.ndim or radii.ndim)
    return filter_


def _factors(method: str, inflation: Values) -> np.ndarray:
    """Return factors on the anomalies; `ValueError` for one below 1, or another than 1 of a method without them."""
    factors = _numbers("inflation", inflation)
    if not (np.isfinite(factors) & (factors >= 1.0)).all():
        raise ValueError(f"inflation must be a finite factor of at least 1, not {inflation}")
    if not METHODS[method].inflates and (factors != 1.0).any():
        raise ValueError(f"{method} has no anomalies to inflate: its inflation is 1, not {inflation}")
    return factors


def _numbers(name: str, values: Values) -> np.ndarray:
    """Return numbers in double precision."""
    try:
        return np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be a number, or numbers for a batch of settings, not {values!r}") from None


def _with_start(method: str, experiment: Experiment, sigma_y: float, factor: Any, lag: int, options: Options) -> Filter:
    """Make a filter whose cycles start from something else than the last analysis."""
    if options.relaxes or (options.rotation and method not in ITERATIVE):
        raise ValueError(f"cycles of {method} do not start from its analysis, so that relaxing it has no effect")
    if method in ITERATIVE and experiment.is_random:
        raise ValueError(f"{method} runs the model in its analysis, so that {experiment.title} must not be random")
    if method == "particle":
        return ParticleFilter(sigma_y, options)
    if method not in ITERATIVE:
        return Static(method, experiment, sigma_y, climate_sample(experiment, options.seed), options.background)
    return IEnKS(
        sigma_y,
        factor,
        lag=lag if method == "ienks" else 1,
        perturbed=method == "ienkf_pertobs",
        hyperprior=options.hyperprior,
        rotation=Rotation(options.seed) if options.rotation else None,
    )


def _one_analysis(
    method: str, experiment: Experiment, sigma_y: float, factor: Any, radii: np.ndarray, options: Options
) -> Filter:
    """Make a filter that analyzes each forecast once."""
    if method == "letkf":
        return LETKF(experiment, sigma_y, factor, radii)
    if method == "enkf_n":
        return EnKFN(sigma_y, factor, 1.0 if options.hyperprior is None else options.hyperprior)
    if method == "enkf_localized":
        localized = EnKF(sigma_y, factor, _tapers(experiment, radii))
        localized.made_for = experiment
        return localized
    return {"enkf": EnKF, "denkf": DEnKF, "esrf": ESRF}[method](sigma_y, factor)


def _tapers(experiment: Experiment, radii: np.ndarray) -> Tensor:
    """Return covariance tapers (Nx, d), or (S, 1, Nx, d) for S radii."""
    distances = experiment.distances()
    tapers = torch.stack([torch.from_numpy(gaspari_cohn(distances, float(r))) for r in np.atleast_1d(radii)])
    return tapers.unsqueeze(1) if radii.ndim else tapers[0]
