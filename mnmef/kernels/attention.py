"""Products of attention between the members of an ensemble: torch's own is made for long sequences and takes several
times as long between ten tokens of 64 channels.

The channels of a token are ordered depth first, heads last (channel `d * HEADS + h`), so that the eight heads are lanes
and every array is (n, HEADS).
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from mnmef.kernels.compiling import OPTIONS
from mnmef.kernels.lanes import LANES, product

HEADS = DEPTH = 8
WIDTH = HEADS * DEPTH
"""Channels of a token: heads times channels of a head, as in the paper."""


class Matrices(NamedTuple):
    """A matrix for each ensemble and head, in an array (n, HEADS): where the first one begins, how far one ensemble is
    from the next (0 if all have the same), and the steps from row to row and from column to column.
    """

    array: np.ndarray
    begin: int
    span: int
    row: int
    column: int


@njit(**OPTIONS)
def products(begin: int, end: int, size: tuple[int, int, int], a: Matrices, b: Matrices, c: Matrices) -> None:
    """`c = a b` for ensembles `begin` ... `end`; size: rows, terms and columns."""
    for n in range(begin, end):
        for h in range(0, HEADS, LANES):
            left = a.array[a.begin + n * a.span :, h:], a.row, a.column
            right = b.array[b.begin + n * b.span :, h:], b.row, b.column
            product(left, right, (c.array[c.begin + n * c.span :, h:], c.row, c.column), size, False)
