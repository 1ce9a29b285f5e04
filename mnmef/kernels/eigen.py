"""Eigenvalues and eigenvectors of eight small symmetric matrices at once: LAPACK is made for large matrices and takes
ten times as long on those of an analysis.

Householder reflections make a matrix tridiagonal, and QL iterations with Wilkinson's shift, written with the shift
subtracted, make that diagonal (Golub and Van Loan, Matrix Computations, sections 8.3.1 and 8.3.3). All lanes iterate
until the last one has converged, but a lane that has is left as it is: its result does not depend on its neighbors.
"""

import numpy as np
from numba import njit

from mnmef.kernels.compiling import OPTIONS
from mnmef.kernels.eights import (
    EIGHT,
    Eight,
    any_less,
    every,
    less_product,
    load,
    magnitude,
    minus,
    negative,
    over,
    plus,
    plus_product,
    root,
    store,
    times,
    where_less,
)

EPSILON, TINY = 2.0**-53, 1e-140
"""Off the diagonal, what is below these, relative to the largest row and absolutely, counts as zero."""

SWEEPS = 12
"""Of rotations of all pairs, after which vectors are taken as they are; two or three are usual."""

TURNS = 60
"""Iterations per eigenvalue after which it is taken as it is; two or three are usual."""


@njit(**OPTIONS)
def reflector(matrix: np.ndarray, begin: int, step: int, count: int, v: np.ndarray) -> None:
    """The v of the reflection `1 - v v'` that makes all but the first of `count` numbers of a matrix, from index
    `begin` on at distances of `step`, zero; those are not changed.
    """
    zero, square = every(0.0), every(0.0)
    for i in range(count):
        x = load(matrix, begin + i * step)
        store(v, i, x)
        square = plus_product(square, x, x)
    length = root(square)
    first = load(v, 0)
    first = plus(first, where_less(first, zero, negative(length), length))
    factor = over(every(1.0), root(times(length, magnitude(first))))
    factor = where_less(every(TINY), length, factor, zero)
    store(v, 0, first)
    for i in range(count):
        store(v, i, times(factor, load(v, i)))


@njit(**OPTIONS)
def reflect(v: np.ndarray, matrix: np.ndarray, begin: int, step: int, shape: tuple[int, int]) -> None:
    """Apply `1 - v v'` from the left to a block of a matrix: its first index, the distance of rows, its shape."""
    rows, columns = shape
    for j in range(begin, begin + columns):
        total = every(0.0)
        for i in range(rows):
            total = plus_product(total, load(v, i), load(matrix, j + i * step))
        for i in range(rows):
            store(matrix, j + i * step, less_product(load(matrix, j + i * step), load(v, i), total))


@njit(**OPTIONS)
def _tridiagonalize(a: np.ndarray, size: int, diagonal: np.ndarray, off: np.ndarray, q: np.ndarray) -> None:
    """Diagonals of `q' a q` and the orthogonal q (both with rows of `size` eights); overwrites a.

    The last of `off` is zero.
    """
    v, w = np.empty((size, EIGHT)), np.empty((size, EIGHT))
    for k in range(size - 2):
        left, corner = size - k - 1, (k + 1) * (size + 1)
        reflector(a, corner - 1, size, left, v)
        overlap = every(0.0)
        for i in range(left):
            total = every(0.0)
            for j in range(left):
                total = plus_product(total, load(a, corner + i * size + j), load(v, j))
            store(w, i, total)
            overlap = plus_product(overlap, load(v, i), total)
        overlap = times(overlap, every(0.5))
        column = every(0.0)
        for i in range(left):
            store(w, i, less_product(load(w, i), overlap, load(v, i)))
            column = plus_product(column, load(v, i), load(a, corner + i * size - 1))
        store(off, k, less_product(load(a, corner - 1), column, load(v, 0)))
        for i in range(left):
            v_i, w_i = load(v, i), load(w, i)
            for j in range(left):
                here = corner + i * size + j
                store(a, here, less_product(less_product(load(a, here), v_i, load(w, j)), w_i, load(v, j)))
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
        reflect(v, q, corner, size, (left, left))


