"""Eigenvalues and eigenvectors of small symmetric matrices: LAPACK is made for large ones and takes ten times as long.

Householder reflections make a matrix tridiagonal, and QL iterations with Wilkinson's shift, written with the shift
subtracted, make that diagonal (Golub and Van Loan, Matrix Computations, sections 8.3.1 and 8.3.3). All lanes iterate
until the last one has converged, but a lane that has is left as it is: its result does not depend on its neighbors.
A matrix of lanes is one row after the other, (rows * columns, LANES).
"""

import math

import numpy as np
from numba import njit

from mnmef.kernels.compiling import INNER, OPTIONS
from mnmef.kernels.lanes import LANES, any_less, every, load, store, where_less

EPSILON, TINY = 2.0**-53, 1e-140
"""Off the diagonal, what is below these, relative to the largest row and absolutely, counts as zero."""

SWEEPS = 12
"""Of rotations of all pairs, after which vectors are taken as they are; two or three are usual."""

TURNS = 60
"""Iterations per eigenvalue after which it is taken as it is; two or three are usual."""


@njit(**INNER)
def reflector(matrix: np.ndarray, begin: int, step: int, count: int, v: np.ndarray) -> None:
    """The v of the reflection `1 - v v'` that makes all but the first of `count` numbers of a matrix, from index
    `begin` on at distances of `step`, zero; those are not changed.
    """
    square = every(0.0)
    for i in range(count):
        x = load(matrix, begin + i * step)
        store(v, i, x)
        square += x * x
    length = math.sqrt(square)
    first = load(v, 0)
    first += where_less(first, every(0.0), -length, length)
    factor = where_less(every(TINY), length, 1.0 / math.sqrt(length * abs(first)), every(0.0))
    store(v, 0, first)
    for i in range(count):
        store(v, i, factor * load(v, i))


@njit(**INNER)
def reflect(v: np.ndarray, matrix: np.ndarray, begin: int, steps: tuple[int, int], rows: int, columns: int) -> None:
    """Apply `1 - v v'` from the left to a block of a matrix: its first index, the steps from row to row and from column
    to column, its shape.
    """
    for j in range(begin, begin + columns * steps[1], steps[1]):
        total = every(0.0)
        for i in range(rows):
            total += load(v, i) * load(matrix, j + i * steps[0])
        for i in range(rows):
            store(matrix, j + i * steps[0], load(matrix, j + i * steps[0]) - load(v, i) * total)


@njit(**INNER)
def _tridiagonalize(a: np.ndarray, size: int, diagonal: np.ndarray, off: np.ndarray, q: np.ndarray) -> None:
    """Diagonals of `q a q'` and the orthogonal q; overwrites a. The last of `off` is zero."""
    v, w = np.empty((size, LANES)), np.empty((size, LANES))
    for k in range(size - 2):
        left, corner = size - k - 1, (k + 1) * (size + 1)
        reflector(a, corner - 1, size, left, v)
        overlap, column = every(0.0), every(0.0)
        for i in range(left):
            total = every(0.0)
            for j in range(left):
                total += load(a, corner + i * size + j) * load(v, j)
            store(w, i, total)
            overlap += load(v, i) * total
            column += load(v, i) * load(a, corner + i * size - 1)
        store(off, k, load(a, corner - 1) - column * load(v, 0))
        for i in range(left):
            store(w, i, load(w, i) - 0.5 * overlap * load(v, i))
        for i in range(left):
            v_i, w_i = load(v, i), load(w, i)
            for j in range(left):
                here = corner + i * size + j
                store(a, here, load(a, here) - v_i * load(w, j) - w_i * load(v, j))
            store(a, corner + i * size - 1, v_i)
    for i in range(size):
        store(diagonal, i, load(a, i * (size + 1)))
        for j in range(size):
            store(q, i * size + j, every(1.0 if i == j else 0.0))
    store(off, size - 1, every(0.0))
    if size > 1:
        store(off, size - 2, load(a, (size - 1) * size + size - 2))
    for k in range(size - 3, -1, -1):
        left, corner = size - k - 1, (k + 1) * (size + 1)
        for i in range(left):
            store(v, i, load(a, corner + i * size - 1))
        reflect(v, q, corner, (1, size), left, left)


@njit(**INNER)
def _iterate(first: int, size: int, diagonal: np.ndarray, off: np.ndarray, vectors: np.ndarray, small: float) -> None:
    """One QL step on rows `first` ..., and on those of the vectors, in the lanes where off[first] is beyond a bound."""
    zero, one = every(0.0), every(1.0)
    size_e, e, begin = abs(load(off, first)), load(off, first), load(diagonal, first)
    # Wilkinson's shift: of the eigenvalues of the first two rows, the one nearer to the first of the diagonal.
    gap = 0.5 * (load(diagonal, first + 1) - begin)
    distance = math.sqrt(gap * gap + e * e)
    shift = begin - e * (e / (gap + where_less(gap, zero, -distance, distance)))
    p, c, s = load(diagonal, size - 1) - shift, one, zero
    for i in range(size - 2, first - 1, -1):
        e, below = load(off, i), load(diagonal, i) - shift
        g, h = c * e, c * p
        length = math.sqrt(p * p + e * e)
        reciprocal, new = 1.0 / length, s * length
        s = where_less(every(TINY), length, e * reciprocal, zero)
        c = where_less(every(TINY), length, p * reciprocal, one)
        p = c * below - s * g
        moved = h + s * (c * g + s * below) + shift
        store(diagonal, i + 1, where_less(small, size_e, moved, load(diagonal, i + 1)))
        store(off, i + 1, where_less(small, size_e, new, load(off, i + 1)))
        sine, cosine = where_less(small, size_e, s, zero), where_less(small, size_e, c, one)
        for k in range(i * size, (i + 1) * size):
            x, y = load(vectors, k), load(vectors, k + size)
            store(vectors, k + size, sine * x + cosine * y)
            store(vectors, k, cosine * x - sine * y)
    store(off, first, where_less(small, size_e, s * p, load(off, first)))
    store(diagonal, first, where_less(small, size_e, shift + c * p, load(diagonal, first)))


