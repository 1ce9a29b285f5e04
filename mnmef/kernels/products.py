"""Products of matrices of eights, and of matrices of numbers, whose sums stay in registers."""

import numpy as np
from numba import njit

from mnmef.kernels.compiling import OPTIONS
from mnmef.kernels.eights import every, load, plus_product, store

TILE = 4
"""Columns of a product of eights whose sums are in registers at a time."""

TERMS = 5
"""Terms of a product of numbers that are added at a time."""


@njit(**OPTIONS)
def product(
    a: np.ndarray, row: int, term: int, b: np.ndarray, c: np.ndarray, size: tuple[int, int, int], adds: bool
) -> None:
    """`c = a b`, or `c += a b`, for matrices of eights: a is at `a[i row + k term]`, b and c are row by row.

    size: rows, terms and columns. Beyond the last row or column that one again: the same is done to it and written.
    """
    rows, terms, columns = size
    for i in range(0, rows, 2):
        below, last = min(i + 1, rows - 1), columns - 1
        for j in range(0, columns, TILE):
            second, third, fourth = min(j + 1, last), min(j + 2, last), min(j + 3, last)
            places = i * columns + j, i * columns + second, i * columns + third, i * columns + fourth
            others = below * columns + j, below * columns + second, below * columns + third, below * columns + fourth
            p = q = r = s = w = x = y = z = every(0.0)
            if adds:
                p, q, r, s = load(c, places[0]), load(c, places[1]), load(c, places[2]), load(c, places[3])
                w, x, y, z = load(c, others[0]), load(c, others[1]), load(c, others[2]), load(c, others[3])
            for k in range(terms):
                upper, lower = load(a, i * row + k * term), load(a, below * row + k * term)
                factor = load(b, k * columns + j)
                p, w = plus_product(p, upper, factor), plus_product(w, lower, factor)
                factor = load(b, k * columns + second)
                q, x = plus_product(q, upper, factor), plus_product(x, lower, factor)
                factor = load(b, k * columns + third)
                r, y = plus_product(r, upper, factor), plus_product(y, lower, factor)
                factor = load(b, k * columns + fourth)
                s, z = plus_product(s, upper, factor), plus_product(z, lower, factor)
            store(c, places[0], p)
            store(c, places[1], q)
            store(c, places[2], r)
            store(c, places[3], s)
            store(c, others[0], w)
            store(c, others[1], x)
            store(c, others[2], y)
            store(c, others[3], z)


@njit(**OPTIONS)
def _add_terms(a: np.ndarray, step: int, factor: float, b: np.ndarray, k: int, c: np.ndarray, i: int) -> None:
    """Add terms k, k + 1, ... of `factor a b`, TERMS of them or up to the last, to row i of c; the first factor is
    a[0], and `step` the distance of the next one.
    """
    last = len(b) - 1
    # Beyond the last term, that one again, times zero.
    two, three, four, five = min(k + 1, last), min(k + 2, last), min(k + 3, last), min(k + 4, last)
    f = a[0], a[(two - k) * step], a[(three - k) * step], a[(four - k) * step], a[(five - k) * step]
    zero = b.dtype.type(0.0)
    v = b.dtype.type(factor * f[0])
    w = b.dtype.type(factor * f[1]) if k + 1 <= last else zero
    x = b.dtype.type(factor * f[2]) if k + 2 <= last else zero
    y = b.dtype.type(factor * f[3]) if k + 3 <= last else zero
    z = b.dtype.type(factor * f[4]) if k + 4 <= last else zero
    for j in range(b.shape[1]):
        c[i, j] = c[i, j] + v * b[k, j] + w * b[two, j] + x * b[three, j] + y * b[four, j] + z * b[five, j]


@njit(**OPTIONS)
def _copy_row(source: np.ndarray, target: np.ndarray, i: int) -> None:
    for j in range(source.shape[1]):
        target[i, j] = source[i, j]


@njit(**OPTIONS)
def product_of_numbers(
    a: np.ndarray, row: int, term: int, factor: float, b: np.ndarray, base: np.ndarray, c: np.ndarray
) -> None:
    """`c = base + factor a b` for matrices b (terms, columns) and base and c (rows, columns) of numbers; a as for
    `product`. The larger one of b and c is gone through once.
    """
    rows, terms = len(c), len(b)
    if terms > rows:
        for i in range(rows):
            _copy_row(base, c, i)
        for k in range(0, terms, TERMS):
            for i in range(rows):
                _add_terms(a[i * row + k * term :], term, factor, b, k, c, i)
    else:
        for i in range(rows):
            _copy_row(base, c, i)
            for k in range(0, terms, TERMS):
                _add_terms(a[i * row + k * term :], term, factor, b, k, c, i)
