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
from numba.extending import intrinsic
from torch import Tensor

HEADS = DEPTH = 8
WIDTH = HEADS * DEPTH
"""Channels of a token: heads times channels of a head, as in the paper."""

OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy", "fastmath": {"contract"}}
CONTRACT = ("contract",)


class _Heads:
    """The vectors of HEADS numbers from a flat index of a contiguous array on, in LLVM's terms.

    The compiler makes no vector instructions of loops over arrays that might overlap, so these are asked for.
    """

    def __init__(self, context: Any, builder: Any, kind: Any, array: Any, index: Any) -> None:
        self.builder = builder
        self.type = ir.VectorType(context.get_data_type(kind.dtype), HEADS)
        data = context.make_array(kind)(context, builder, array).data
        self.begin = builder.bitcast(builder.gep(data, [index]), self.type.as_pointer())
        self.bytes = kind.dtype.bitwidth // 8  # all that is known of the alignment

    def _at(self, row: int) -> Any:
        return self.builder.gep(self.begin, [ir.Constant(ir.IntType(64), row)])

    def __getitem__(self, row: int) -> Any:
        value = self.builder.load(self._at(row))
        value.align = self.bytes
        return value

    def __setitem__(self, row: int, value: Any) -> None:
        self.builder.store(value, self._at(row)).align = self.bytes


def _on_heads(emit: Callable[[Any, _Heads, _Heads, _Heads], None]) -> Any:
    """An operation on three arrays, each given with a flat index, for compiled functions."""

    @intrinsic
    def operation(_typing, a, i, b, j, c, k):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            parts = [_Heads(context, builder, signature.args[n], *values[n : n + 2]) for n in (0, 2, 4)]
            emit(builder, *parts)
            return context.get_dummy_value()

        return types.void(a, types.intp, b, types.intp, c, types.intp), generate

    return operation


def _emit_dot(builder: Any, a: _Heads, b: _Heads, target: _Heads) -> None:
    total = builder.fmul(a[0], b[0])
    for d in range(1, DEPTH):
        total = builder.fadd(total, builder.fmul(a[d], b[d], flags=CONTRACT), flags=CONTRACT)
    target[0] = total


def _emit_add(builder: Any, scale: _Heads, a: _Heads, target: _Heads) -> None:
    factor = scale[0]
    for d in range(DEPTH):
        target[d] = builder.fadd(target[d], builder.fmul(factor, a[d], flags=CONTRACT), flags=CONTRACT)


_dot = _on_heads(_emit_dot)
"""target[h] = sum over d of a[d, h] b[d, h]."""
_add = _on_heads(_emit_add)
"""target[d, h] += scale[h] a[d, h]."""


@njit(**OPTIONS)
def _scores(begin: int, end: int, query: np.ndarray, memory: np.ndarray, key: int, scores: np.ndarray) -> None:
    """Products of queries (B or 1, Q, >= W) and keys, columns `key` ... of memory (B, K, C), over sqrt(DEPTH), less
    their maximum over keys: (B, Q, K, HEADS).
    """
    queries, keys = query.shape[1], memory.shape[1]
    unit = query.dtype.type(1.0 / np.sqrt(DEPTH))
    for b in range(begin, end):
        source = min(b, query.shape[0] - 1)
        for i in range(queries):
            first = (b * queries + i) * keys * HEADS
            for j in range(keys):
                _dot(
                    query,
                    (source * queries + i) * query.shape[2],
                    memory,
                    (b * keys + j) * memory.shape[2] + key,
                    scores,
                    first + j * HEADS,
                )
            row = scores[b, i]
            for h in range(HEADS):
                peak = row[0, h]
                for j in range(1, keys):
                    peak = max(peak, row[j, h])
                for j in range(keys):
                    row[j, h] = unit * (row[j, h] - peak)


@njit(**OPTIONS)
def _apply(begin: int, end: int, weights: np.ndarray, memory: np.ndarray, value: int, result: np.ndarray) -> None:
    """Normalize weights (B, Q, K, HEADS) over keys and write the weighted sums of values, columns `value` ... of
    memory, to result (B, Q, W).
    """
    _, queries, keys, _ = weights.shape
    for b in range(begin, end):
        for i in range(queries):
            row = weights[b, i]
            for h in range(HEADS):
                total = row[0, h]
                for j in range(1, keys):
                    total += row[j, h]
                total = 1 / total
                for j in range(keys):
                    row[j, h] *= total
            result[b, i] = 0
            first = b * queries + i
            for j in range(keys):
                _add(
                    weights,
                    (first * keys + j) * HEADS,
                    memory,
                    (b * keys + j) * memory.shape[2] + value,
                    result,
                    first * WIDTH,
                )


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
    _, queries, keys, _ = weights.shape
    unit = query.dtype.type(1.0 / np.sqrt(DEPTH))
    slopes = np.empty((keys, HEADS), weights.dtype)
    for b in range(begin, end):
        source = min(b, query.shape[0] - 1)
        query_gradient[b] = 0  # the same array as memory_gradient in self-attention
        memory_gradient[b] = 0
        for i in range(queries):
            first = b * queries + i
            this, own = (source * queries + i) * query.shape[2], first * query_gradient.shape[2]
            row = weights[b, i]
            for j in range(keys):
                there = (b * keys + j) * memory.shape[2]
                _dot(upstream, first * WIDTH, memory, there + value, slopes, j * HEADS)
            for h in range(HEADS):
                mean = row[0, h] * slopes[0, h]
                for j in range(1, keys):
                    mean += row[j, h] * slopes[j, h]
                for j in range(keys):
                    slopes[j, h] = unit * row[j, h] * (slopes[j, h] - mean)
            for j in range(keys):
                there = (b * keys + j) * memory.shape[2]
                _add(slopes, j * HEADS, memory, there + key, query_gradient, own)
                _add(slopes, j * HEADS, query, this, memory_gradient, there + key)
                _add(weights, (first * keys + j) * HEADS, upstream, first * WIDTH, memory_gradient, there + value)


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
