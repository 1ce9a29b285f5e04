"""Products of attention between the members of an ensemble: torch's own is made for long sequences and takes several
times as long between ten tokens of 64 channels.

The channels of a token are ordered depth first, heads last (channel `d * HEADS + h`), so that the eight heads are lanes
and every array is (n, HEADS).
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from mnmef.kernels.compiling import OPTIONS
from mnmef.kernels.lanes import LANES, load, store

HEADS = DEPTH = 8
WIDTH = HEADS * DEPTH
"""Channels of a token: heads times channels of a head, as in the paper."""


class Columns(NamedTuple):
    """DEPTH rows, from row `begin` on, of each token of `stride` rows. Ensembles beyond the last are like that one."""

    rows: np.ndarray
    begin: int
    stride: int


@njit(**OPTIONS)
def dots(
    begin: int, end: int, shape: tuple[int, int], queries: Columns, keys: Columns, factor: float, result: np.ndarray
) -> None:
    """`result[b, i, j] = factor sum over d of queries[b, i, d] keys[b, j, d]` for ensembles `begin` ... `end`.

    shape: numbers of queries and of keys.
    """
    (rows, columns), (a, at, step), (b, place, stride) = shape, queries, keys
    last, scale = len(a) // (rows * step) - 1, result.dtype.type(factor)
    for h in range(0, HEADS, LANES):
        left, right, target = a[:, h:], b[:, h:], result[:, h:]
        for i in range(begin * rows, end * rows):
            p = at + (min(i // rows, last) * rows + i % rows) * step
            for j in range(columns):
                q = place + (i // rows * columns + j) * stride
                total = load(left, p) * load(right, q)
                for d in range(1, DEPTH):
                    total += load(left, p + d) * load(right, q + d)
                store(target, i * columns + j, total * scale)


@njit(**OPTIONS)
def sums(
    begin: int,
    end: int,
    shape: tuple[int, int],
    weights: np.ndarray,
    steps: tuple[int, int],
    values: Columns,
    result: Columns,
) -> None:
    """`result[b, i, d] = sum over j of weights[b, i, j] values[b, j, d]` for ensembles `begin` ... `end`.

    shape: numbers of results and of values. steps: in weights, of i and j.
    """
    (rows, terms), (a, at, step), (b, place, stride) = shape, values, result
    last = len(a) // (terms * step) - 1
    for h in range(0, HEADS, LANES):
        factors, source, target = weights[:, h:], a[:, h:], b[:, h:]
        for i in range(begin * rows, end * rows):
            first = i // rows * rows * terms + i % rows * steps[0]
            p, q = at + min(i // rows, last) * terms * step, place + i * stride
            for d in range(0, DEPTH, 4):
                w, k = load(factors, first), p + d
                s, t, u, v = (
                    w * load(source, k),
                    w * load(source, k + 1),
                    w * load(source, k + 2),
                    w * load(source, k + 3),
                )
                for j in range(1, terms):
                    w, k = load(factors, first + j * steps[1]), p + d + j * step
                    s, t = s + w * load(source, k), t + w * load(source, k + 1)
                    u, v = u + w * load(source, k + 2), v + w * load(source, k + 3)
                store(target, q + d, s)
                store(target, q + d + 1, t)
                store(target, q + d + 2, u)
                store(target, q + d + 3, v)
