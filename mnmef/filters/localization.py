"""Distance-dependent tapering of covariances and observations."""

import numpy as np

from mnmef.experiments.experiment import Experiment

SUPPORT_FACTOR = 1.82
"""Half the support of the taper in units of the localization radius, about sqrt(10 / 3): near zero the taper is that of
a Gaussian whose deviation is the radius, and 0.63 at one radius."""

CUTOFF = 1e-3
"""Domain localization leaves out observations whose taper is at most this, as DAPPER does."""


def gaspari_cohn(distance: np.ndarray, radius: float) -> np.ndarray:
    """Compute the taper (4.10) of Gaspari and Cohn (1999), a fifth-order piecewise rational function.

    Parameters
    ----------
    distance : ndarray
        Of any shape, in grid points.
    radius : float
        Localization radius in grid points; c = 1.82 `radius`, DAPPER's convention.

    Returns
    -------
    ndarray
        Taper in [0, 1], in the shape of `distance`.

    Raises
    ------
    ValueError
        For a radius that is not positive.
    """
    if not radius > 0:
        raise ValueError(f"localization radius must be positive, not {radius}")
    z = np.asarray(distance, dtype=float) / (SUPPORT_FACTOR * radius)
    near = 1 + z**2 * (-5 / 3 + z * (5 / 8 + z * (1 / 2 - z / 4)))
    with np.errstate(divide="ignore"):
        far = 4 - 5 * z + z**2 * (5 / 3 + z * (5 / 8 + z * (-1 / 2 + z / 12))) - 2 / (3 * z)
    return np.where(z <= 1, near, np.where(z <= 2, far, 0.0))


def domain_taper(experiment: Experiment, radius: float) -> np.ndarray:
    """Compute the taper (Nx, d) of each observation in the local analysis of each component; zero where left out."""
    taper = gaspari_cohn(experiment.distances(), radius)
    return np.where(taper > CUTOFF, taper, 0.0)
