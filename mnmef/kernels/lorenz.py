"""One cycle of Lorenz '63 and of Lorenz '96, by classical Runge-Kutta steps.

SIDE states are advanced together, and take all steps of the cycle while they are in the first cache. A
state's result does not depend on its neighbors.
"""

import numpy as np
from numba import njit

from mnmef.kernels.compiling import INNER, OPTIONS
from mnmef.kernels.lanes import aligned_room

SIDE = 32
"""States advanced together."""


@njit(**OPTIONS)
def lorenz63_cycle(states: np.ndarray, result: np.ndarray, steps: int, constants: np.ndarray) -> None:
    """Advance `states` (M, 3) by `steps` steps into `result` (M, 3):
    `x' = s (y - x), y' = x (r - z) - y, z' = x y - b z`.

    constants: s, r and b, h, h/2, h/3 and h/6 of the step size h, in the precision in which to compute.
    """
    count = states.shape[0]
    sigma, rho, beta, whole, half, third, sixth = constants
    x, y, z = np.empty((3, SIDE), constants.dtype)
    for begin in range(0, count, SIDE):
        for j in range(SIDE):
            row = min(begin + j, count - 1)  # surplus lanes repeat the last state
            x[j], y[j], z[j] = states[row, 0], states[row, 1], states[row, 2]
        for _ in range(steps):
            for j in range(SIDE):
                a, b, c = u, v, w = x[j], y[j], z[j]
                for step, weight in ((half, sixth), (half, third), (whole, third), (whole, sixth)):
                    da, db, dc = sigma * (v - u), u * (rho - w) - v, u * v - beta * w
                    x[j], y[j], z[j] = x[j] + weight * da, y[j] + weight * db, z[j] + weight * dc
                    u, v, w = a + step * da, b + step * db, c + step * dc
        for j in range(min(SIDE, count - begin)):
            result[begin + j, 0], result[begin + j, 1], result[begin + j, 2] = x[j], y[j], z[j]


@njit(**INNER)
def _close_circle(x: np.ndarray) -> None:
    """Fill the two rows of a field before the first component and the one after the last."""
    end = len(x)
    for j in range(2 * SIDE):
        x[j] = x[end - 3 * SIDE + j]
    for j in range(SIDE):
        x[end - SIDE + j] = x[2 * SIDE + j]


@njit(**INNER)
def _stage(
    x: np.ndarray, begin: np.ndarray, total: np.ndarray, target: np.ndarray, step: float, weight: float, forcing: float
) -> None:
    """With the tendency k of a field, `target = begin + step k` and `total += weight k`."""
    for p in range(len(total)):
        k = (x[p + 3 * SIDE] - x[p]) * x[p + SIDE] - x[p + 2 * SIDE] + forcing
        total[p] += weight * k
        target[p + 2 * SIDE] = begin[p + 2 * SIDE] + step * k


@njit(**OPTIONS)
def lorenz96_cycle(states: np.ndarray, result: np.ndarray, steps: int, constants: np.ndarray) -> None:
    """Advance `states` (M, Nx) by `steps` steps into `result` (M, Nx):
    `x_i' = (x_{i+1} - x_{i-2}) x_{i-1} - x_i + F`, indices cyclic.

    constants: F, h, h/2, h/3 and h/6 of the step size h, in the precision in which to compute. A field has one row of
    lanes a component, two before the first and one after the last.
    """
    count, size = states.shape
    forcing, whole, half, third, sixth = constants
    span, between = (size + 3) * SIDE, size * SIDE
    x, a, b = (
        aligned_room(1, span, constants)[0],
        aligned_room(1, span, constants)[0],
        aligned_room(1, span, constants)[0],
    )
    total = aligned_room(1, between, constants)[0]
    for begin in range(0, count, SIDE):
        for lane in range(SIDE):
            state = states[min(begin + lane, count - 1)]  # surplus lanes repeat the last state
            for i in range(size):
                x[(i + 2) * SIDE + lane] = state[i]
        for _ in range(steps):
            _close_circle(x)
            for p in range(between):
                k = (x[p + 3 * SIDE] - x[p]) * x[p + SIDE] - x[p + 2 * SIDE] + forcing
                total[p] = x[p + 2 * SIDE] + sixth * k
                a[p + 2 * SIDE] = x[p + 2 * SIDE] + half * k
            _close_circle(a)
            _stage(a, x, total, b, half, third, forcing)
            _close_circle(b)
            _stage(b, x, total, a, whole, third, forcing)
            _close_circle(a)
            for p in range(between):
                k = (a[p + 3 * SIDE] - a[p]) * a[p + SIDE] - a[p + 2 * SIDE] + forcing
                x[p + 2 * SIDE] = total[p] + sixth * k
        for lane in range(min(SIDE, count - begin)):
            state = result[begin + lane]
            for i in range(size):
                state[i] = x[(i + 2) * SIDE + lane]