@njit(**OPTIONS)
def _wilkinson(first: Eight, second: Eight, off: Eight) -> Eight:
    """Of the eigenvalues of a symmetric matrix of two rows, the one nearer to the first of its diagonal."""
    gap = times(every(0.5), minus(second, first))
    distance = root(plus_product(times(gap, gap), off, off))
    gap = plus(gap, where_less(gap, every(0.0), negative(distance), distance))
    return less_product(first, off, over(off, gap))


@njit(**OPTIONS)
def _turn(first: int, size: int, off: np.ndarray, diagonal: np.ndarray, turns: np.ndarray, small: Eight) -> None:
    """One QL step on rows `first` ... in the lanes where off[first] is beyond a bound; its rotations to `turns`."""
    zero, one, tiny = every(0.0), every(1.0), every(TINY)
    size_e = magnitude(load(off, first))
    shift = _wilkinson(load(diagonal, first), load(diagonal, first + 1), load(off, first))
    p, c, s = minus(load(diagonal, size - 1), shift), one, zero
    for i in range(size - 2, first - 1, -1):
        e, below = load(off, i), minus(load(diagonal, i), shift)
        g, h = times(c, e), times(c, p)
        length = root(plus_product(times(p, p), e, e))
        reciprocal = over(one, length)
        new = times(s, length)
        s = where_less(tiny, length, times(e, reciprocal), zero)
        c = where_less(tiny, length, times(p, reciprocal), one)
        p = less_product(times(c, below), s, g)
        store(turns, 2 * i, where_less(small, size_e, s, zero))
        store(turns, 2 * i + 1, where_less(small, size_e, c, one))
        moved = plus(plus_product(h, s, plus_product(times(c, g), s, below)), shift)
        store(diagonal, i + 1, where_less(small, size_e, moved, load(diagonal, i + 1)))
        store(off, i + 1, where_less(small, size_e, new, load(off, i + 1)))
    store(off, first, where_less(small, size_e, times(s, p), load(off, first)))
    store(diagonal, first, where_less(small, size_e, plus_product(shift, c, p), load(diagonal, first)))


@njit(**OPTIONS)
def _rotate(first: int, size: int, turns: np.ndarray, vectors: np.ndarray) -> None:
    """Apply the rotations of a step to the columns of the vectors, four rows at a time."""
    last = size - 1
    for k in range(0, size, 4):
        # Beyond the last row that one again: the same is done to it and written.
        a, b, c, d = k * size, min(k + 1, last) * size, min(k + 2, last) * size, min(k + 3, last) * size
        x, y, z, u = load(vectors, a + last), load(vectors, b + last), load(vectors, c + last), load(vectors, d + last)
        for i in range(last - 1, first - 1, -1):
            sine, cosine = load(turns, 2 * i), load(turns, 2 * i + 1)
            x_i, y_i, z_i, u_i = load(vectors, a + i), load(vectors, b + i), load(vectors, c + i), load(vectors, d + i)
            store(vectors, a + i + 1, plus_product(times(sine, x_i), cosine, x))
            store(vectors, b + i + 1, plus_product(times(sine, y_i), cosine, y))
            store(vectors, c + i + 1, plus_product(times(sine, z_i), cosine, z))
            store(vectors, d + i + 1, plus_product(times(sine, u_i), cosine, u))
            x, y = less_product(times(cosine, x_i), sine, x), less_product(times(cosine, y_i), sine, y)
            z, u = less_product(times(cosine, z_i), sine, z), less_product(times(cosine, u_i), sine, u)
        store(vectors, a + first, x)
        store(vectors, b + first, y)
        store(vectors, c + first, z)
        store(vectors, d + first, u)


