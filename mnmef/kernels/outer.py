"""Sums of outer products, compiled for a CPU: the gradient of a dense layer's weight is one over all rows of a batch.

Libraries bring one of the two factors into another order first, which takes as long as half of the sum itself. Here
both are read as they lie, in blocks that stay in the first cache, and a tile of the result is summed in registers.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from mnmef.core.threads import over_batch
from mnmef.kernels.lanes import OPTIONS, Lanes, Vectors, integer

LANES = 16
VECTORS, ROWS = 4, 4
"""Size of a tile of the result, in vectors and in rows: sums for 16 of a processor's 32 registers."""
COLUMNS = LANES * VECTORS
BLOCK = 64
"""Rows of the factors at a time: 16 kilobytes of COLUMNS numbers."""


@intrinsic
def _add_tile(_typing, count, left, i, step, right, j, stride, result, k, width):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """result[r, c] += sum over m < count of left[m, r] right[m, c] for ROWS x COLUMNS numbers of the result, whose rows
    are `width` apart, from flat indices i, j and k on; rows of the factors are `step` and `stride` apart.
    """

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        count, step, stride, width = values[0], values[3], values[6], values[9]
        a, b, c = (Vectors(context, builder, signature.args[n], values[n], values[n + 1], LANES) for n in (1, 4, 7))
        kind = ir.VectorType(ir.FloatType(), LANES)
        zero = ir.Constant(kind, [0.0] * LANES)
        sums = [[cgutils.alloca_once_value(builder, zero) for _ in range(VECTORS)] for _ in range(ROWS)]
        with cgutils.for_range(builder, count) as loop:
            own, other = builder.mul(loop.index, step), builder.mul(loop.index, stride)
            row = [b.load(builder.add(other, integer(LANES * v))) for v in range(VECTORS)]
            for r in range(ROWS):
                factor = a.repeat(builder.add(own, integer(r)))
                for v in range(VECTORS):
                    total = Lanes(builder, builder.load(sums[r][v])) + factor * row[v]
                    builder.store(total.value, sums[r][v])
        for r in range(ROWS):
            for v in range(VECTORS):
                place = builder.add(builder.mul(integer(r), width), integer(LANES * v))
                c.store(c.load(place) + Lanes(builder, builder.load(sums[r][v])), place)
        return context.get_dummy_value()

    index = types.intp
    return types.void(index, left, index, index, right, index, index, result, index, index), generate


@njit(**OPTIONS)
def _add(begin: int, end: int, left: np.ndarray, right: np.ndarray, result: np.ndarray) -> None:
    """Rows ROWS * begin ... ROWS * end of `left^T right`, added to result."""
    (size, rows), columns = left.shape, right.shape[1]
    for c in range(0, columns, COLUMNS):
        for m in range(0, size, BLOCK):
            count = min(BLOCK, size - m)
            for r in range(ROWS * begin, ROWS * end, ROWS):
                place, other = m * rows + r, m * columns + c
                _add_tile(count, left, place, rows, right, other, columns, result, r * columns + c, columns)  # type: ignore[call-arg]


def outer_sum(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """`left^T right` (R, C) of left (M, R) and right (M, C), contiguous and in single precision.

    R must be a multiple of ROWS, C one of COLUMNS.
    """
    result = np.zeros((left.shape[1], right.shape[1]), left.dtype)
    over_batch(_add, left.shape[1] // ROWS, left, right, result)
    return result
