"""Attention between the members of an ensemble on a CPU, by compiled products, with its gradient."""

from typing import Any

import torch
from torch import Tensor

from mnmef.core.threads import over_batch
from mnmef.kernels.attention import DEPTH, HEADS, WIDTH, Columns, dots, sums

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
        shape = queries, keys
        over_batch(dots, batch, shape, _columns(query), _columns(memory, key), SCALE, _by_head(weights))
        weights = torch.softmax(weights, 2)
        over_batch(sums, batch, shape, _by_head(weights), (keys, 1), _columns(memory, value), _columns(result))
        ctx.save_for_backward(query, memory, weights)
        ctx.columns = key, value
        return result

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, Tensor, None, None]:
        """Gradients of query and memory; where they are the same tensor, all of it as that of memory."""
        query, memory, weights = ctx.saved_tensors
        batch, queries, keys, _ = weights.shape
        key, value = ctx.columns
        above, slopes = _columns(upstream[0].contiguous()), torch.empty_like(weights)
        over_batch(dots, batch, (queries, keys), above, _columns(memory, value), SCALE, _by_head(slopes))
        slopes.sub_((weights * slopes).sum(2, keepdim=True)).mul_(weights)
        is_self = query.data_ptr() == memory.data_ptr()
        to_memory = torch.empty_like(memory)
        to_query = to_memory if is_self else query.new_empty(batch, *query.shape[1:])
        for shape, factors, steps, source, target in (
            ((queries, keys), slopes, (keys, 1), _columns(memory, key), _columns(to_query)),
            ((keys, queries), weights, (1, keys), above, _columns(to_memory, value)),
            ((keys, queries), slopes, (1, keys), _columns(query), _columns(to_memory, key)),
        ):
            over_batch(sums, batch, shape, _by_head(factors), steps, source, target)
        return None if is_self else to_query.sum_to_size(query.shape), to_memory, None, None


def _by_head(tensor: Tensor) -> Any:
    """The numbers of a contiguous tensor as an array (n, HEADS)."""
    return tensor.view(-1, HEADS).numpy()


def _columns(tokens: Tensor, begin: int = 0) -> Columns:
    """The W columns of contiguous tokens (B, T, C) from one on."""
    return Columns(_by_head(tokens), begin // HEADS, tokens.shape[-1] // HEADS)