@njit(**OPTIONS)
def diagonalize(a: np.ndarray, size: int, values: np.ndarray, vectors: np.ndarray) -> None:
    """Eigenvalues (size), in no particular order, and eigenvectors (size, size; columns) of eight symmetric matrices a
    (size, size), to rounding of the largest eigenvalue; overwrites a.

    Entries must be finite and below 1e150; those below 1e-140 count as zero.
    """
    off, turns = np.empty((size, EIGHT)), np.empty((2 * size, EIGHT))
    _tridiagonalize(a, size, values, off, vectors)
    norm = every(0.0)
    for i in range(size):
        row = plus(magnitude(load(values, i)), magnitude(load(off, i)))
        norm = where_less(norm, row, row, norm)
    tolerance = times(norm, every(EPSILON))
    bound = where_less(tolerance, every(TINY), every(TINY), tolerance)
    for first in range(size - 1):
        for _ in range(TURNS):
            if not any_less(bound, magnitude(load(off, first))):
                break
            _turn(first, size, off, values, turns, bound)
            _rotate(first, size, turns, vectors)


@njit(**OPTIONS)
def refine(gram: np.ndarray, size: int, vectors: np.ndarray, steepness: Eight, bound: float) -> None:
    """Improve vectors V, eigenvectors of S'S, given `gram = (S V)'(S V)`, until that is diagonal relative to each pair
    of its diagonal entries, in the lanes where steepness > bound; gram becomes that diagonal matrix.

    Jacobi's rotations then find V as accurately as if they were applied to S: what squaring S takes away from small
    eigenvalues beside large ones comes back with `S V`, whose columns already differ in size as the eigenvalues do.
    """
    zero, one, four = every(0.0), every(1.0), every(4.0)
    limit, accepted = every(bound), every(EPSILON * EPSILON)
    for _ in range(SWEEPS):
        rotated = False
        for p in range(size - 1):
            for q in range(p + 1, size):
                off, low, high = load(gram, p * size + q), load(gram, p * (size + 1)), load(gram, q * (size + 1))
                g = where_less(limit, steepness, off, zero)
                g = where_less(times(accepted, magnitude(times(low, high))), times(g, g), g, zero)
                if not any_less(zero, magnitude(g)):
                    continue
                rotated = True
                gap = minus(high, low)
                distance = root(plus_product(times(gap, gap), times(four, g), g))
                sum_ = plus(gap, where_less(gap, zero, negative(distance), distance))
                tangent = over(plus(g, g), sum_)
                tangent = where_less(zero, magnitude(g), tangent, zero)
                cosine = over(one, root(plus_product(one, tangent, tangent)))
                sine = times(tangent, cosine)
                for k in range(size):
                    x, y = load(gram, k * size + p), load(gram, k * size + q)
                    x, y = less_product(times(cosine, x), sine, y), plus_product(times(sine, x), cosine, y)
                    store(gram, k * size + p, x)
                    store(gram, p * size + k, x)
                    store(gram, k * size + q, y)
                    store(gram, q * size + k, y)
                    x, y = load(vectors, k * size + p), load(vectors, k * size + q)
                    store(vectors, k * size + p, less_product(times(cosine, x), sine, y))
                    store(vectors, k * size + q, plus_product(times(sine, x), cosine, y))
                # Of the pair itself, without the rounding of the larger in the smaller.
                left = where_less(zero, magnitude(g), zero, off)
                store(gram, p * size + q, left)
                store(gram, q * size + p, left)
                store(gram, p * (size + 1), less_product(low, tangent, g))
                store(gram, q * (size + 1), plus_product(high, tangent, g))
        if not rotated:
            break


@njit(**OPTIONS)
def eigenpairs(begin: int, end: int, matrices: np.ndarray, values: np.ndarray, vectors: np.ndarray) -> None:
    """Of blocks `begin` ... of eight matrices (B, d, d): values (B, d) and vectors (B, d, d)."""
    count, size, _ = matrices.shape
    a, v, c = np.empty((size * size, EIGHT)), np.empty((size * size, EIGHT)), np.empty((size, EIGHT))
    for block in range(begin * EIGHT, end * EIGHT, EIGHT):
        for lane in range(EIGHT):
            matrix = min(block + lane, count - 1)  # a last block that is not full repeats its last matrix
            for i in range(size):
                for j in range(size):
                    a[i * size + j, lane] = matrices[matrix, i, j]
        diagonalize(a, size, c, v)
        for lane in range(min(EIGHT, count - block)):
            for i in range(size):
                values[block + lane, i] = c[i, lane]
                for j in range(size):
                    vectors[block + lane, i, j] = v[i * size + j, lane]
