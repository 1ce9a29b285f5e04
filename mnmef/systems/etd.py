"""Coefficients of the exponential time difference scheme ETD-RK4 of stiff equations (Cox & Matthews 2002)."""

import numpy as np


def etd_rk4_coefficients(linear: np.ndarray, h: float) -> tuple[np.ndarray, ...]:
    """Return the coefficients of one step of `v' = linear v + N(v)`, each of the shape of `linear`.

    Parameters
    ----------
    linear : ndarray
        Real rates, one for each mode.
    h : float
        Step size.

    Returns
    -------
    tuple of ndarray
        exp(h linear), exp(h linear / 2), q, f1, f2 and f3, as contour means over 16 points (Kassam & Trefethen 2005).
    """
    z = h * linear[..., None] + np.exp(1j * np.pi * (0.5 + np.arange(16)) / 16)
    ez = np.exp(z)
    q = h * ((np.exp(z / 2) - 1) / z).mean(-1).real
    f1 = h * ((-4 - z + ez * (4 - 3 * z + z**2)) / z**3).mean(-1).real
    f2 = h * ((2 + z + ez * (z - 2)) / z**3).mean(-1).real
    f3 = h * ((-4 - 3 * z - z**2 + ez * (4 - z)) / z**3).mean(-1).real
    return np.exp(h * linear), np.exp(h * linear / 2), q, f1, f2, f3
