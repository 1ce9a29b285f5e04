"""Lanes of compiled functions: problems that are worked on side by side.

An array of lanes has them as its last axis. Functions read, with `load`, one index of all lanes, reckon with it as with
a number, and write it with `store`. With `mnmef.kernels.vectors` that is a vector of the processor's; without, there is
one lane and it is a number.
"""

import numpy as np
from numba import njit

from mnmef.kernels.compiling import HAS_VECTORS, OPTIONS

LINE = 64
"""Bytes of a line of the cache: what lies in one line is read twice as fast as what lies in two."""

LANES = 8 if HAS_VECTORS else 1
"""Problems side by side."""


@njit(**OPTIONS)
def load(array: np.ndarray, i: int) -> float:
    """The numbers at an index of an array (n, LANES)."""
    return array[i, 0]


load_line = load
"""The same where a row is a line of the cache, whatever the precision."""


@njit(**OPTIONS)
def store(array: np.ndarray, i: int, x: float) -> None:
    """Write numbers to an index of an array (n, LANES)."""
    array[i, 0] = x


@njit(**OPTIONS)
def every(number: float) -> float:
    """The same number in all lanes."""
    return number


@njit(**OPTIONS)
def where_less(a: float, b: float, x: float, y: float) -> float:
    """In each lane x where a < b, else y, also where a or b is not a number."""
    return x if a < b else y


@njit(**OPTIONS)
def any_less(a: float, b: float) -> bool:
    """True if a < b in a lane."""
    return a < b


if HAS_VECTORS:
    from mnmef.kernels.vectors import any_less, every, load, load_line, store, where_less


def lanes_of(dtype: np.dtype) -> int:
    """Lanes of `load_line`: as many numbers as a line of the cache holds."""
    return LINE // dtype.itemsize if HAS_VECTORS else 1


@njit(**OPTIONS)
def aligned_room(size: int, lanes: int, like: np.ndarray) -> np.ndarray:
    """An array (size, lanes) of numbers as those of `like`, not set, that begins with a line of the cache."""
    room = np.empty(size * lanes + LINE // like.itemsize, like.dtype)
    begin = -(room.ctypes.data // room.itemsize) % (LINE // room.itemsize)
    return room[begin : begin + size * lanes].reshape(size, lanes)


__all__ = ["LANES", "aligned_room", "any_less", "every", "lanes_of", "load", "load_line", "store", "where_less"]
