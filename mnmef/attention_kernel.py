"""Attention between the members of an ensemble, compiled for a CPU: torch's own is made for long sequences and takes
several times as long between ten tokens of 64 channels.

The channels of a token are ordered depth first, heads last (channel `d * HEADS + h`), so that all heads of a channel
are one vector of the processor. Queries, keys and values are read where the projections have left them, as columns of
one array, and their gradients are written to the same columns: nothing is split, transposed or joined.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import torch
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from torch import Tensor

HEADS = DEPTH = 8
WIDTH = HEADS * DEPTH
"""Channels of a token: heads times channels of a head, as in the paper."""

OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy", "fastmath": {"contract"}}
CONTRACT = ("contract",)


class _Rows:
    """Rows of vectors of HEADS numbers in a contiguous array from a flat index on, in LLVM's terms.

    The compiler makes no vector instructions of loops over arrays that might overlap, and keeps nothing in registers
    from one turn to the next, so both are asked for. stride: numbers from a row to the next.
    """

    def __init__(self, context: Any, builder: Any, kind: Any, array: Any, index: Any, stride: Any) -> None:
        self.builder, self.stride = builder, stride
        self.type = ir.VectorType(context.get_data_type(kind.dtype), HEADS)
        self.begin = builder.gep(context.make_array(kind)(context, builder, array).data, [index])
        self.bytes = kind.dtype.bitwidth // 8  # all that is known of the alignment

    def _at(self, row: Any, vector: int) -> Any:
        begin = self.builder.gep(self.begin, [self.builder.mul(row, self.stride)])
        return self.builder.gep(self.builder.bitcast(begin, self.type.as_pointer()), [_integer(vector)])

    def load(self, row: Any, vector: int = 0) -> Any:
        value = self.builder.load(self._at(row, vector))
        value.align = self.bytes
        return value

    def constant(self, value: float) -> Any:
        return ir.Constant(self.type, [value] * HEADS)

    def store(self, value: Any, row: Any, vector: int = 0) -> None:
        self.builder.store(value, self._at(row, vector)).align = self.bytes


def _integer(value: int) -> Any:
    return ir.Constant(ir.IntType(64), value)


def _fma(builder: Any, a: Any, b: Any, c: Any) -> Any:
    return builder.fadd(c, builder.fmul(a, b, flags=CONTRACT), flags=CONTRACT)


def _on_rows(emit: Callable[[Any, Any, _Rows, _Rows, _Rows], None]) -> Any:
    """An operation, for compiled functions, on scores (keys, H), a token (D, H) and the keys or values of memory
    (keys, D, H), each given as an array and a flat index; `stride` is that of memory's rows.
    """

    @intrinsic
    def operation(_typing, keys, a, i, b, j, c, k, stride):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            places = (1, _integer(HEADS)), (3, _integer(WIDTH)), (5, values[7])
            parts = [
                _Rows(context, builder, signature.args[n], values[n], values[n + 1], stride) for n, stride in places
            ]
            emit(builder, values[0], *parts)
            return context.get_dummy_value()

        return types.void(types.intp, a, types.intp, b, types.intp, c, types.intp, types.intp), generate

    return operation


def _emit_dots(builder: Any, keys: Any, scores: _Rows, token: _Rows, memory: _Rows) -> None:
    held = [token.load(_integer(0), d) for d in range(DEPTH)]
    with cgutils.for_range(builder, keys) as loop:
        total = builder.fmul(held[0], memory.load(loop.index, 0))
        for d in range(1, DEPTH):
            total = _fma(builder, held[d], memory.load(loop.index, d), total)
        scores.store(total, loop.index)


def _emit_sums(builder: Any, keys: Any, scores: _Rows, token: _Rows, memory: _Rows) -> None:
    totals = [cgutils.alloca_once_value(builder, ir.Constant(token.type, None)) for _ in range(DEPTH)]
    with cgutils.for_range(builder, keys) as loop:
        score = scores.load(loop.index)
        for d in range(DEPTH):
            builder.store(_fma(builder, score, memory.load(loop.index, d), builder.load(totals[d])), totals[d])
    for d in range(DEPTH):
        token.store(builder.load(totals[d]), _integer(0), d)


def _emit_products(builder: Any, keys: Any, scores: _Rows, token: _Rows, memory: _Rows) -> None:
    held = [token.load(_integer(0), d) for d in range(DEPTH)]
    with cgutils.for_range(builder, keys) as loop:
        score = scores.load(loop.index)
        for d in range(DEPTH):
            memory.store(_fma(builder, score, held[d], memory.load(loop.index, d)), loop.index, d)


def _emit_centered(builder: Any, keys: Any, scores: _Rows, _token: _Rows, _memory: _Rows) -> None:
    peak = cgutils.alloca_once_value(builder, scores.load(_integer(0)))
    with cgutils.for_range(builder, keys) as loop:
        score, highest = scores.load(loop.index), builder.load(peak)
        builder.store(builder.select(builder.fcmp_ordered(">", score, highest), score, highest), peak)
    with cgutils.for_range(builder, keys) as loop:
        shifted = builder.fsub(scores.load(loop.index), builder.load(peak))
        scores.store(builder.fmul(shifted, scores.constant(DEPTH**-0.5)), loop.index)


def _emit_normalized(builder: Any, keys: Any, scores: _Rows, _token: _Rows, _memory: _Rows) -> None:
    total = cgutils.alloca_once_value(builder, scores.constant(0.0))
    with cgutils.for_range(builder, keys) as loop:
        builder.store(builder.fadd(builder.load(total), scores.load(loop.index)), total)
    factor = builder.fdiv(scores.constant(1.0), builder.load(total))
    with cgutils.for_range(builder, keys) as loop:
        scores.store(builder.fmul(factor, scores.load(loop.index)), loop.index)


def _emit_slopes(builder: Any, keys: Any, scores: _Rows, _token: _Rows, memory: _Rows) -> None:
    mean = cgutils.alloca_once_value(builder, scores.constant(0.0))
    with cgutils.for_range(builder, keys) as loop:
        product = _fma(builder, scores.load(loop.index), memory.load(loop.index), builder.load(mean))
        builder.store(product, mean)
    with cgutils.for_range(builder, keys) as loop:
        weight = builder.fmul(memory.load(loop.index), scores.constant(DEPTH**-0.5))
        deviation = builder.fsub(scores.load(loop.index), builder.load(mean))
        scores.store(builder.fmul(weight, deviation), loop.index)


_dots = _on_rows(_emit_dots)
"""scores[j, h] = sum over d of token[d, h] memory[j, d, h]."""
_sums = _on_rows(_emit_sums)
"""token[d, h] = sum over j of scores[j, h] memory[j, d, h]."""
_products = _on_rows(_emit_products)
"""memory[j, d, h] += scores[j, h] token[d, h]."""
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
            _dots(keys, scores, row, query, token, memory, b * keys * columns + key, columns)
            _center(keys, scores, row, scores, row, scores, row, HEADS)


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
            _normalize(keys, weights, row, weights, row, weights, row, HEADS)
            _sums(keys, weights, row, result, token * WIDTH, memory, b * keys * columns + value, columns)


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
    memory), from that of the result, upstream (B, Q, W). All other columns become zero.
    """
    queries, (_, keys, columns) = query.shape[1], memory.shape
    slopes = np.empty((keys, HEADS), weights.dtype)
    for b in range(begin, end):
        source, there = min(b, query.shape[0] - 1), b * keys * columns
        query_gradient[b] = 0  # the same array as memory_gradient in self-attention
        memory_gradient[b] = 0
        for i in range(queries):
            token = b * queries + i
            row, up = token * keys * HEADS, token * WIDTH
            _dots(keys, slopes, 0, upstream, up, memory, there + value, columns)
            _products(keys, weights, row, upstream, up, memory_gradient, there + value, columns)
            _differentiate(keys, slopes, 0, slopes, 0, weights, row, HEADS)
            _sums(keys, slopes, 0, query_gradient, token * query_gradient.shape[2], memory, there + key, columns)
            asked = (source * queries + i) * query.shape[2]
            _products(keys, slopes, 0, query, asked, memory_gradient, there + key, columns)


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads)


