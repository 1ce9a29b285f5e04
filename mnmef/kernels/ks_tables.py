"""Tables of the compiled Kuramoto-Sivashinsky cycle: where rows are read, and with which factors."""

from functools import cache
from typing import NamedTuple

import numpy as np

from mnmef.kernels.etd import etd_coefficients

LANES = 16
"""States advanced together."""

ROW = 2 * LANES
"""Numbers of a row: real parts, then imaginary parts, of one grid point or frequency of all lanes."""

STATE, NEXT, OUT = 0, 2 * ROW, 4 * ROW
"""Where, in the block of frequencies f and N/2 - f, the two rows of each field begin: v, and from the second stage on
what the third one starts from; N(v) / i, and then the next v as far as it is known; what goes back to the grid.
"""
BLOCK = 6 * ROW

E, E2, Q, Q2, T, F1, F2, F3 = range(8)
"""Coefficients of a frequency: those of the scheme less the factor i, Q2 = 2 Q and T = E2 Q - Q."""


class GridTransform(NamedTuple):
    """The P passes of a transform of n numbers, of which the first `eights` are of radix 8 and the others of radix 4:
    where the rows of their butterflies begin, one butterfly after the other, and with which factors they are read, both
    (P, n).
    """

    eights: int
    rows: np.ndarray
    turns: np.ndarray


class Frequencies(NamedTuple):
    """Of each pair of frequencies f <= N/4 and N/2 - f: where their rows begin after a transform (N/4 + 1, 2), turns
    exp(-2 pi i f / N) (N/4 + 1), and coefficients (N/4 + 1, 2, 8).
    """

    pairs: np.ndarray
    turns: np.ndarray
    coefficients: np.ndarray


class Tables(NamedTuple):
    """Tables of `ks_cycle`.

    first, back, there: the transforms of the given states, from frequencies to grid points, and from squares there to
    frequencies. order (N/2,): where the rows of grid points begin.
    """

    first: GridTransform
    back: GridTransform
    there: GridTransform
    frequencies: Frequencies
    order: np.ndarray


def _plan(places: np.ndarray, kind: str) -> tuple[GridTransform, np.ndarray]:
    """A transform of numbers whose rows begin at `places` (n,), with factors of a complex `kind`, and where the row of
    each frequency then begins.

    Numbers t, t + n/L, t + 2 n/L, ... have a transform of length L; a butterfly makes one of length R L of R of them.
    """
    n, length, position = len(places), 1, places.reshape(-1, 1)  # position[t, f], f < L
    eights, rows, turns = 0, [], []
    while length < n:
        radix = 8 if n // length % 8 == 0 and n // length != 16 else 4
        rest = n // (radix * length)
        rows.append(position.reshape(radix, rest, length).transpose(1, 2, 0).ravel())
        angles = np.arange(length)[:, None] * np.arange(radix) / (radix * length)
        turns.append(np.tile(np.exp(-2j * np.pi * angles).ravel(), rest))
        position = ROW * np.arange(n).reshape(rest, length, radix).transpose(0, 2, 1).reshape(rest, radix * length)
        length *= radix
        eights += radix == 8
    return GridTransform(eights, np.array(rows, np.uint32), np.array(turns, kind)), position[0]


@cache
def make_tables(precision: str, size: int, step_size: float, length: float) -> Tables:
    """The tables for `size` grid points, a power of two from 8 on, of a circle of some length, in the `precision` in
    which to compute, such as "float32".

    Raises `ValueError` for another size.
    """
    if size < 8 or size & (size - 1):
        raise ValueError(f"the compiled cycle is for a power of two of grid points, at least 8, not for {size}")
    kind = {"float32": "complex64", "float64": "complex128"}[precision]
    half = size // 2
    f = np.arange(size // 4 + 1)
    first, frequency = _plan(ROW * np.arange(half), kind)
    out = np.empty(half, int)  # f = N/4 is its own mirror image, and so has two equal rows
    out[-f % half], out[f] = BLOCK * f + OUT + ROW, BLOCK * f + OUT
    back, order = _plan(out, kind)
    there, _ = _plan(order, kind)
    e, e2, *forced = (c[np.stack([f, half - f], -1)] for c in etd_coefficients(size, step_size, length))
    # Squares arrive times (2 N)^2, spectra being kept times 2; their multipliers are imaginary.
    q, q2, *weights = (c.imag / (2 * size) ** 2 for c in forced)
    coefficients = np.stack([e, e2, q, q2, e2 * q - q2 / 2, *weights], -1).astype(precision)
    pairs = np.stack([frequency[f], frequency[-f % half]], -1).astype(np.uint32)
    turns = np.exp(-2j * np.pi * f / size).astype(kind)
    return Tables(first, back, there, Frequencies(pairs, turns, coefficients), order.astype(np.uint32))
