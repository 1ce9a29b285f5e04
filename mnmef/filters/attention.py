"""Attention between the members of an ensemble on a CPU, by compiled products, with its gradient: torch's own is made
for long sequences and takes several times as long between ten tokens of 64 channels.

The channels of a token are in the order depth, heads (channel `d * HEADS + h`), so that the eight heads are lanes.
"""

from typing import Any

import torch
from torch import Tensor

from mnmef.core.threads import over_batch
from mnmef.kernels.lanes import products

HEADS = DEPTH = 8
WIDTH = HEADS * DEPTH
"""Channels of a token: heads times channels of a head, as in the paper."""
SCALE = DEPTH**-0.5


class Attention(torch.autograd.Function):
    """Queries (B or 1, Q, W) attend to keys and values, columns `key` ... and `value` ... of memory (B, K, C);
    returns (B, Q, W). For self-attention both are the same tensor (B, Q, 3 W), whose first W columns are the queries.

    C, `key` and `value` are multiples of the heads. Keys and values are read where they are, and their gradients are
    written to the same columns.
    """

    @staticmethod
    def forward(ctx: Any, query: Tensor, memory: Tensor, key: int, value: int) -> Tensor:
        """See the class."""
        query, memory = query.detach().contiguous(), memory.detach().contiguous()
        (batch, keys), queries = memory.shape[:2], query.shape[1]
        weights, result = memory.new_empty(batch, queries, keys, HEADS), memory.new_empty(batch, queries, WIDTH)
        _multiply(_heads(query.expand(batch, -1, -1)), _heads(memory, key).transpose(1, 2), weights)
        weights = torch.softmax(weights.mul_(SCALE), 2)
        _multiply(weights, _heads(memory, value), _heads(result))
        ctx.save_for_backward(query, memory, weights)
        ctx.columns = key, value
        return result

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, Tensor, None, None]:
        """Gradients of query and memory; where they are the same tensor, all of it as that of memory."""
        query, memory, weights = ctx.saved_tensors
        key, value = ctx.columns
        above, slopes = _heads(upstream[0].contiguous()), torch.empty_like(weights)
        _multiply(above, _heads(memory, value).transpose(1, 2), slopes)
        slopes.sub_((weights * slopes).sum(2, keepdim=True)).mul_(weights).mul_(SCALE)
        is_self = query.data_ptr() == memory.data_ptr()
        to_memory, whole = torch.empty_like(memory), query.expand(len(memory), -1, -1)
        to_query = to_memory if is_self else query.new_empty(whole.shape)
        _multiply(slopes, _heads(memory, key), _heads(to_query))
        _multiply(weights.transpose(1, 2), above, _heads(to_memory, value))
        _multiply(slopes.transpose(1, 2), _heads(whole), _heads(to_memory, key))
        return None if is_self else to_query.sum_to_size(query.shape), to_memory, None, None


def _heads(tokens: Tensor, begin: int = 0) -> Tensor:
    """A matrix (B, T, DEPTH, HEADS) for each head, of the channels from `begin` on of tokens (B, T, C)."""
    return tokens.unflatten(2, (-1, HEADS))[:, :, begin // HEADS : begin // HEADS + DEPTH]


def _multiply(a: Tensor, b: Tensor, c: Tensor) -> None:
    """`c = a b` for matrices (B, rows, columns, HEADS)."""
    over_batch(products, len(c), a.numpy(), b.numpy(), c.numpy())
