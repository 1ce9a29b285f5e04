"""The Gauss-Newton step of the iterative smoothers, eight trajectories at a time.

What array operations would read from memory again and again stays in the cache. Matrices of d numbers per member are
kept from one iteration to the next as matrices of eights, eight trajectories to a block; a last block that is not full
repeats its last trajectory. The equations are those of `mnmef.filters.gauss_newton`.
"""

import numpy as np
from numba import njit

from mnmef.kernels import HUGE, STEEP
from mnmef.kernels.compiling import OPTIONS
from mnmef.kernels.eigen import diagonalize, refine, reflect, reflector
from mnmef.kernels.eights import (
    EIGHT,
    Eight,
    any_less,
    every,
    less_product,
    load,
    minus,
    negative,
    over,
    plus,
    root,
    store,
    times,
    where_less,
)
from mnmef.kernels.products import product, product_of_numbers

PARTS = 3
"""Matrices (N, d) of a transform: basis, back, and the weights `mean_weights - left`; then mean_weights (d) and, in the
stochastic form, the core (d, d) follow.
"""


@njit(**OPTIONS)
def _center(x: np.ndarray, members: int, size: int, factor: float, mean: np.ndarray) -> None:
    """Take the mean over members off a matrix of eights and multiply it by a factor."""
    share, scale = every(1.0 / members), every(factor)
    for i in range(size):
        total = every(0.0)
        for n in range(members):
            total = plus(total, load(x, n * size + i))
        total = times(total, share)
        store(mean, i, total)
        for n in range(members):
            store(x, n * size + i, times(minus(load(x, n * size + i), total), scale))


@njit(**OPTIONS)
def pack(begin: int, end: int, source: np.ndarray, origin: np.ndarray, factor: float, target: np.ndarray) -> None:
    """Blocks `begin` ... of `(source - origin) * factor`, for matrices (B, N, d) and vectors (B, d), as matrices of
    eights: the first, and then every, one of target (P, N * d, 8).
    """
    count, members, size = source.shape
    for block in range(begin, end):
        for lane in range(EIGHT):
            b = min(block * EIGHT + lane, count - 1)
            for n in range(members):
                for i in range(size):
                    number = (np.float64(source[b, n, i]) - origin[b, i]) * factor
                    target[block - begin, n * size + i, lane] = number


@njit(**OPTIONS)
def move(
    begin: int,
    end: int,
    state: np.ndarray,
    size: int,
    factor: float,
    ensemble: np.ndarray,
    anomalies: np.ndarray,
    result: np.ndarray,
) -> None:
    """`ensemble + factor (w + T - I) anomalies` for ensembles (B, N, Nx), in their precision."""
    count, members, columns = ensemble.shape
    span = members * size
    seen, nothing = np.empty((size, columns), ensemble.dtype), np.zeros((size, columns), ensemble.dtype)
    for block in range(begin, end):
        row = state[block]
        for lane in range(min(EIGHT, count - block * EIGHT)):
            b = block * EIGHT + lane
            product_of_numbers(row[:span, lane], 1, size, 1.0, anomalies[b], nothing, seen)
            product_of_numbers(row[2 * span :, lane], size, 1, factor, seen, ensemble[b], result[b])


@njit(**OPTIONS)
def _solve(a: np.ndarray, size: int, x: np.ndarray) -> None:
    """Make `a^-1 x` of eight matrices x, by reflections; overwrites a. A singular one gives what is not finite."""
    v = np.empty((size, EIGHT))
    for k in range(size):
        left, corner = size - k, k * (size + 1)
        reflector(a, corner, size, left, v)
        reflect(v, a, corner, size, (left, left))
        reflect(v, x, k * size, size, (left, size))
    for i in range(size - 1, -1, -1):
        reciprocal = over(every(1.0), load(a, i * (size + 1)))
        for j in range(size):
            total = load(x, i * size + j)
            for k in range(i + 1, size):
                total = less_product(total, load(a, i * size + k), load(x, k * size + j))
            store(x, i * size + j, times(total, reciprocal))


@njit(**OPTIONS)
def _undo(old: np.ndarray, s: np.ndarray, innovation: np.ndarray, members: int, size: int, scale: float) -> None:
    """Make `T_old^-1 s` of s and add `scale w_old s` to the innovation."""
    span = members * size
    basis, back, mean_weights = old[:span], old[span : 2 * span], old[PARTS * span :]
    core = mean_weights[size:].copy()
    seen, w = np.empty((size * size, EIGHT)), np.empty((members, EIGHT))
    product(basis, 1, size, s, seen, (size, members, size), False)
    if len(core):
        _solve(core, size, seen)
    product(back, size, 1, seen, s, (members, size, size), True)
    product(basis, size, 1, mean_weights, w, (members, size, 1), False)
    for n in range(members):
        store(w, n, times(load(w, n), every(scale)))
    product(w, 0, 1, s, innovation, (1, members, size), True)


