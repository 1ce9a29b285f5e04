"""Attention between the members of an ensemble: torch's own is made for long sequences and takes several times as long
between ten tokens of 64 channels.

The channels of a token are ordered depth first, heads last (channel `d * HEADS + h`), so that the
eight heads are lanes and every array is one of eights, (n, 8); places and strides are counted in eights.

Queries, keys and values are read where the projections have left them, as columns of one array, and their gradients are
written to the same columns: nothing is split, transposed or joined.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from mnmef.kernels.compiling import OPTIONS
from mnmef.kernels.eights import (
    EIGHT,
    every,
    load,
    minus,
    over,
    plus,
    plus_product,
    store,
    times,
    where_less,
)

HEADS = DEPTH = EIGHT
WIDTH = HEADS * DEPTH
"""Channels of a token: heads times channels of a head, as in the paper."""


@njit(**OPTIONS)
def _dots(token: np.ndarray, t: int, memory: np.ndarray, m: int, stride: int, scores: np.ndarray) -> None:
    """scores[j] = sum over d of token[t + d] memory[m + j stride + d] for all keys j."""
    a, b, c, d = load(token, t), load(token, t + 1), load(token, t + 2), load(token, t + 3)
    e, f, g, h = load(token, t + 4), load(token, t + 5), load(token, t + 6), load(token, t + 7)
    for j in range(len(scores)):
        k = m + j * stride
        total = plus_product(times(a, load(memory, k)), b, load(memory, k + 1))
        total = plus_product(plus_product(total, c, load(memory, k + 2)), d, load(memory, k + 3))
        total = plus_product(plus_product(total, e, load(memory, k + 4)), f, load(memory, k + 5))
        total = plus_product(plus_product(total, g, load(memory, k + 6)), h, load(memory, k + 7))
        store(scores, j, total)


@njit(**OPTIONS)
def _sums(
    scores: np.ndarray, strides: tuple[int, int], terms: int, memory: np.ndarray, m: int, result: np.ndarray, r: int
) -> None:
    """result[r + d] = sum over j < terms of scores[j across] memory[m + j stride + d]; strides: across and stride."""
    across, stride = strides
    a = b = c = d = e = f = g = h = every(scores.dtype.type(0.0))
    for j in range(terms):
        score, k = load(scores, j * across), m + j * stride
        a, b = plus_product(a, score, load(memory, k)), plus_product(b, score, load(memory, k + 1))
        c, d = plus_product(c, score, load(memory, k + 2)), plus_product(d, score, load(memory, k + 3))
        e, f = plus_product(e, score, load(memory, k + 4)), plus_product(f, score, load(memory, k + 5))
        g, h = plus_product(g, score, load(memory, k + 6)), plus_product(h, score, load(memory, k + 7))
    store(result, r, a)
    store(result, r + 1, b)
    store(result, r + 2, c)
    store(result, r + 3, d)
    store(result, r + 4, e)
    store(result, r + 5, f)
    store(result, r + 6, g)
    store(result, r + 7, h)


@njit(**OPTIONS)
def scores(
    begin: int,
    end: int,
    shape: tuple[int, int, int],
    query: np.ndarray,
    memory: np.ndarray,
    key: int,
    result: np.ndarray,
) -> None:
    """Products of queries and keys over sqrt(DEPTH), less their maximum over keys, of ensembles `begin` ... `end`.

    shape: Q queries, K keys, and the stride of queries. query (B or 1, Q); memory (B, K), with keys from column `key`
    on; result (B, Q, K).
    """
    queries, keys, stride = shape
    width = len(memory) // (len(result) // queries)
    scale = every(result.dtype.type(DEPTH**-0.5))
    for b in range(begin, end):
        source = min(b, len(query) // (queries * stride) - 1)
        for i in range(queries):
            row = (b * queries + i) * keys
            own = result[row : row + keys]
            _dots(query, (source * queries + i) * stride, memory, b * keys * width + key, width, own)
            peak = load(own, 0)
            for j in range(1, keys):
                score = load(own, j)
                peak = where_less(peak, score, score, peak)
            for j in range(keys):
                store(own, j, times(minus(load(own, j), peak), scale))


@njit(**OPTIONS)
def apply(
    begin: int,
    end: int,
    shape: tuple[int, int],
    weights: np.ndarray,
    memory: np.ndarray,
    value: int,
    result: np.ndarray,
) -> None:
    """Normalize weights (B, Q, K) over keys and write the weighted sums of values, from column `value` of memory on, to
    result (B, Q). shape: Q and K.
    """
    queries, keys = shape
    width = len(memory) // (len(weights) // queries)
    one, zero = every(weights.dtype.type(1.0)), every(weights.dtype.type(0.0))
    for b in range(begin, end):
        for i in range(queries):
            token = b * queries + i
            own, total = weights[token * keys : (token + 1) * keys], zero
            for j in range(keys):
                total = plus(total, load(own, j))
            factor = over(one, total)
            for j in range(keys):
                store(own, j, times(load(own, j), factor))
            _sums(own, (1, width), keys, memory, b * keys * width + value, result, token * DEPTH)


@njit(**OPTIONS)
def _differentiate(weights: np.ndarray, slopes: np.ndarray) -> None:
    """With weights of a softmax and the gradient `slopes` of a loss by them: the gradient by the products of queries
    and keys, in its place.
    """
    mean, scale = every(weights.dtype.type(0.0)), every(weights.dtype.type(DEPTH**-0.5))
    for j in range(len(weights)):
        mean = plus_product(mean, load(slopes, j), load(weights, j))
    for j in range(len(weights)):
        store(slopes, j, times(times(load(weights, j), scale), minus(load(slopes, j), mean)))


class Tokens(NamedTuple):
    """Arrays of what attention is between and of its gradient: query (B or 1, Q), memory (B, K), with keys and values
    in some of its columns, and upstream (B, Q), the gradient of a loss by the result.
    """

    query: np.ndarray
    memory: np.ndarray
    upstream: np.ndarray


@njit(**OPTIONS)
def gradients(
    begin: int,
    end: int,
    shape: tuple[int, int, int, int, int],
    weights: np.ndarray,
    tokens: Tokens,
    query_gradient: np.ndarray,
    memory_gradient: np.ndarray,
) -> None:
    """Gradients of queries (B, Q) and of keys and values (B, K), in the same columns as in memory. Any other columns
    are left as they are.

    shape: Q, K, the stride of query and of its gradient, the columns of keys and of values.
    """
    queries, keys, stride, key, value = shape
    query, memory, upstream = tokens
    width = len(memory) // (len(weights) // queries)
    slopes = np.empty((queries * keys, HEADS), weights.dtype)
    for b in range(begin, end):
        asked = min(b, len(query) // (queries * stride) - 1) * queries * stride
        there, up = b * keys * width, b * queries * DEPTH
        known = weights[b * queries * keys : (b + 1) * queries * keys]
        for i in range(queries):
            own = slopes[i * keys : (i + 1) * keys]
            _dots(upstream, up + i * DEPTH, memory, there + value, width, own)
            _differentiate(known[i * keys : (i + 1) * keys], own)
            _sums(own, (1, width), keys, memory, there + key, query_gradient, (b * queries + i) * stride)
        for j in range(keys):
            place = there + j * width
            _sums(known[j:], (keys, DEPTH), queries, upstream, up, memory_gradient, place + value)
            _sums(slopes[j:], (keys, stride), queries, query, asked, memory_gradient, place + key)
