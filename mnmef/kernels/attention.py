"""Attention between the members of an ensemble, compiled for a CPU: torch's own is made for long sequences and takes
several times as long between ten tokens of 64 channels.

The channels of a token are ordered depth first, heads last (channel `d * HEADS + h`), so that all heads of a channel
are one vector of the processor. Queries, keys and values are read where the projections have left them, as columns of
one array, and their gradients are written to the same columns: nothing is split, transposed or joined.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from torch import Tensor

from mnmef.core.threads import over_batch
from mnmef.kernels.lanes import OPTIONS, Lanes, Vectors, integer

HEADS = DEPTH = 8
WIDTH = HEADS * DEPTH
"""Channels of a token: heads times channels of a head, as in the paper."""


class _Rows(Vectors):
    """Rows of vectors of HEADS numbers. stride: numbers from a row to the next."""

    def __init__(self, stride: Any, context: Any, builder: Any, kind: Any, array: Any, begin: Any) -> None:
        super().__init__(context, builder, kind, array, begin, HEADS)
        self.stride = stride

    def __getitem__(self, place: tuple[Any, int]) -> Lanes:
        return self.load(self._index(*place))

    def __setitem__(self, place: tuple[Any, int], lanes: Lanes) -> None:
        self.store(lanes, self._index(*place))

    def _index(self, row: Any, vector: int) -> Any:
        begin = integer(0) if isinstance(row, int) else self.builder.mul(row, self.stride)
        return self.builder.add(begin, integer(vector * HEADS))


class _Variable:
    """Lanes that a loop changes, in a register."""

    def __init__(self, first: Lanes) -> None:
        self.builder = first.builder
        self.place = cgutils.alloca_once_value(first.builder, first.value)

    def get(self) -> Lanes:
        """What it is now."""
        return Lanes(self.builder, self.builder.load(self.place))

    def set(self, lanes: Lanes) -> None:
        """What it is from now on."""
        self.builder.store(lanes.value, self.place)


def _on_rows(emit: Callable[[Any, Any, _Rows, _Rows, _Rows], None]) -> Any:
    """An operation, for compiled functions, on scores (keys, H), a token (D, H) and the keys or values of memory
    (keys, D, H), each given as an array and a flat index; scores and memory with the stride of their rows besides.
    """

    @intrinsic
    def operation(_typing, keys, a, i, step, b, j, c, k, stride):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            places = (1, values[3]), (4, integer(WIDTH)), (6, values[8])
            parts = [
                _Rows(stride, context, builder, signature.args[n], values[n], values[n + 1]) for n, stride in places
            ]
            emit(builder, values[0], *parts)
            return context.get_dummy_value()

        index = types.intp
        return types.void(index, a, index, index, b, index, c, index, index), generate

    return operation


def _emit_dots(builder: Any, keys: Any, scores: _Rows, token: _Rows, memory: _Rows) -> None:
    held = [token[0, d] for d in range(DEPTH)]
    with cgutils.for_range(builder, keys) as loop:
        total = held[0] * memory[loop.index, 0]
        for d in range(1, DEPTH):
            total += held[d] * memory[loop.index, d]
        scores[loop.index, 0] = total


def _emit_sums(builder: Any, keys: Any, scores: _Rows, token: _Rows, memory: _Rows) -> None:
    totals = [_Variable(token[0, d].like(0.0)) for d in range(DEPTH)]
    with cgutils.for_range(builder, keys) as loop:
        score = scores[loop.index, 0]
        for d in range(DEPTH):
            totals[d].set(totals[d].get() + score * memory[loop.index, d])
    for d in range(DEPTH):
        token[0, d] = totals[d].get()


def _emit_centered(builder: Any, keys: Any, scores: _Rows, _token: _Rows, _memory: _Rows) -> None:
    peak = _Variable(scores[0, 0])
    with cgutils.for_range(builder, keys) as loop:
        peak.set(scores[loop.index, 0].maximum(peak.get()))
    with cgutils.for_range(builder, keys) as loop:
        scores[loop.index, 0] = (scores[loop.index, 0] - peak.get()) * DEPTH**-0.5


def _emit_normalized(builder: Any, keys: Any, scores: _Rows, _token: _Rows, _memory: _Rows) -> None:
    total = _Variable(scores[0, 0].like(0.0))
    with cgutils.for_range(builder, keys) as loop:
        total.set(total.get() + scores[loop.index, 0])
    factor = total.get().like(1.0) / total.get()
    with cgutils.for_range(builder, keys) as loop:
        scores[loop.index, 0] *= factor


def _emit_slopes(builder: Any, keys: Any, scores: _Rows, _token: _Rows, memory: _Rows) -> None:
    mean = _Variable(scores[0, 0].like(0.0))
    with cgutils.for_range(builder, keys) as loop:
        mean.set(mean.get() + scores[loop.index, 0] * memory[loop.index, 0])
    with cgutils.for_range(builder, keys) as loop:
        weight = memory[loop.index, 0] * DEPTH**-0.5
        scores[loop.index, 0] = weight * (scores[loop.index, 0] - mean.get())


_dots = _on_rows(_emit_dots)
"""scores[j, h] = sum over d of token[d, h] memory[j, d, h]."""
_sums = _on_rows(_emit_sums)
"""token[d, h] = sum over j of scores[j, h] memory[j, d, h]."""
_center = _on_rows(_emit_centered)
"""scores[j, h] = (scores[j, h] - their maximum over j) / sqrt(DEPTH)."""
_normalize = _on_rows(_emit_normalized)
"""scores[j, h] /= their sum over j."""
_differentiate = _on_rows(_emit_slopes)
"""With weights memory[j, h] of a softmax and the gradient scores[j, h] of a loss by them: the gradient by the products
that `_center` was given.
"""


@njit(**OPTIONS)
def _scores(begin: int, end: int, query: np.ndarray, memory: np.ndarray, key: int, scores: np.ndarray) -> None:
    """Products of queries (B or 1, Q, >= W) and keys, columns `key` ... of memory (B, K, C), over sqrt(DEPTH), less
    their maximum over keys: (B, Q, K, HEADS).
    """
    queries, (_, keys, columns) = query.shape[1], memory.shape
    for b in range(begin, end):
        source = min(b, query.shape[0] - 1)
        for i in range(queries):
            row = (b * queries + i) * keys * HEADS
            token = (source * queries + i) * query.shape[2]
            _dots(keys, scores, row, HEADS, query, token, memory, b * keys * columns + key, columns)
            _center(keys, scores, row, HEADS, scores, row, scores, row, HEADS)


@njit(**OPTIONS)
def _apply(begin: int, end: int, weights: np.ndarray, memory: np.ndarray, value: int, result: np.ndarray) -> None:
    """Normalize weights (B, Q, K, HEADS) over keys and write the weighted sums of values, columns `value` ... of
    memory, to result (B, Q, W).
    """
    queries, (_, keys, columns) = weights.shape[1], memory.shape
    for b in range(begin, end):
        for i in range(queries):
            token = b * queries + i
            row = token * keys * HEADS
            _normalize(keys, weights, row, HEADS, weights, row, weights, row, HEADS)
            _sums(keys, weights, row, HEADS, result, token * WIDTH, memory, b * keys * columns + value, columns)


@njit(**OPTIONS)
def _gradients(
    begin: int,
    end: int,
    weights: np.ndarray,
    query: np.ndarray,
    memory: np.ndarray,
    key: int,
    value: int,
    upstream: np.ndarray,
    query_gradient: np.ndarray,
    memory_gradient: np.ndarray,
) -> None:
    """Gradients of queries (B, Q, >= W, its first W columns) and of keys and values (B, K, C, in the same columns as in
    memory), from that of the result, upstream (B, Q, W). Any other columns are left as they are.
    """
    queries, (_, keys, columns) = query.shape[1], memory.shape
    slopes = np.empty((queries, keys, HEADS), weights.dtype)
    across = keys * HEADS
    for b in range(begin, end):
        asked = min(b, query.shape[0] - 1) * queries * query.shape[2]
        there, up, scores = b * keys * columns, b * queries * WIDTH, b * queries * across
        for i in range(queries):
            own, row = i * across, scores + i * across
            _dots(keys, slopes, own, HEADS, upstream, up + i * WIDTH, memory, there + value, columns)
            _differentiate(keys, slopes, own, HEADS, slopes, own, weights, row, HEADS)
            place = (b * queries + i) * query_gradient.shape[2]
            _sums(keys, slopes, own, HEADS, query_gradient, place, memory, there + key, columns)
        for j in range(keys):
            place = there + j * columns
            _sums(queries, weights, scores + j * HEADS, across, memory_gradient, place + value, upstream, up, WIDTH)
            _sums(queries, slopes, j * HEADS, across, memory_gradient, place + key, query, asked, query.shape[2])


class Attention(torch.autograd.Function):
    """Queries (B or 1, Q, W) attend to keys and values, columns `key` ... and `value` ... of memory (B, K, 2 W);
    returns (B, Q, W). For self-attention both are the same tensor (B, Q, 3 W), whose first W columns are the queries.
    """

    @staticmethod
    def forward(ctx: Any, query: Tensor, memory: Tensor, key: int, value: int) -> Tensor:
        """See the class."""
        query, memory = query.detach().contiguous(), memory.detach().contiguous()
        batch = len(memory)
        weights = memory.new_empty(batch, query.shape[1], memory.shape[1], HEADS)
        result = memory.new_empty(batch, query.shape[1], WIDTH)
        over_batch(_scores, batch, query.numpy(), memory.numpy(), key, weights.numpy())
        weights.exp_()
        over_batch(_apply, batch, weights.numpy(), memory.numpy(), value, result.numpy())
        ctx.save_for_backward(query, memory, weights)
        ctx.columns = key, value
        return result

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, Tensor, None, None]:
        """Gradients of query and memory; where they are the same tensor, all of it as that of memory."""
        query, memory, weights = ctx.saved_tensors
        is_self = query.data_ptr() == memory.data_ptr()
        batch = len(memory)
        memory_gradient = torch.empty_like(memory)
        query_gradient = memory_gradient if is_self else query.new_empty(batch, *query.shape[1:])
        arrays = [t.numpy() for t in (upstream[0].contiguous(), query_gradient, memory_gradient)]
        over_batch(_gradients, batch, weights.numpy(), query.numpy(), memory.numpy(), *ctx.columns, *arrays)
        if is_self:
            return None, memory_gradient, None, None
        return query_gradient.sum_to_size(query.shape), memory_gradient, None, None