@njit(**OPTIONS)
def _transform(
    s: np.ndarray,
    gram: np.ndarray,
    innovation: np.ndarray,
    draws: np.ndarray,
    shape: tuple[int, int],
    steepness: Eight,
    new: np.ndarray,
) -> None:
    """The transform but for the weights' part of the mean, from S (N, d), its gram matrix, the innovation (d) and draws
    (N, d; no rows in the square-root form); overwrites gram.
    """
    members, size = shape
    span, scale, one, zero = members * size, (members - 1) ** 0.5, every(1.0), every(0.0)
    basis, back, weights, mean_weights = new[:span], new[span : 2 * span], new[2 * span :], new[PARTS * span :]
    core = mean_weights[size:]
    squares, vectors = np.empty((size, EIGHT)), np.empty((size * size, EIGHT))
    diagonalize(gram, size, squares, vectors)
    product(s, size, 1, vectors, basis, (members, size, size), False)
    if any_less(every(STEEP), steepness):
        product(basis, 1, size, basis, gram, (size, members, size), False)
        refine(gram, size, vectors, steepness, STEEP)
        product(s, size, 1, vectors, basis, (members, size, size), False)
        for i in range(size):
            store(squares, i, where_less(every(STEEP), steepness, load(gram, i * (size + 1)), load(squares, i)))
    product(innovation, 0, 1, vectors, mean_weights, (1, size, size), False)
    inverse, spread = np.empty((size, EIGHT)), np.empty((size, EIGHT))
    for i in range(size):
        c = load(squares, i)
        r = root(plus(one, where_less(zero, c, c, zero)))
        store(inverse, i, over(one, r))
        store(spread, i, over(one, plus(one, r)))
        store(mean_weights, i, times(times(load(mean_weights, i), load(inverse, i)), every(1.0 / scale)))
    if not len(draws):
        for n in range(members):
            for i in range(size):
                modes, share = load(basis, n * size + i), load(spread, i)
                store(basis, n * size + i, times(modes, load(inverse, i)))
                store(back, n * size + i, less_product(modes, modes, share))
                store(weights, n * size + i, negative(times(modes, share)))
        return
    for k in range(size * size):
        store(vectors, k, times(load(vectors, k), every(1.0 / scale)))
    product(draws, size, 1, vectors, weights, (members, size, size), False)
    for n in range(members):
        for i in range(size):
            store(basis, n * size + i, times(load(basis, n * size + i), load(inverse, i)))
    product(basis, 1, size, weights, core, (size, members, size), False)
    for i in range(size):
        for j in range(size):
            unit = load(inverse, i) if i == j else zero
            store(core, i * size + j, minus(unit, load(core, i * size + j)))
    for n in range(members):
        for i in range(size):
            shifted = plus(over(load(basis, n * size + i), load(inverse, i)), load(weights, n * size + i))
            store(back, n * size + i, shifted)
            store(weights, n * size + i, negative(times(shifted, load(inverse, i))))


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
    scale = (members - 1) ** 0.5
    room, innovation = np.empty((1, members * size, EIGHT)), np.empty((size, EIGHT))
    gram, s, huge = np.empty((size * size, EIGHT)), room[0], every(HUGE)
    for block in range(begin, end):
        pack(block, block + 1, observed, observation, 1.0 / sigma_y, room)
        _center(s, members, size, 1.0 / scale, innovation)
        for i in range(size):
            store(innovation, i, negative(load(innovation, i)))
        if len(old):
            _undo(old[block], s, innovation, members, size, scale)
        product(s, 1, size, s, gram, (size, members, size), False)
        total, zero = every(0.0), every(0.0)
        for i in range(size):
            total = plus(total, load(gram, i * (size + 1)))
        for k in range(size * size):
            store(gram, k, where_less(total, huge, load(gram, k), zero))
        drawn = draws[block] if len(draws) else room[0, :0]
        _transform(s, gram, innovation, drawn, (members, size), total, new[block])
        weights = new[block][2 * members * size :]
        mean_weights, missing = weights[members * size :], every(np.nan)
        for i in range(size):
            store(mean_weights, i, where_less(total, huge, load(mean_weights, i), missing))
        for n in range(members):
            for i in range(size):
                store(weights, n * size + i, plus(load(mean_weights, i), load(weights, n * size + i)))
