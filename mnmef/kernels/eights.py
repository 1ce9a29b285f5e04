"""Eight numbers as one value of compiled functions, a tuple with one number in each lane: arithmetic on eight small
problems at once, written as if it were on one.

An array of eights has a last axis of eight lanes; a matrix of eights is one of eights row by row. All lanes of a value
are read before any is written, so that the compiler can keep them in one register of a vector processor.
"""

import math

import numpy as np
from numba import njit

from mnmef.kernels.compiling import OPTIONS

EIGHT = 8
"""Numbers of an eight."""

Eight = tuple[float, float, float, float, float, float, float, float]


@njit(**OPTIONS)
def load(array: np.ndarray, i: int) -> Eight:
    """The eight at an index of an array (n, 8)."""
    return (array[i, 0], array[i, 1], array[i, 2], array[i, 3], array[i, 4], array[i, 5], array[i, 6], array[i, 7])


@njit(**OPTIONS)
def store(array: np.ndarray, i: int, x: Eight) -> None:
    """Write an eight to an index of an array (n, 8)."""
    array[i, 0], array[i, 1], array[i, 2], array[i, 3], array[i, 4], array[i, 5], array[i, 6], array[i, 7] = x


@njit(**OPTIONS)
def every(number: float) -> Eight:
    """The same number in all lanes."""
    return (number, number, number, number, number, number, number, number)


@njit(**OPTIONS)
def plus(x: Eight, y: Eight) -> Eight:
    """X + y."""
    return (x[0] + y[0], x[1] + y[1], x[2] + y[2], x[3] + y[3], x[4] + y[4], x[5] + y[5], x[6] + y[6], x[7] + y[7])


@njit(**OPTIONS)
def minus(x: Eight, y: Eight) -> Eight:
    """X - y."""
    return (x[0] - y[0], x[1] - y[1], x[2] - y[2], x[3] - y[3], x[4] - y[4], x[5] - y[5], x[6] - y[6], x[7] - y[7])


@njit(**OPTIONS)
def times(x: Eight, y: Eight) -> Eight:
    """X y."""
    return (x[0] * y[0], x[1] * y[1], x[2] * y[2], x[3] * y[3], x[4] * y[4], x[5] * y[5], x[6] * y[6], x[7] * y[7])


@njit(**OPTIONS)
def over(x: Eight, y: Eight) -> Eight:
    """X / y."""
    return (x[0] / y[0], x[1] / y[1], x[2] / y[2], x[3] / y[3], x[4] / y[4], x[5] / y[5], x[6] / y[6], x[7] / y[7])


@njit(**OPTIONS)
def plus_product(a: Eight, x: Eight, y: Eight) -> Eight:
    """A + x y."""
    return (
        a[0] + x[0] * y[0],
        a[1] + x[1] * y[1],
        a[2] + x[2] * y[2],
        a[3] + x[3] * y[3],
        a[4] + x[4] * y[4],
        a[5] + x[5] * y[5],
        a[6] + x[6] * y[6],
        a[7] + x[7] * y[7],
    )


@njit(**OPTIONS)
def less_product(a: Eight, x: Eight, y: Eight) -> Eight:
    """A - x y."""
    return (
        a[0] - x[0] * y[0],
        a[1] - x[1] * y[1],
        a[2] - x[2] * y[2],
        a[3] - x[3] * y[3],
        a[4] - x[4] * y[4],
        a[5] - x[5] * y[5],
        a[6] - x[6] * y[6],
        a[7] - x[7] * y[7],
    )


@njit(**OPTIONS)
def negative(x: Eight) -> Eight:
    """-x."""
    return (-x[0], -x[1], -x[2], -x[3], -x[4], -x[5], -x[6], -x[7])


@njit(**OPTIONS)
def magnitude(x: Eight) -> Eight:
    """The absolute value."""
    return (abs(x[0]), abs(x[1]), abs(x[2]), abs(x[3]), abs(x[4]), abs(x[5]), abs(x[6]), abs(x[7]))


@njit(**OPTIONS)
def root(x: Eight) -> Eight:
    """The square root."""
    return (
        math.sqrt(x[0]),
        math.sqrt(x[1]),
        math.sqrt(x[2]),
        math.sqrt(x[3]),
        math.sqrt(x[4]),
        math.sqrt(x[5]),
        math.sqrt(x[6]),
        math.sqrt(x[7]),
    )


@njit(**OPTIONS)
def _choose(a: float, b: float, x: float, y: float) -> float:
    return x if a < b else y


@njit(**OPTIONS)
def where_less(a: Eight, b: Eight, x: Eight, y: Eight) -> Eight:
    """In each lane x where a < b, else y, also where a or b is not a number."""
    return (
        _choose(a[0], b[0], x[0], y[0]),
        _choose(a[1], b[1], x[1], y[1]),
        _choose(a[2], b[2], x[2], y[2]),
        _choose(a[3], b[3], x[3], y[3]),
        _choose(a[4], b[4], x[4], y[4]),
        _choose(a[5], b[5], x[5], y[5]),
        _choose(a[6], b[6], x[6], y[6]),
        _choose(a[7], b[7], x[7], y[7]),
    )


@njit(**OPTIONS)
def any_less(a: Eight, b: Eight) -> bool:
    """True if a < b in a lane."""
    return (
        (a[0] < b[0])
        | (a[1] < b[1])
        | (a[2] < b[2])
        | (a[3] < b[3])
        | (a[4] < b[4])
        | (a[5] < b[5])
        | (a[6] < b[6])
        | (a[7] < b[7])
    )
