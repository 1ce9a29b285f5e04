"""One cycle of Lorenz '63 and of Lorenz '96, by classical Runge-Kutta steps.

SIDE states are advanced together, and take all steps of the cycle while they are in the first cache. A
state's result does not depend on its neighbors.
"""

import numpy as np
from numba import njit

from mnmef.kernels.compiling import INNER, OPTIONS
from mnmef.kernels.lanes import aligned_room, gather, scatter

SIDE = 32
"""States advanced together."""


@njit(**OPTIONS)
def lorenz63_cycle(states: np.ndarray, result: np.ndarray, steps: int, constants: np.ndarray) -> None:
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
def _stage(
    x: np.ndarray, begin: np.ndarray, total: np.ndarray, target: np.ndarray, step: float, weight: float, forcing: float
) -> None:
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
def lorenz96_cycle(states: np.ndarray, result: np.ndarray, steps: int, constants: np.ndarray) -> None:
    """Advance `states` (M, Nx) by `steps` steps into `result` (M, Nx):
    `x_i' = (x_{i+1} - x_{i-2}) x_{i-1} - x_i + F`, indices cyclic.

    constants: F, h, h/2, h/3 and h/6 of the step size h, in the precision in which to compute. A field has one row of
    lanes a component, two before the first and one after the last.
    """
    size = states.shape[1]
    forcing, whole, half, third, sixth = constants
    rows, total = aligned_room(size + 3, SIDE, constants), aligned_room(size, SIDE, constants).ravel()
    a, b = aligned_room(size + 3, SIDE, constants).ravel(), aligned_room(size + 3, SIDE, constants).ravel()
    x, middle = rows.ravel(), rows[2 : size + 2]
    for begin in range(0, len(states), SIDE):
        gather(states, begin, middle)
        for _ in range(steps):
            for p in range(len(total)):
                total[p] = x[p + 2 * SIDE]
            _stage(x, x, total, a, half, sixth, forcing)
            _stage(a, x, total, b, half, third, forcing)
            _stage(b, x, total, a, whole, third, forcing)
            _stage(a, x, total, b, whole, sixth, forcing)
            for p in range(len(total)):
                x[p + 2 * SIDE] = total[p]
        scatter(middle, begin, result)
