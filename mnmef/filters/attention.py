"""Attention between the members of an ensemble on a CPU, by compiled products, with its gradient."""

from typing import Any

import torch
from torch import Tensor

from mnmef.core.threads import over_batch
from mnmef.kernels.attention import DEPTH, HEADS, WIDTH, Matrices, products

__all__ = ["DEPTH", "HEADS", "WIDTH", "Attention"]

SCALE = DEPTH**-0.5


class Attention(torch.autograd.Function):
    """Queries (B or 1, Q, W) attend to keys and values, columns `key` ... and `value` ... of memory (B, K, C);
    returns (B, Q, W). For self-attention both are the same tensor (B, Q, 3 W), whose first W columns are the queries.

    The order of channels is that of `mnmef.kernels.attention`; C, `key` and `value` are multiples of the heads. Keys
    and values are read where they are, and their gradients are written to the same columns.
    """

    @staticmethod
    def forward(ctx: Any, query: Tensor, memory: Tensor, key: int, value: int) -> Tensor:
        """See the class."""
        query, memory = query.detach().contiguous(), memory.detach().contiguous()
        (batch, keys), queries = memory.shape[:2], query.shape[1]
        weights, result = memory.new_empty(batch, queries, keys, HEADS), memory.new_empty(batch, queries, WIDTH)
        by_member = _matrices(weights.flatten(2))
        to_keys = _transposed(_matrices(memory, key))
        over_batch(products, batch, (queries, DEPTH, keys), _matrices(query), to_keys, by_member)
        weights = torch.softmax(weights.mul_(SCALE), 2)
        by_member = _matrices(weights.flatten(2))
        over_batch(products, batch, (queries, keys, DEPTH), by_member, _matrices(memory, value), _matrices(result))
        ctx.save_for_backward(query, memory, weights)
        ctx.columns = key, value
        return result

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, Tensor, None, None]:
        """Gradients of query and memory; where they are the same tensor, all of it as that of memory."""
        query, memory, weights = ctx.saved_tensors
        batch, queries, keys, _ = weights.shape
        key, value = ctx.columns
        above, slopes = _matrices(upstream[0].contiguous()), torch.empty_like(weights)
        by_member, slope = _matrices(weights.flatten(2)), _matrices(slopes.flatten(2))
        to_values = _transposed(_matrices(memory, value))
        over_batch(products, batch, (queries, DEPTH, keys), above, to_values, slope)
        slopes.sub_((weights * slopes).sum(2, keepdim=True)).mul_(weights).mul_(SCALE)
        is_self = query.data_ptr() == memory.data_ptr()
        to_memory = torch.empty_like(memory)
        to_query = to_memory if is_self else query.new_empty(batch, *query.shape[1:])
        for size, factors, source, target in (
            ((queries, keys, DEPTH), slope, _matrices(memory, key), _matrices(to_query)),
            ((keys, queries, DEPTH), _transposed(by_member), above, _matrices(to_memory, value)),
            ((keys, queries, DEPTH), _transposed(slope), _matrices(query), _matrices(to_memory, key)),
        ):
            over_batch(products, batch, size, factors, source, target)
        return None if is_self else to_query.sum_to_size(query.shape), to_memory, None, None


def _matrices(tokens: Tensor, begin: int = 0) -> Matrices:
    """Matrices of contiguous tokens (B or 1, T, C), whose columns begin with channel `begin`."""
    count, rows, row = len(tokens), tokens.shape[1], tokens.shape[2] // HEADS
    return Matrices(tokens.view(-1, HEADS).numpy(), begin // HEADS, rows * row if count > 1 else 0, row, 1)


def _transposed(matrices: Matrices) -> Matrices:
    """The transposed matrices."""
    return matrices._replace(row=matrices.column, column=matrices.row)
