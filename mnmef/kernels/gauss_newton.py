"""The Gauss-Newton step of the iterative smoothers, with trajectories side by side.

What array operations would read from memory again and again stays in the cache. Matrices of d numbers per member are
kept from one iteration to the next as matrices of lanes, LANES trajectories to a block; a last block that is not full
repeats its last trajectory. The equations are those of `mnmef.filters.gauss_newton`.
"""

import math

import numpy as np
from numba import njit

from mnmef.kernels import HUGE, STEEP
from mnmef.kernels.compiling import INNER, OPTIONS
from mnmef.kernels.eigen import diagonalize, refine, reflect, reflector
from mnmef.kernels.lanes import LANES, any_less, every, load, product, store, where_less

PARTS = 3
"""Matrices (N, d) of a transform: basis, back, and the weights `mean_weights - left`; then mean_weights (d) and, in the
stochastic form, the core (d, d) follow.
"""


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
def move(
    begin: int,
    end: int,
    state: np.ndarray,
    factor: float,
    size: int,
    ensemble: np.ndarray,
    anomalies: np.ndarray,
    result: np.ndarray,
) -> None:
    """`ensemble + factor (w + T - I) anomalies` for ensembles (B, N, Nx), in their precision, and P blocks of state.

    Trajectory by trajectory, so that what one product leaves is in the cache for the next.
    """
    _, members, columns = ensemble.shape
    basis, weights = np.empty((members, size), ensemble.dtype), np.empty((members, size), ensemble.dtype)
    for b in range(begin, end):
        matrices, lane = state[b // LANES].reshape(-1, size, LANES), b % LANES
        basis[:], weights[:] = matrices[:members, :, lane], matrices[2 * members : PARTS * members, :, lane] * factor
        np.dot(weights, np.dot(basis.T, anomalies[b]), result[b])
        for n in range(members):
            for i in range(columns):
                result[b, n, i] += ensemble[b, n, i]


@njit(**INNER)
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


@njit(**INNER)
def _undo(old: np.ndarray, s: np.ndarray, innovation: np.ndarray, members: int, size: int, scale: float) -> None:
    """Make `T_old^-1 s` of s and add `scale w_old s` to the innovation."""
    span = members * size
    basis, back, mean_weights = old[:span], old[span : 2 * span], old[PARTS * span :]
    core = mean_weights[size:].copy()
    seen, w = np.empty((size * size, LANES)), np.empty((members, LANES))
    product((basis, 1, size), (s, size, 1), (seen, size, 1), (size, members, size), False)
    if len(core):
        _solve(core, size, seen)
    product((back, size, 1), (seen, size, 1), (s, size, 1), (members, size, size), True)
    product((basis, size, 1), (mean_weights, 1, 1), (w, 1, 1), (members, size, 1), False)
    for n in range(members):
        store(w, n, load(w, n) * scale)
    product((w, 1, 1), (s, size, 1), (innovation, size, 1), (1, members, size), True)


@njit(**INNER)
def _transform(
    s: np.ndarray,
    gram: np.ndarray,
    innovation: np.ndarray,
    draws: np.ndarray,
    size: int,
    steepness: float,
    new: np.ndarray,
) -> None:
    """The transform, from S (N, d), its gram matrix and the trace of that (steepness), the innovation (d) and draws
    (N, d; no rows in the square-root form); overwrites gram.
    """
    span, members = len(s), len(s) // size
    scale, zero, shape = (members - 1) ** 0.5, every(0.0), (members, size, size)
    basis, back, weights, mean_weights = new[:span], new[span : 2 * span], new[2 * span :], new[PARTS * span :]
    squares, vectors = np.empty((size, LANES)), np.empty((size * size, LANES))
    diagonalize(gram, size, squares, vectors)
    v, modes, shifts = (vectors, size, 1), (basis, size, 1), (weights, size, 1)
    product((s, size, 1), v, modes, shape, False)
    if any_less(every(STEEP), steepness):
        product((basis, 1, size), modes, (gram, size, 1), (size, members, size), False)
        refine(gram, size, vectors, steepness, STEEP)
        product((s, size, 1), v, modes, shape, False)
        for i in range(size):
            store(squares, i, where_less(every(STEEP), steepness, load(gram, i * (size + 1)), load(squares, i)))
    product((innovation, size, 1), v, (mean_weights, size, 1), (1, size, size), False)
    inverse = squares
    for i in range(size):
        c = load(squares, i)
        store(inverse, i, 1.0 / math.sqrt(1.0 + where_less(zero, c, c, zero)))
        mean = load(mean_weights, i) * load(inverse, i) * (1.0 / scale)
        store(mean_weights, i, where_less(steepness, every(HUGE), mean, every(np.nan)))
    if len(draws):
        product((draws, size, 1), v, shifts, shape, False)
    for k in range(span):
        mode, r = load(basis, k), load(inverse, k % size)
        store(basis, k, mode * r)
        if len(draws):
            shift = load(weights, k) * (1.0 / scale)
            store(weights, k, shift)
            store(back, k, mode + shift)
        else:
            store(back, k, mode / (1.0 + r))
    if len(draws):
        core = mean_weights[size:]
        product((basis, 1, size), shifts, (core, size, 1), (size, members, size), False)
        for k in range(size * size):
            unit = load(inverse, k // size) if k % (size + 1) == 0 else zero
            store(core, k, unit - load(core, k))
    for k in range(span):
        store(weights, k, load(mean_weights, k % size) - load(back, k) * load(inverse, k % size))


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
        for i in range(size):
            total = zero
            for k in range(i, span, size):
                total += load(s, k)
            store(innovation, i, total * (-1.0 / members))
        for k in range(span):
            store(s, k, (load(s, k) + load(innovation, k % size)) * (1.0 / scale))
        if len(old):
            _undo(old[block], s, innovation, members, size, scale)
        product((s, 1, size), (s, size, 1), (gram, size, 1), (size, members, size), False)
        trace = zero
        for i in range(size):
            trace += load(gram, i * (size + 1))
        for k in range(size * size):
            store(gram, k, where_less(trace, huge, load(gram, k), zero))
        _transform(s, gram, innovation, draws[block] if len(draws) else room[0, :0], size, trace, new[block])
