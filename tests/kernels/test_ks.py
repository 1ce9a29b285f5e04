"""The compiled Kuramoto-Sivashinsky cycle on circles of other sizes and lengths than that of the experiments."""

import numpy as np
import pytest

from mnmef.kernels.ks import ks_cycle, make_tables
from mnmef.systems.kuramoto_sivashinsky import etd_coefficients


def stepped(states, h, length, steps):
    """The scheme of Cox and Matthews by NumPy's transforms."""
    size = states.shape[-1]
    e, e2, q, q2, f1, f2, f3 = etd_coefficients(size, h, length)

    def squared(v):
        return np.fft.rfft(np.fft.irfft(v, size) ** 2)

    v = np.fft.rfft(states)
    for _ in range(steps):
        first = squared(v)
        a = e2 * v + q * first
        second = squared(a)
        third = squared(e2 * v + q * second)
        last = squared(e2 * a + q2 * (third - first / 2))
        v = e * v + f1 * first + f2 * (second + third) + f3 * last
    return np.fft.irfft(v, size)


@pytest.mark.parametrize("size", [8, 16, 32, 64, 128, 256, 512])
@pytest.mark.parametrize(("step", "length"), [(0.25, 32 * np.pi), (0.1, 22.0)])
@pytest.mark.parametrize(("precision", "accuracy"), [("float64", 1e-12), ("float32", 1e-5)])
def test_a_cycle_is_that_of_other_transforms_for_any_power_of_two(size, step, length, precision, accuracy):
    grid = 2 * np.pi * np.arange(size) / size
    states = np.sin(grid + np.arange(19)[:, None]) + 0.3 * np.cos(2 * grid) * np.arange(19)[:, None] / 19
    result = np.empty_like(states)
    ks_cycle(states, result, 3, make_tables(precision, size, etd_coefficients(size, step, length)))
    np.testing.assert_allclose(result, stepped(states, step, length, 3), rtol=0, atol=accuracy)