@njit(**INNER)
def diagonalize(a: np.ndarray, size: int, values: np.ndarray, vectors: np.ndarray) -> None:
    """Eigenvalues (size), in no particular order, and eigenvectors (size, size; columns) of symmetric matrices a (size,
    size), to rounding of the largest eigenvalue; overwrites a.

    Entries must be finite and below 1e150; those below 1e-140 count as zero.
    """
    off = np.empty((size, LANES))
    _tridiagonalize(a, size, values, off, vectors)
    norm = every(0.0)
    for i in range(size):
        row = abs(load(values, i)) + abs(load(off, i))
        norm = where_less(norm, row, row, norm)
    bound = where_less(norm * EPSILON, every(TINY), every(TINY), norm * EPSILON)
    for first in range(size - 1):
        for _ in range(TURNS):
            if not any_less(bound, abs(load(off, first))):
                break
            _iterate(first, size, values, off, vectors, bound)
    for i in range(size):
        for j in range(i):
            upper, lower = load(vectors, j * size + i), load(vectors, i * size + j)
            store(vectors, j * size + i, lower)
            store(vectors, i * size + j, upper)


@njit(**INNER)
def refine(gram: np.ndarray, size: int, vectors: np.ndarray, steepness: float, bound: float) -> None:
    """Improve vectors V, eigenvectors of S'S, given `gram = (S V)'(S V)`, until that is diagonal relative to each pair
    of its diagonal entries, in the lanes where steepness > bound; gram becomes that diagonal matrix.

    Jacobi's rotations then find V as accurately as if they were applied to S: what squaring S takes away from small
    eigenvalues beside large ones comes back with `S V`, whose columns already differ in size as the eigenvalues do.
    """
    zero = every(0.0)
    for _ in range(SWEEPS):
        rotated = False
        for p in range(size - 1):
            for q in range(p + 1, size):
                off, low, high = load(gram, p * size + q), load(gram, p * (size + 1)), load(gram, q * (size + 1))
                g = where_less(every(bound), steepness, off, zero)
                g = where_less(EPSILON * EPSILON * abs(low * high), g * g, g, zero)
                if not any_less(zero, abs(g)):
                    continue
                rotated = True
                gap = high - low
                distance = math.sqrt(gap * gap + 4.0 * g * g)
                tangent = 2.0 * g / (gap + where_less(gap, zero, -distance, distance))
                tangent = where_less(zero, abs(g), tangent, zero)
                cosine = 1.0 / math.sqrt(1.0 + tangent * tangent)
                sine = tangent * cosine
                for k in range(size):
                    x, y = load(gram, k * size + p), load(gram, k * size + q)
                    x, y = cosine * x - sine * y, sine * x + cosine * y
                    store(gram, k * size + p, x)
                    store(gram, p * size + k, x)
                    store(gram, k * size + q, y)
                    store(gram, q * size + k, y)
                    x, y = load(vectors, k * size + p), load(vectors, k * size + q)
                    store(vectors, k * size + p, cosine * x - sine * y)
                    store(vectors, k * size + q, sine * x + cosine * y)
                # Of the pair itself, without the rounding of the larger in the smaller.
                left = where_less(zero, abs(g), zero, off)
                store(gram, p * size + q, left)
                store(gram, q * size + p, left)
                store(gram, p * (size + 1), low - tangent * g)
                store(gram, q * (size + 1), high + tangent * g)
        if not rotated:
            break


@njit(**OPTIONS)
def eigenpairs(begin: int, end: int, matrices: np.ndarray, values: np.ndarray, vectors: np.ndarray) -> None:
    """Of blocks `begin` ... of LANES matrices (B, d, d): values (B, d) and vectors (B, d, d)."""
    count, size, _ = matrices.shape
    a, v, c = np.empty((size * size, LANES)), np.empty((size * size, LANES)), np.empty((size, LANES))
    for block in range(begin * LANES, end * LANES, LANES):
        for lane in range(LANES):
            matrix = min(block + lane, count - 1)  # a last block that is not full repeats its last matrix
            for i in range(size * size):
                a[i, lane] = matrices[matrix, i // size, i % size]
        diagonalize(a, size, c, v)
        for lane in range(min(LANES, count - block)):
            for i in range(size):
                values[block + lane, i] = c[i, lane]
                for j in range(size):
                    vectors[block + lane, i, j] = v[i * size + j, lane]
