"""The Gauss-Newton step of the iterative smoothers, with trajectories side by side.

What array operations would read from memory again and again stays in the cache. Matrices of d numbers per member are
kept from one iteration to the next as matrices of lanes, LANES trajectories to a block; a last block that is not full
repeats its last trajectory. The equations are those of `mnmef.filters.gauss_newton`.
"""

import math

import numpy as np
from numba import njit

from mnmef.kernels import HUGE, STEEP
from mnmef.kernels.eigen import diagonalize, refine, rotate, rotation
from mnmef.kernels.lanes import INNER, LANES, OPTIONS, Array, any_less, eights, every, gather, product, where_less

PARTS = 3
"""Matrices (N, d) of a transform: basis, back, and the weights `mean_weights - left`; then mean_weights (1, d) and, in
the stochastic form, the core (d, d) follow.
"""


@njit(**OPTIONS)
def move(begin: int, end: int, state: Array, factor: float, ensemble: Array, anomalies: Array, result: Array) -> None:
    """`ensemble + factor (w + T - I) anomalies` for ensembles (B, N, Nx), in their precision, and P blocks of state.

    Trajectory by trajectory, so that what one product leaves is in the cache for the next.
    """
    _, members, columns = ensemble.shape
    shape = members, state.shape[2]
    basis, weights = np.empty(shape, ensemble.dtype), np.empty(shape, ensemble.dtype)
    for b in range(begin, end):
        matrices = state[b // LANES, :, :, b % LANES]
        basis[:], weights[:] = matrices[:members], matrices[2 * members : PARTS * members] * factor
        np.dot(weights, np.dot(basis.T, anomalies[b]), result[b])
        for n in range(members):
            for i in range(columns):
                result[b, n, i] += ensemble[b, n, i]


@njit(**INNER)
def _solve(a: Array, x: Array) -> None:
    """Make `a^-1 x` of matrices x, by rotations; overwrites a. A singular one gives what is not finite."""
    size = len(a)
    for k in range(size):
        for i in range(k + 1, size):
            cosine, sine, _ = rotation(a[k, k], a[i, k])
            rotate(a[:, k:], i, k, cosine, sine)
            rotate(x, i, k, cosine, sine)
    for i in range(size - 1, -1, -1):
        reciprocal = 1.0 / a[i, i]
        for j in range(size):
            total = x[i, j]
            for k in range(i + 1, size):
                total -= a[i, k] * x[k, j]
            x[i, j] = total * reciprocal


@njit(**INNER)
def _undo(old: Array, s: Array, innovation: Array) -> None:
    """Make `T_old^-1 s` of s and add `w_old s` to the innovation."""
    members, size = s.shape
    basis, back, mean_weights = eights(old[:members]), eights(old[members : 2 * members]), old[PARTS * members :]
    seen, w = eights(np.empty((size, size, LANES))), eights(np.empty((1, members, LANES)))
    product(basis.T, s, seen, False)
    if len(mean_weights) > 1:
        _solve(eights(mean_weights[1:].copy()), seen)
    product(back, seen, s, True)
    product(eights(mean_weights[:1]), basis.T, w, False)
    product(w, s, innovation, True)


@njit(**INNER)
def _transform(s: Array, gram: Array, innovation: Array, draws: Array, steepness: float, new: Array) -> None:
    """The transform, from S (N, d), its gram matrix and the trace of that (steepness), the innovation (1, d) and draws
    (N, d; no rows in the square-root form); overwrites gram.
    """
    (members, size), zero = s.shape, every(0.0)
    basis, back, weights = new[:members], new[members : 2 * members], new[2 * members : PARTS * members]
    mean_weights, core = new[PARTS * members : PARTS * members + 1], new[PARTS * members + 1 :]
    squares, vectors = eights(np.empty((size, LANES))), eights(np.empty((size, size, LANES)))
    diagonalize(gram, squares, vectors)
    product(s, vectors.T, basis, False)
    if any_less(STEEP, steepness):
        product(basis.T, basis, gram, False)
        refine(gram, vectors, steepness, STEEP)
        product(s, vectors.T, basis, False)
        for i in range(size):
            squares[i] = where_less(STEEP, steepness, gram[i, i], squares[i])
    product(innovation, vectors.T, mean_weights, False)
    inverse = squares
    for i in range(size):
        inverse[i] = 1.0 / math.sqrt(1.0 + where_less(zero, squares[i], squares[i], zero))
        mean_weights[0, i] = where_less(steepness, HUGE, mean_weights[0, i] * inverse[i], every(np.nan))
    if len(draws):
        product(draws, vectors.T, weights, False)
        product(basis.T, weights, core, False)
        for i in range(size):
            for j in range(size):
                core[i, j] = (inverse[i] if i == j else zero) - inverse[i] * core[i, j]
    for n in range(members):
        for i in range(size):
            mode, r = basis[n, i], inverse[i]
            basis[n, i] = mode * r
            back[n, i] = mode + weights[n, i] if len(draws) else mode / (1.0 + r)
            weights[n, i] = mean_weights[0, i] - back[n, i] * r


@njit(**OPTIONS)
def step(
    begin: int, end: int, observed: Array, observation: Array, sigma_y: float, draws: Array, old: Array, new: Array
) -> None:
    """The next transforms `new` (P blocks), given observed members (B, N, d), observations (B, d) and the transforms
    `old` (P blocks, or none) that led to the members.

    draws over sqrt(N - 1) (B, N, d, or none): of the stochastic form. Where the squared size of the anomalies is not a
    number or huge, the weights are not numbers.
    """
    count, members, size = observed.shape
    room, perturbations = np.empty((members + 1, size, LANES)), np.empty((members if len(draws) else 0, size, LANES))
    rows, mean, gram = eights(room), eights(np.empty((size, LANES))), eights(np.empty((size, size, LANES)))
    s, innovation, scale = rows[:members], rows[members:], 1.0 / (sigma_y * (members - 1) ** 0.5)
    for block in range(begin, end):
        gather(observed.reshape(count, -1), block * LANES, room[:members].reshape(-1, LANES))
        gather(observation, block * LANES, room[members])
        for i in range(size):
            total = every(0.0)
            for n in range(members):
                total += s[n, i]
            mean[i] = total * (1.0 / members)
        for n in range(members + 1):
            for i in range(size):
                rows[n, i] = (rows[n, i] - mean[i]) * scale
        if len(old):
            _undo(old[block], s, innovation)
        product(s.T, s, gram, False)
        trace = every(0.0)
        for i in range(size):
            trace += gram[i, i]
        if len(draws):
            gather(draws.reshape(count, -1), block * LANES, perturbations.reshape(-1, LANES))
        _transform(s, gram, innovation, eights(perturbations), trace, eights(new[block]))
