"""The Gauss-Newton step of the iterative smoothers, with trajectories side by side.

What array operations would read from memory again and again stays in the cache. Matrices of d numbers per member are
kept from one iteration to the next as matrices of lanes, LANES trajectories to a block; a last block that is not full
repeats its last trajectory. The equations are those of `mnmef.filters.gauss_newton`.
"""

import math

import numpy as np
from numba import njit

from mnmef.kernels import HUGE, STEEP
from mnmef.kernels.compiling import OPTIONS
from mnmef.kernels.eigen import diagonalize, refine, reflect, reflector
from mnmef.kernels.lanes import LANES, any_less, every, load, store, where_less

PARTS = 3
"""Matrices (N, d) of a transform: basis, back, and the weights `mean_weights - left`; then mean_weights (d) and, in the
stochastic form, the core (d, d) follow.
"""


@njit(**OPTIONS)
def product(
    a: np.ndarray, row: int, term: int, b: np.ndarray, c: np.ndarray, size: tuple[int, int, int], adds: bool
) -> None:
    """`c = a b`, or `c += a b`, for matrices of lanes: a is at `a[i row + k term]`, b and c are row by row.

    size: rows, terms and columns. Sums of two rows and two columns stay in registers; beyond the last one that one
    again: the same is done to it and written.
    """
    rows, terms, columns = size
    for i in range(0, rows, 2):
        below = min(i + 1, rows - 1)
        for j in range(0, columns, 2):
            right = min(j + 1, columns - 1)
            w = x = y = z = every(0.0)
            if adds:
                w, x = load(c, i * columns + j), load(c, i * columns + right)
                y, z = load(c, below * columns + j), load(c, below * columns + right)
            for k in range(terms):
                upper, lower = load(a, i * row + k * term), load(a, below * row + k * term)
                first, second = load(b, k * columns + j), load(b, k * columns + right)
                w, x, y, z = w + upper * first, x + upper * second, y + lower * first, z + lower * second
            store(c, i * columns + j, w)
            store(c, i * columns + right, x)
            store(c, below * columns + j, y)
            store(c, below * columns + right, z)


@njit(**OPTIONS)
def pack(begin: int, end: int, source: np.ndarray, origin: np.ndarray, factor: float, target: np.ndarray) -> None:
    """Blocks `begin` ... of `(source - origin) * factor`, for matrices (B, N, d) and vectors (B, d), as matrices of
    lanes: the first, and then every, one of target (P, N * d, LANES).
    """
    count, members, size = source.shape
    for block in range(begin, end):
        for lane in range(LANES):
            b = min(block * LANES + lane, count - 1)
            for n in range(members):
                for i in range(size):
                    number = (np.float64(source[b, n, i]) - origin[b, i]) * factor
                    target[block - begin, n * size + i, lane] = number


@njit(**OPTIONS)
def _center(x: np.ndarray, members: int, size: int, factor: float, mean: np.ndarray) -> None:
    """Take the mean over members off a matrix and multiply it by a factor."""
    for i in range(size):
        total = every(0.0)
        for k in range(i, members * size, size):
            total += load(x, k)
        total *= 1.0 / members
        store(mean, i, total)
        for k in range(i, members * size, size):
            store(x, k, (load(x, k) - total) * factor)


@njit(**OPTIONS)
def _solve(a: np.ndarray, size: int, x: np.ndarray) -> None:
    """Make `a^-1 x` of matrices x, by reflections; overwrites a. A singular one gives what is not finite."""
    v = np.empty((size, LANES))
    for k in range(size):
        left, corner = size - k, k * (size + 1)
        reflector(a, corner, size, left, v)
        reflect(v, a, corner, (size, 1), left, left)
        reflect(v, x, k * size, (size, 1), left, size)
    for i in range(size - 1, -1, -1):
        reciprocal = 1.0 / load(a, i * (size + 1))
        for j in range(size):
            total = load(x, i * size + j)
            for k in range(i + 1, size):
                total -= load(a, i * size + k) * load(x, k * size + j)
            store(x, i * size + j, total * reciprocal)


@njit(**OPTIONS)
def _undo(old: np.ndarray, s: np.ndarray, innovation: np.ndarray, members: int, size: int, scale: float) -> None:
    """Make `T_old^-1 s` of s and add `scale w_old s` to the innovation."""
    span = members * size
    basis, back, mean_weights = old[:span], old[span : 2 * span], old[PARTS * span :]
    core = mean_weights[size:].copy()
    seen, w = np.empty((size * size, LANES)), np.empty((members, LANES))
    product(basis, 1, size, s, seen, (size, members, size), False)
    if len(core):
        _solve(core, size, seen)
    product(back, size, 1, seen, s, (members, size, size), True)
    product(basis, size, 1, mean_weights, w, (members, size, 1), False)
    for n in range(members):
        store(w, n, load(w, n) * scale)
    product(w, 0, 1, s, innovation, (1, members, size), True)


