"""One cycle of Lorenz '63 compiled for a CPU, where array operations on three components cost mostly their calls.

States are advanced side by side, so that the innermost loop becomes vector instructions. Each state's result is
independent of its neighbors.
"""

import numpy as np
from numba import njit

LANES = 64
"""States advanced together."""


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def lorenz63_cycle(states: np.ndarray, result: np.ndarray, steps: int, constants: np.ndarray) -> None:
    """Advance `states` (M, 3) by `steps` Runge-Kutta steps into `result` (M, 3).

    constants: s, r and b of the system, h, h/2, h/3 and h/6 of the step size h, in the precision in which to compute.
    """
    count = states.shape[0]
    sigma, rho, beta, whole, half, third, sixth = constants
    x, y, z = np.empty(LANES, constants.dtype), np.empty(LANES, constants.dtype), np.empty(LANES, constants.dtype)
    for begin in range(0, count, LANES):
        for j in range(LANES):
            row = min(begin + j, count - 1)  # surplus lanes repeat the last state
            x[j], y[j], z[j] = states[row, 0], states[row, 1], states[row, 2]
        for _ in range(steps):
            for j in range(LANES):
                a, b, c = x[j], y[j], z[j]
                da, db, dc = sigma * (b - a), a * (rho - c) - b, a * b - beta * c
                total_a, total_b, total_c = a + sixth * da, b + sixth * db, c + sixth * dc
                u, v, w = a + half * da, b + half * db, c + half * dc
                da, db, dc = sigma * (v - u), u * (rho - w) - v, u * v - beta * w
                total_a, total_b, total_c = total_a + third * da, total_b + third * db, total_c + third * dc
                u, v, w = a + half * da, b + half * db, c + half * dc
                da, db, dc = sigma * (v - u), u * (rho - w) - v, u * v - beta * w
                total_a, total_b, total_c = total_a + third * da, total_b + third * db, total_c + third * dc
                u, v, w = a + whole * da, b + whole * db, c + whole * dc
                da, db, dc = sigma * (v - u), u * (rho - w) - v, u * v - beta * w
                x[j], y[j], z[j] = total_a + sixth * da, total_b + sixth * db, total_c + sixth * dc
        for j in range(min(LANES, count - begin)):
            result[begin + j, 0], result[begin + j, 1], result[begin + j, 2] = x[j], y[j], z[j]
