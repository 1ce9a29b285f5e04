"""Eigenvalues and eigenvectors of small symmetric matrices: LAPACK is made for large ones and takes ten times as long.

Rotations make a matrix tridiagonal, and QL iterations with Wilkinson's shift, written with the shift subtracted, make
that diagonal (Golub and Van Loan, Matrix Computations, sections 5.1.8, 8.3.3 and 8.5). All lanes iterate until the last
one has converged, but a lane that has is left as it is: its result does not depend on its neighbors.
"""

import math

import numpy as np
from numba import njit

from mnmef.kernels.lanes import INNER, LANES, OPTIONS, Array, any_less, eights, every, gather, scatter, where_less

EPSILON, TINY = 2.0**-53, 1e-140
"""Off the diagonal, what is below these, relative to the largest row and absolutely, counts as zero."""

SWEEPS, TURNS = 12, 60
"""Of rotations of all pairs, and turns for an eigenvalue, after which they are taken as they are; 2 or 3 are usual."""


@njit(**INNER)
def rotation(x: float, y: float) -> tuple[float, float, float]:
    """Cosine and sine of the rotation that makes (r, 0) of (x, y), and r."""
    r = math.sqrt(x * x + y * y)
    reciprocal = 1.0 / r
    return where_less(TINY, r, x * reciprocal, every(1.0)), where_less(TINY, r, y * reciprocal, every(0.0)), r


@njit(**INNER)
def rotate(a: Array, p: int, q: int, cosine: float, sine: float) -> None:
    """Turn rows p and q of a matrix, to `cosine p - sine q` and `sine p + cosine q`."""
    for k in range(a.shape[1]):
        x, y = a[p, k], a[q, k]
        a[p, k], a[q, k] = cosine * x - sine * y, sine * x + cosine * y


@njit(**INNER)
def _tridiagonalize(a: Array, v: Array) -> None:
    """Make tridiagonal `v a v'` of a, and the orthogonal v."""
    for i in range(len(a)):
        for j in range(len(a)):
            v[i, j] = every(1.0 if i == j else 0.0)
    for k in range(len(a) - 2):
        for i in range(len(a) - 1, k + 1, -1):
            cosine, sine, _ = rotation(a[k + 1, k], a[i, k])
            rotate(a[:, k:], i, k + 1, cosine, sine)
            rotate(a[k:].T, i, k + 1, cosine, sine)
            rotate(v, i, k + 1, cosine, sine)


@njit(**INNER)
def _iterate(first: int, diagonal: Array, off: Array, vectors: Array, small: float) -> None:
    """One QL step on rows `first` ..., and on the vectors, in the lanes where off[first] is beyond a bound."""
    zero, one = every(0.0), every(1.0)
    size_e, e, begin = abs(off[first]), off[first], diagonal[first]
    # Wilkinson's shift: of the eigenvalues of the first two rows, the one nearer to the first of the diagonal.
    gap = 0.5 * (diagonal[first + 1] - begin)
    distance = math.sqrt(gap * gap + e * e)
    shift = begin - e * (e / (gap + where_less(gap, zero, -distance, distance)))
    p, c, s = diagonal[len(diagonal) - 1] - shift, one, zero
    for i in range(len(diagonal) - 2, first - 1, -1):
        e, below = off[i], diagonal[i] - shift
        g, h, last_s = c * e, c * p, s
        c, s, length = rotation(p, e)
        p = c * below - s * g
        diagonal[i + 1] = where_less(small, size_e, h + s * (c * g + s * below) + shift, diagonal[i + 1])
        off[i + 1] = where_less(small, size_e, last_s * length, off[i + 1])
        rotate(vectors, i, i + 1, where_less(small, size_e, c, one), where_less(small, size_e, s, zero))
    off[first] = where_less(small, size_e, s * p, off[first])
    diagonal[first] = where_less(small, size_e, shift + c * p, diagonal[first])


@njit(**INNER)
def diagonalize(a: Array, values: Array, vectors: Array) -> None:
    """Eigenvalues (d), in no particular order, and eigenvectors (d, d; rows) of symmetric matrices a (d, d), to
    rounding of the largest eigenvalue; overwrites a.

    Entries from 1e150 on may give any numbers; those below 1e-140 count as zero.
    """
    size, norm, off = len(a), every(0.0), eights(np.empty((len(a), LANES)))
    _tridiagonalize(a, vectors)
    for i in range(size):
        values[i], off[i] = a[i, i], (a[i, i + 1] if i + 1 < size else every(0.0))
        row = abs(values[i]) + abs(off[i])
        norm = where_less(norm, row, row, norm)
    bound = where_less(norm * EPSILON, TINY, every(TINY), norm * EPSILON)
    for first in range(size - 1):
        for _ in range(TURNS):
            if not any_less(bound, abs(off[first])):
                break
            _iterate(first, values, off, vectors, bound)


@njit(**INNER)
def refine(gram: Array, vectors: Array, steepness: float, bound: float) -> None:
    """Improve V', eigenvectors of S'S as rows, given `gram = (S V)'(S V)`, until that is diagonal relative to each pair
    of its diagonal entries, in the lanes where steepness > bound; gram becomes that diagonal matrix.

    Jacobi's rotations then find V as accurately as if they were applied to S: what squaring S takes away from small
    eigenvalues beside large ones comes back with `S V`, whose columns already differ in size as the eigenvalues do.
    """
    zero, size = every(0.0), len(gram)
    for _ in range(SWEEPS):
        rotated = False
        for p in range(size - 1):
            for q in range(p + 1, size):
                off, low, high = gram[p, q], gram[p, p], gram[q, q]
                g = where_less(bound, steepness, off, zero)
                g = where_less(EPSILON * EPSILON * abs(low * high), g * g, g, zero)
                if not any_less(zero, abs(g)):
                    continue
                rotated = True
                gap = high - low
                distance = math.sqrt(gap * gap + 4.0 * g * g) + TINY
                tangent = 2.0 * g / (gap + where_less(gap, zero, -distance, distance))
                cosine = 1.0 / math.sqrt(1.0 + tangent * tangent)
                sine = tangent * cosine
                rotate(gram, p, q, cosine, sine)
                rotate(gram.T, p, q, cosine, sine)
                rotate(vectors, p, q, cosine, sine)
                # Of the pair itself, without the rounding of the larger in the smaller.
                gram[p, p], gram[q, q] = low - tangent * g, high + tangent * g
                gram[p, q] = gram[q, p] = where_less(zero, abs(g), zero, off)
        if not rotated:
            break


@njit(**OPTIONS)
def eigenpairs(begin: int, end: int, matrices: Array, values: Array, vectors: Array) -> None:
    """Of blocks `begin` ... of LANES matrices (B, d, d): values (B, d) and vectors (B, d, d; rows)."""
    count, size, _ = matrices.shape
    a, v, c = np.empty((size, size, LANES)), np.empty((size, size, LANES)), np.empty((size, LANES))
    for block in range(begin * LANES, end * LANES, LANES):
        gather(matrices.reshape(count, -1), block, a.reshape(-1, LANES))
        diagonalize(eights(a), eights(c), eights(v))
        scatter(c, block, values)
        scatter(v.reshape(-1, LANES), block, vectors.reshape(count, -1))