@njit(**OPTIONS)
def _transform(
    s: np.ndarray,
    gram: np.ndarray,
    innovation: np.ndarray,
    draws: np.ndarray,
    size: int,
    steepness: float,
    new: np.ndarray,
) -> None:
    """The transform but for the weights' part of the mean, from S (N, d), its gram matrix, the innovation (d) and draws
    (N, d; no rows in the square-root form); overwrites gram.
    """
    span, members = len(s), len(s) // size
    scale, zero = (members - 1) ** 0.5, every(0.0)
    basis, back, weights, mean_weights = new[:span], new[span : 2 * span], new[2 * span :], new[PARTS * span :]
    squares, vectors = np.empty((size, LANES)), np.empty((size * size, LANES))
    diagonalize(gram, size, squares, vectors)
    product(s, size, 1, vectors, basis, (members, size, size), False)
    if any_less(every(STEEP), steepness):
        product(basis, 1, size, basis, gram, (size, members, size), False)
        refine(gram, size, vectors, steepness, STEEP)
        product(s, size, 1, vectors, basis, (members, size, size), False)
        for i in range(size):
            store(squares, i, where_less(every(STEEP), steepness, load(gram, i * (size + 1)), load(squares, i)))
    product(innovation, 0, 1, vectors, mean_weights, (1, size, size), False)
    inverse = np.empty((size, LANES))
    for i in range(size):
        c = load(squares, i)
        store(inverse, i, 1.0 / math.sqrt(1.0 + where_less(zero, c, c, zero)))
        store(mean_weights, i, load(mean_weights, i) * load(inverse, i) * (1.0 / scale))
    if not len(draws):
        for k in range(span):
            modes, share = load(basis, k), load(inverse, k % size) / (1.0 + load(inverse, k % size))
            store(basis, k, modes * load(inverse, k % size))
            store(back, k, modes - modes * share)
            store(weights, k, -modes * share)
        return
    product(draws, size, 1, vectors, weights, (members, size, size), False)
    for k in range(span):
        modes, shift = load(basis, k), load(weights, k) * (1.0 / scale)
        store(basis, k, modes * load(inverse, k % size))
        store(weights, k, shift)
        store(back, k, modes + shift)
    core = mean_weights[size:]
    product(basis, 1, size, weights, core, (size, members, size), False)
    for i in range(size):
        for j in range(size):
            unit = load(inverse, i) if i == j else zero
            store(core, i * size + j, unit - load(core, i * size + j))
    for k in range(span):
        store(weights, k, -load(back, k) * load(inverse, k % size))


@njit(**OPTIONS)
def step(
    begin: int,
    end: int,
    observed: np.ndarray,
    observation: np.ndarray,
    sigma_y: float,
    draws: np.ndarray,
    old: np.ndarray,
    new: np.ndarray,
) -> None:
    """The next transforms `new` (P blocks), given observed members (B, N, d), observations (B, d) and the transforms
    `old` (P blocks, or none) that led to the members.

    draws (P blocks of N * d, or none): of the stochastic form. Where the squared size of the anomalies is not a number
    or huge, the weights are not numbers.
    """
    _, members, size = observed.shape
    span, scale, zero, huge = members * size, (members - 1) ** 0.5, every(0.0), every(HUGE)
    room, innovation = np.empty((1, span, LANES)), np.empty((size, LANES))
    gram, s = np.empty((size * size, LANES)), room[0]
    for block in range(begin, end):
        pack(block, block + 1, observed, observation, 1.0 / sigma_y, room)
        _center(s, members, size, 1.0 / scale, innovation)
        for i in range(size):
            store(innovation, i, -load(innovation, i))
        if len(old):
            _undo(old[block], s, innovation, members, size, scale)
        product(s, 1, size, s, gram, (size, members, size), False)
        total = zero
        for i in range(size):
            total += load(gram, i * (size + 1))
        for k in range(size * size):
            store(gram, k, where_less(total, huge, load(gram, k), zero))
        drawn = draws[block] if len(draws) else room[0, :0]
        _transform(s, gram, innovation, drawn, size, total, new[block])
        weights = new[block][2 * span :]
        mean_weights, missing = weights[span:], every(np.nan)
        for i in range(size):
            store(mean_weights, i, where_less(total, huge, load(mean_weights, i), missing))
        for k in range(span):
            store(weights, k, load(mean_weights, k % size) + load(weights, k))
