"""Lanes of compiled functions, problems that are worked on side by side, and how these functions are compiled.

An array of lanes has them as its last axis. `eights` and `lines` take that axis away: a function then reckons with a
number of the array as if there were one problem. With `mnmef.kernels.vectors` this number is a vector of the
processor's; without, there is one lane.
"""

from pathlib import Path

import numba
import numpy as np
from numba import njit

from mnmef.io.machine_code import cache_folder

try:
    from mnmef.kernels.vectors import IS_ON as HAS_VECTORS  # before the first function is compiled
except ImportError:
    HAS_VECTORS = False

Array = np.ndarray
OPTIONS: dict = {"cache": True, "nogil": True, "error_model": "numpy", "fastmath": {"contract"}}
"""Of a kernel, which Python calls: kept for the next process, run beside other threads, with no error for a division by
zero, and with a product and a sum as one instruction.
"""

INNER: dict = {**OPTIONS, "cache": False, "forceinline": True}
"""Of a function that kernels call, compiled into each of them. The compiler would make other contractions of a copy
beside them, and which copy is linked would depend on whether this process or an earlier one compiled it.
"""

numba.config.CACHE_DIR = str(cache_folder(Path(__file__).parent, numba.config.CACHE_DIR, HAS_VECTORS))

LINE = 64
"""Bytes of a line of the cache: what lies in one line is read twice as fast as what lies in two."""

LANES = 8 if HAS_VECTORS else 1
"""Problems side by side."""

if not HAS_VECTORS:

    @njit(**INNER)
    def eights(array: Array) -> Array:
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
def aligned_room(size: int, lanes: int, like: Array) -> Array:
    """An array (size, lanes) of numbers as those of `like`, not set, that begins with a line of the cache."""
    room = np.empty(size * lanes + LINE // like.itemsize, like.dtype)
    begin = -(room.ctypes.data // room.itemsize) % (LINE // room.itemsize)
    return room[begin : begin + size * lanes].reshape(size, lanes)


@njit(**INNER)
def gather(states: Array, begin: int, rows: Array) -> None:
    """Make lanes (n, lanes) of states (M, n) from number `begin` on; lanes beyond the last state repeat it."""
    for lane in range(rows.shape[1]):
        state = states[min(begin + lane, len(states) - 1)]
        for i in range(len(rows)):
            rows[i, lane] = state[i]


@njit(**INNER)
def scatter(rows: Array, begin: int, states: Array) -> None:
    """Write lanes (n, lanes) back to states (M, n) from number `begin` on."""
    for lane in range(min(rows.shape[1], len(states) - begin)):
        state = states[begin + lane]
        for i in range(len(rows)):
            state[i] = rows[i, lane]


@njit(**INNER)
def product(a: Array, b: Array, c: Array, adds: bool) -> None:
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


@njit(**OPTIONS)
def products(begin: int, end: int, a: Array, b: Array, c: Array) -> None:
    """`c = a b` for blocks `begin` ... of matrices (B, rows, columns, L), L a multiple of LANES, lane by lane."""
    for n in range(begin, end):
        for h in range(0, c.shape[-1], LANES):
            left, right, result = a[n, :, :, h : h + LANES], b[n, :, :, h : h + LANES], c[n, :, :, h : h + LANES]
            product(eights(left), eights(right), eights(result), False)
