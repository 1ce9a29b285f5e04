"""Products of attention between the members of an ensemble: torch's own is made for long sequences and takes several
times as long between ten tokens of 64 channels.

The channels of a token are in the order depth, heads (channel `d * HEADS + h`), so that the eight heads are lanes.
"""

import numpy as np
from numba import njit

from mnmef.kernels.compiling import OPTIONS
from mnmef.kernels.lanes import LANES, eights, product

HEADS = DEPTH = 8
WIDTH = HEADS * DEPTH
"""Channels of a token: heads times channels of a head, as in the paper."""


@njit(**OPTIONS)
def products(begin: int, end: int, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> None:
    """`c = a b` for ensembles `begin` ... `end` of matrices (B, rows, columns, HEADS), each head by itself."""
    for n in range(begin, end):
        for h in range(0, HEADS, LANES):
            left, right, result = a[n, :, :, h : h + LANES], b[n, :, :, h : h + LANES], c[n, :, :, h : h + LANES]
            product(eights(left), eights(right), eights(result), False)
