"""The classical filters by name, one setting or a batch of settings at a time."""

import numpy as np
import torch
from torch import Tensor

from mnmef.core.errors import unknown_name
from mnmef.filters.base import Filter
from mnmef.filters.enkf import EnKF
from mnmef.filters.esrf import ESRF
from mnmef.filters.ienks import IEnKS
from mnmef.filters.letkf import LETKF
from mnmef.filters.localization import gaspari_cohn
from mnmef.systems.base import System

CLASSICAL_METHODS = ("enkf", "enkf_localized", "esrf", "letkf", "ienkf_pertobs", "ienkf_sqrt", "ienks_sqrt_lag2")
LOCALIZED_METHODS = ("enkf_localized", "letkf")

Values = float | np.ndarray | Tensor


def make_classical(
    method: str, system: System, sigma_y: float, inflation: Values, localization_radius: Values | None = None
) -> Filter:
    """The classical filter called `method` for observations of `system` with noise `sigma_y`.

    inflation: factor >= 1 on analysis anomalies. localization_radius: in grid points, for the localized methods only.
    Either numbers, for ensembles (T, N, Nx), or arrays (S,) of S settings, for ensembles (S, T, N, Nx).
    Raises `ValueError` for an unknown method, an inflation below 1, a radius that is not positive, missing or not used.
    """
    if method not in CLASSICAL_METHODS:
        raise ValueError(unknown_name("method", method, CLASSICAL_METHODS))
    if (localization_radius is not None) != (method in LOCALIZED_METHODS):
        verb = "needs" if method in LOCALIZED_METHODS else "does not use"
        raise ValueError(f"{method} {verb} a localization radius, but the radius given is {localization_radius}")
    factors = np.asarray(inflation, dtype=float)
    if not (np.isfinite(factors) & (factors >= 1.0)).all():
        raise ValueError(f"inflation must be a finite factor of at least 1, not {inflation}")
    radii = np.asarray(0.0 if localization_radius is None else localization_radius, dtype=float)
    if factors.ndim and radii.ndim and len(factors) != len(radii):
        raise ValueError(
            f"every setting needs an inflation and a radius, but there are {len(factors)} and {len(radii)}"
        )
    factor = float(factors) if factors.ndim == 0 else torch.from_numpy(factors)[:, None, None, None]
    if method == "letkf":
        return LETKF(system, sigma_y, factor, radii)
    if method == "enkf_localized":
        return EnKF(sigma_y, factor, _tapers(system, radii))
    if method == "enkf":
        return EnKF(sigma_y, factor)
    if method == "esrf":
        return ESRF(sigma_y, factor)
    return IEnKS(sigma_y, factor, lag=2 if method.endswith("lag2") else 1, perturbed=method == "ienkf_pertobs")


def _tapers(system: System, radii: np.ndarray) -> Tensor:
    """Covariance tapers (Nx, d), or (S, 1, Nx, d) for S radii."""
    if radii.ndim == 0:
        return torch.from_numpy(gaspari_cohn(system.distances(), float(radii)))
    return torch.stack([torch.from_numpy(gaspari_cohn(system.distances(), float(r))) for r in radii]).unsqueeze(1)
