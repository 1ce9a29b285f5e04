"""Coefficients of the exponential time differencing of the Kuramoto-Sivashinsky equation."""

from functools import cache

import numpy as np


@cache
def etd_coefficients(size: int, h: float, length: float) -> tuple[np.ndarray, ...]:
    """ETD-RK4 coefficients (size/2 + 1,) on a circle of some length: exp(hL), exp(hL/2), and Q, 2 Q, f1, 2 f2, f3 times
    -ik/2.
    """
    wave_number = np.append(np.arange(0, size / 2), 0) * (2 * np.pi / length)
    linear = wave_number**2 - wave_number**4
    z = h * linear[:, None] + np.exp(1j * np.pi * (0.5 + np.arange(16)) / 16)
    ez = np.exp(z)
    q = h * ((np.exp(z / 2) - 1) / z).mean(-1).real
    f1 = h * ((-4 - z + ez * (4 - 3 * z + z**2)) / z**3).mean(-1).real
    f2 = h * ((2 + z + ez * (z - 2)) / z**3).mean(-1).real
    f3 = h * ((-4 - 3 * z - z**2 + ez * (4 - z)) / z**3).mean(-1).real
    factor = -0.5j * wave_number
    forced = (factor * c for c in (q, 2 * q, f1, 2 * f2, f3))
    return np.exp(h * linear), np.exp(h * linear / 2), *forced
