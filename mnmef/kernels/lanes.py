"""Lanes of compiled functions: problems that are worked on side by side.

An array of lanes has them as its last axis. Functions read, with `load`, one index of all lanes, reckon with it as with
a number, and write it with `store`. With `mnmef.kernels.vectors` that is a vector of the processor's; without, there is
one lane and it is a number.
"""

import numpy as np
from numba import njit

from mnmef.kernels.compiling import HAS_VECTORS, INNER

LINE = 64
"""Bytes of a line of the cache: what lies in one line is read twice as fast as what lies in two."""

Matrix = tuple[np.ndarray, int, int]

LANES = 8 if HAS_VECTORS else 1
"""Problems side by side."""


@njit(**INNER)
def load(array: np.ndarray, i: int) -> float:
    """The numbers at an index of an array (n, LANES)."""
    return array[i, 0]


load_line = load
"""The same where a row is a line of the cache, whatever the precision."""


@njit(**INNER)
def store(array: np.ndarray, i: int, x: float) -> None:
    """Write numbers to an index of an array (n, LANES)."""
    array[i, 0] = x


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


if HAS_VECTORS:
    from mnmef.kernels.vectors import any_less, every, load, load_line, store, where_less


def lanes_of(dtype: np.dtype) -> int:
    """Lanes of `load_line`: as many numbers as a line of the cache holds."""
    return LINE // dtype.itemsize if HAS_VECTORS else 1


@njit(**INNER)
def aligned_room(size: int, lanes: int, like: np.ndarray) -> np.ndarray:
    """An array (size, lanes) of numbers as those of `like`, not set, that begins with a line of the cache."""
    room = np.empty(size * lanes + LINE // like.itemsize, like.dtype)
    begin = -(room.ctypes.data // room.itemsize) % (LINE // room.itemsize)
    return room[begin : begin + size * lanes].reshape(size, lanes)


@njit(**INNER)
def product(a: Matrix, b: Matrix, c: Matrix, size: tuple[int, int, int], adds: bool) -> None:
    """`c = a b`, or `c += a b`, for matrices of lanes, each with its steps from row to row and from column to column.

    size: rows, terms and columns. Sums of two rows and two columns stay in registers; beyond the last one that one
    again: the same is done to it and written.
    """
    (left, row, term), (right, step, column), (result, row_step, column_step) = a, b, c
    rows, terms, columns = size
    for i in range(0, rows, 2):
        next_i = min(i + 1, rows - 1)
        above, below, upper, lower = i * row, next_i * row, i * row_step, next_i * row_step
        for j in range(0, columns, 2):
            next_j = min(j + 1, columns - 1)
            here, beside, first, second = j * column, next_j * column, j * column_step, next_j * column_step
            w = x = y = z = every(result.dtype.type(0.0))
            if adds:
                w, x = load(result, upper + first), load(result, upper + second)
                y, z = load(result, lower + first), load(result, lower + second)
            for k in range(terms):
                p, q = load(left, above + k * term), load(left, below + k * term)
                r, s = load(right, k * step + here), load(right, k * step + beside)
                w, x, y, z = w + p * r, x + p * s, y + q * r, z + q * s
            store(result, upper + first, w)
            store(result, upper + second, x)
            store(result, lower + first, y)
            store(result, lower + second, z)


__all__ = [
    "LANES",
    "aligned_room",
    "any_less",
    "every",
    "lanes_of",
    "load",
    "load_line",
    "product",
    "store",
    "where_less",
]
