"""One cycle of Lorenz '63 and of Lorenz '96, by classical Runge-Kutta steps. A state does not depend on the others."""

import numpy as np
from numba import njit

from mnmef.kernels.lanes import INNER, OPTIONS, Array, aligned_room, gather, scatter

SIDE = 32
"""States advanced together, which take all steps of the cycle while they are in the first cache."""


@njit(**OPTIONS)
def lorenz63_cycle(states: Array, result: Array, steps: int, constants: Array) -> None:
    """Advance `states` (M, 3) by `steps` steps into `result` (M, 3):
    `x' = s (y - x), y' = x (r - z) - y, z' = x y - b z`.

    constants: s, r and b, h, h/2, h/3 and h/6 of the step size h, in the precision in which to compute.
    """
    sigma, rho, beta, whole, half, third, sixth = constants
    rows = np.empty((3, SIDE), constants.dtype)
    x, y, z = rows
    for begin in range(0, len(states), SIDE):
        gather(states, begin, rows)
        for _ in range(steps):
            for j in range(SIDE):
                a, b, c = u, v, w = x[j], y[j], z[j]
                for step, weight in ((half, sixth), (half, third), (whole, third), (whole, sixth)):
                    da, db, dc = sigma * (v - u), u * (rho - w) - v, u * v - beta * w
                    x[j], y[j], z[j] = x[j] + weight * da, y[j] + weight * db, z[j] + weight * dc
                    u, v, w = a + step * da, b + step * db, c + step * dc
        scatter(rows, begin, result)


@njit(**INNER)
def _stage(x: Array, begin: Array, total: Array, target: Array, step: float, weight: float, forcing: float) -> None:
    """With the tendency k of a field x, `target = begin + step k` and `total += weight k`."""
    end = len(x)
    for j in range(2 * SIDE):
        x[j] = x[end - 3 * SIDE + j]
    for j in range(SIDE):
        x[end - SIDE + j] = x[2 * SIDE + j]
    for p in range(len(total)):
        k = (x[p + 3 * SIDE] - x[p]) * x[p + SIDE] - x[p + 2 * SIDE] + forcing
        total[p] += weight * k
        target[p + 2 * SIDE] = begin[p + 2 * SIDE] + step * k


@njit(**OPTIONS)
def lorenz96_cycle(states: Array, result: Array, steps: int, constants: Array) -> None:
    """Advance `states` (M, Nx) by `steps` steps into `result` (M, Nx):
    `x_i' = (x_{i+1} - x_{i-2}) x_{i-1} - x_i + F`, indices cyclic.

    constants: F, h, h/2, h/3 and h/6 of the step size h, in the precision in which to compute. A field has one row of
    lanes a component, two before the first and one after the last.
    """
    size = states.shape[1]
    forcing, whole, half, third, sixth = constants
    rows, x = aligned_room(size, SIDE, constants), aligned_room(size + 3, SIDE, constants).ravel()
    a, b = aligned_room(size + 3, SIDE, constants).ravel(), aligned_room(size + 3, SIDE, constants).ravel()
    total = rows.ravel()
    for begin in range(0, len(states), SIDE):
        gather(states, begin, rows)
        for _ in range(steps):
            for p in range(len(total)):
                x[p + 2 * SIDE] = total[p]
            _stage(x, x, total, a, half, sixth, forcing)
            _stage(a, x, total, b, half, third, forcing)
            _stage(b, x, total, a, whole, third, forcing)
            _stage(a, x, total, b, whole, sixth, forcing)
        scatter(rows, begin, result)