def _over_batch(kernel: Callable[..., None], batch: int, *arguments: object) -> None:
    """Run a kernel on all batch elements, on as many threads as torch uses."""
    threads = min(torch.get_num_threads(), batch)
    if threads == 1:
        kernel(0, batch, *arguments)
        return
    edges = [batch * t // threads for t in range(threads + 1)]
    calls = [_pool(threads).submit(kernel, *edges[t : t + 2], *arguments) for t in range(threads)]
    for call in calls:
        call.result()


class Attention(torch.autograd.Function):
    """Queries, the first W columns of query (B or 1, Q, >= W), attend to keys and values, columns `key` ... and `value`
    ... of memory (B, K, C); returns (B, Q, W). For self-attention both are the same tensor, with `key` >= W.
    """

    @staticmethod
    def forward(ctx: Any, query: Tensor, memory: Tensor, key: int, value: int) -> Tensor:
        """See the class."""
        query, memory = query.detach().contiguous(), memory.detach().contiguous()
        batch = len(memory)
        weights = memory.new_empty(batch, query.shape[1], memory.shape[1], HEADS)
        result = memory.new_empty(batch, query.shape[1], WIDTH)
        _over_batch(_scores, batch, query.numpy(), memory.numpy(), key, weights.numpy())
        weights.exp_()
        _over_batch(_apply, batch, weights.numpy(), memory.numpy(), value, result.numpy())
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
        _over_batch(_gradients, batch, weights.numpy(), query.numpy(), memory.numpy(), *ctx.columns, *arrays)
        if is_self:
            return None, memory_gradient, None, None
        return query_gradient.sum_to_size(query.shape), memory_gradient, None, None
