"""Attention between the members of an ensemble on a CPU, by compiled functions, with its gradient."""

from typing import Any

import torch
from torch import Tensor

from mnmef.core.threads import over_batch
from mnmef.kernels import attention as kernel
from mnmef.kernels.attention import DEPTH, HEADS, WIDTH

__all__ = ["DEPTH", "HEADS", "WIDTH", "Attention"]


class Attention(torch.autograd.Function):
    """Queries (B or 1, Q, W) attend to keys and values, columns `key` ... and `value` ... of memory (B, K, C);
    returns (B, Q, W). For self-attention both are the same tensor (B, Q, 3 W), whose first W columns are the queries.

    The order of channels is that of `mnmef.kernels.attention`; C, `key` and `value` are multiples of the heads.
    """

    @staticmethod
    def forward(ctx: Any, query: Tensor, memory: Tensor, key: int, value: int) -> Tensor:
        """See the class."""
        query, memory = query.detach().contiguous(), memory.detach().contiguous()
        (batch, keys), queries = memory.shape[:2], query.shape[1]
        weights = memory.new_empty(batch * queries * keys, HEADS)
        result = memory.new_empty(batch, queries, WIDTH)
        shape = queries, keys, query.shape[2] // HEADS
        over_batch(kernel.scores, batch, shape, _eights(query), _eights(memory), key // HEADS, weights.numpy())
        weights.exp_()
        arrays = weights.numpy(), _eights(memory), value // HEADS, _eights(result)
        over_batch(kernel.apply, batch, shape[:2], *arrays)
        ctx.save_for_backward(query, memory, weights)
        ctx.columns = key // HEADS, value // HEADS
        return result

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, Tensor, None, None]:
        """Gradients of query and memory; where they are the same tensor, all of it as that of memory."""
        query, memory, weights = ctx.saved_tensors
        is_self = query.data_ptr() == memory.data_ptr()
        (batch, keys), queries = memory.shape[:2], query.shape[1]
        memory_gradient = torch.empty_like(memory)
        query_gradient = memory_gradient if is_self else query.new_empty(batch, *query.shape[1:])
        tokens = kernel.Tokens(*(_eights(t) for t in (query, memory, upstream[0].contiguous())))
        stride = query.shape[2] // HEADS
        shape = queries, keys, stride, *ctx.columns
        targets = _eights(query_gradient), _eights(memory_gradient)
        over_batch(kernel.gradients, batch, shape, weights.numpy(), tokens, *targets)
        if is_self:
            return None, memory_gradient, None, None
        return query_gradient.sum_to_size(query.shape), memory_gradient, None, None


def _eights(tensor: Tensor) -> Any:
    """The numbers of a contiguous tensor as an array (n, 8)."""
    return tensor.view(-1, HEADS).numpy()
