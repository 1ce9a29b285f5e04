"""Lanes of compiled functions: problems that are worked on side by side.

An array of lanes has them as its last axis. `eights` and `lines` take that axis away: a function then reckons with a
number of the array as if there were one problem. With `mnmef.kernels.vectors` this number is a vector of the
processor's; without, there is one lane.
"""

import numpy as np
from numba import njit

from mnmef.kernels.compiling import HAS_VECTORS, INNER

LINE = 64
"""Bytes of a line of the cache: what lies in one line is read twice as fast as what lies in two."""

LANES = 8 if HAS_VECTORS else 1
"""Problems side by side."""

if not HAS_VECTORS:

    @njit(**INNER)
    def eights(array: np.ndarray) -> np.ndarray:
        """An array (..., LANES) as one (...) of a number in each lane."""
        return array[..., 0]

    lines = eights
    """The same where lanes are a line of the cache, whatever the precision."""

    @njit(**INNER)
    def every(number: float) -> float:
        """The same number in all lanes."""
        return number

    @njit(**INNER)
    def where_less(a: float, b: float, x: float, y: float) -> float:
        """In each lane x where a < b, else y, also where a or b is not a number."""
        return x if a < b else y

    @njit(**INNER)
    def any_less(a: float, b: float) -> bool:
        """True if a < b in a lane."""
        return a < b

else:
    from mnmef.kernels.vectors import any_less, eights, every, lines, where_less  # noqa: F401  for the others


@njit(**INNER)
def lanes_of(like: np.ndarray) -> int:
    """Lanes of `lines`: as many numbers of this precision as a line of the cache holds."""
    return LINE // like.itemsize if HAS_VECTORS else 1


@njit(**INNER)
def aligned_room(size: int, lanes: int, like: np.ndarray) -> np.ndarray:
    """An array (size, lanes) of numbers as those of `like`, not set, that begins with a line of the cache."""
    room = np.empty(size * lanes + LINE // like.itemsize, like.dtype)
    begin = -(room.ctypes.data // room.itemsize) % (LINE // room.itemsize)
    return room[begin : begin + size * lanes].reshape(size, lanes)


@njit(**INNER)
def gather(states: np.ndarray, begin: int, rows: np.ndarray) -> None:
    """Make lanes (n, lanes) of states (M, n) from number `begin` on; lanes beyond the last state repeat it."""
    for lane in range(rows.shape[1]):
        state = states[min(begin + lane, len(states) - 1)]
        for i in range(len(rows)):
            rows[i, lane] = state[i]


@njit(**INNER)
def scatter(rows: np.ndarray, begin: int, states: np.ndarray) -> None:
    """Write lanes (n, lanes) back to states (M, n) from number `begin` on."""
    for lane in range(min(rows.shape[1], len(states) - begin)):
        state = states[begin + lane]
        for i in range(len(rows)):
            state[i] = rows[i, lane]


@njit(**INNER)
def product(a: np.ndarray, b: np.ndarray, c: np.ndarray, adds: bool) -> None:
    """`c = a b`, or `c += a b`, for matrices of lanes. Sums of two rows and two columns stay in registers; beyond the
    last one that one again: the same is done to it and written. Indices have no sign, as one might count from the end.
    """
    rows, columns = c.shape
    for i in range(0, rows, 2):
        upper, lower = np.uintp(i), np.uintp(min(i + 1, rows - 1))
        for j in range(0, columns, 2):
            left, right = np.uintp(j), np.uintp(min(j + 1, columns - 1))
            w, x = a[upper, 0] * b[0, left], a[upper, 0] * b[0, right]
            y, z = a[lower, 0] * b[0, left], a[lower, 0] * b[0, right]
            for k in range(np.uintp(1), np.uintp(a.shape[1])):
                p, q, r, s = a[upper, k], a[lower, k], b[k, left], b[k, right]
                w, x, y, z = w + p * r, x + p * s, y + q * r, z + q * s
            if adds:
                w, x, y, z = c[upper, left] + w, c[upper, right] + x, c[lower, left] + y, c[lower, right] + z
            c[upper, left], c[upper, right], c[lower, left], c[lower, right] = w, x, y, z
