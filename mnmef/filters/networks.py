"""Neural networks of MNMEF: a set transformer over members and the heads that it feeds.

Sources: Lee et al. (2019) for the set transformer; appendix A of arXiv 2504.17836 for sizes. The trainable totals are
those of the paper (table 5), which `tests/test_networks.py` checks.
"""

import torch
from torch import Tensor, nn
from torch.nn import Linear, functional
from torch.nn.functional import linear

from mnmef.kernels import HAS_NUMBA

if HAS_NUMBA:
    from mnmef.filters.attention import HEADS, WIDTH, Attention

FEW = 64
"""Tokens up to which the compiled attention is the faster one."""


class AttentionBlock(nn.Module):
    """MAB(Q, K): `H = Q + MHA(LN(Q), LN(K), LN(K))`, then `H + FF(LN'(H))`, both pre-norm, without dropout.

    frozen_query: keep the query projection at the identity with bias zero (the pooling block of the released code);
        its rows stay parameters, masked from the gradient, and so count towards the published totals.
    """

    def __init__(self, width: int, heads: int, *, frozen_query: bool = False) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} must be a multiple of the number of heads, {heads}")
        self.heads = heads
        self.frozen_query = frozen_query
        self.input_norm = nn.LayerNorm(width)
        self.projection = Linear(width, 3 * width)
        self.output = Linear(width, width)
        self.hidden_norm = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(Linear(width, width), nn.ReLU(), Linear(width, width))
        nn.init.xavier_uniform_(self.projection.weight)
        nn.init.zeros_(self.projection.bias)
        nn.init.zeros_(self.output.bias)
        if frozen_query:
            with torch.no_grad():
                self.projection.weight[:width] = torch.eye(width)

    def forward(self, query: Tensor, key: Tensor | None = None) -> Tensor:
        """Attend from query (B, Q, W) to key (B, K, W), or to itself if `key` is None; returns (B, Q, W).

        Queries that are the same for all ensembles may come as (1, Q, W).
        """
        attend = self._attend_compiled if self._has_kernel(query if key is None else key) else self._attend
        hidden = query + attend(self.input_norm(query), None if key is None else self.input_norm(key))
        return hidden + self.feed_forward(self.hidden_norm(hidden))

    def _attend(self, query: Tensor, key: Tensor | None) -> Tensor:
        """The multi-head attention by torch."""
        width, weight, bias = query.shape[-1], self.projection.weight, self.projection.bias
        if key is None:
            q, k, v = self.projection(query).split(width, -1)
        else:
            q = query if self.frozen_query else linear(query, weight[:width], bias[:width])
            q = q.expand(len(key), -1, -1)
            k, v = linear(key, weight[width:], bias[width:]).split(width, -1)
        attended = functional.scaled_dot_product_attention(*(self._split(t) for t in (q, k, v)))  # type: ignore[arg-type]
        return self.output(attended.transpose(-3, -2).flatten(-2))

    def _attend_compiled(self, query: Tensor, key: Tensor | None) -> Tensor:
        """The same on a CPU by `mnmef.filters.attention`, whose order of channels the projections are brought into."""
        width = query.shape[-1]
        weight = self.projection.weight.unflatten(0, (3, self.heads, -1)).transpose(1, 2).flatten(0, 2)
        bias = self.projection.bias.unflatten(0, (3, self.heads, -1)).transpose(1, 2).flatten()
        if key is None:
            packed = linear(query, weight, bias)
            attended = Attention.apply(packed, packed, width, 2 * width)
        else:
            if self.frozen_query:
                q = query.unflatten(-1, (self.heads, -1)).transpose(-2, -1).flatten(-2)
            else:
                q = linear(query, weight[:width], bias[:width])
            attended = Attention.apply(q, linear(key, weight[width:], bias[width:]), 0, width)
        back = self.output.weight.unflatten(1, (self.heads, -1)).transpose(1, 2).flatten(1)
        return linear(attended, back, self.output.bias)

    def _has_kernel(self, key: Tensor) -> bool:
        is_fit = HAS_NUMBA and (self.heads, key.shape[-1]) == (HEADS, WIDTH) and key.shape[-2] <= FEW
        return is_fit and key.device.type == "cpu"

    def _split(self, tokens: Tensor) -> Tensor:
        """Take tokens (B, T, W) apart, to (B, heads, T, W / heads)."""
        return tokens.unflatten(-1, (self.heads, -1)).transpose(-3, -2)


class SelfAttentionBlock(nn.Module):
    """SAB(X) = Linear(MAB(X, X))."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = AttentionBlock(width, heads)
        self.linear = Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens (B, N, W) to (B, N, W), equivariantly to permutations of N."""
        return self.linear(self.attention(tokens))


class SetTransformer(nn.Module):
    """A function of an ensemble that does not depend on the order or the number of members.

    Linear, two self-attention blocks over members, pooling by attention from learned seeds, two self-attention blocks
    over the seeds, flatten, linear.
    """

    def __init__(self, inputs: int, features: int, width: int, heads: int, seeds: int) -> None:
        super().__init__()
        self.embed = Linear(inputs, width)
        self.encode = nn.Sequential(SelfAttentionBlock(width, heads), SelfAttentionBlock(width, heads))
        self.seeds = nn.Parameter(torch.randn(seeds, width))  # as in the released code
        self.pool = AttentionBlock(width, heads, frozen_query=True)
        self.decode = nn.Sequential(SelfAttentionBlock(width, heads), SelfAttentionBlock(width, heads))
        self.readout = Linear(seeds * width, features)

    def forward(self, members: Tensor) -> Tensor:
        """Map members (B, N, inputs) to a feature (B, features)."""
        encoded = self.encode(self.embed(members))
        pooled = self.pool(self.seeds.unsqueeze(0), encoded)
        return self.readout(self.decode(pooled).flatten(-2))


class Head(nn.Module):
    """A multilayer perceptron whose input is partly per member and partly shared by the ensemble.

    The first layer is applied to both parts apart and then added, so that the shared part is never copied to every
    member.
    """

    def __init__(self, member_inputs: int, shared_inputs: int, outputs: int, width: int, hidden_layers: int) -> None:
        super().__init__()
        self.member_inputs = member_inputs
        self.first = Linear(member_inputs + shared_inputs, width)
        hidden = [layer for _ in range(hidden_layers - 1) for layer in (nn.ReLU(), Linear(width, width))]
        self.rest = nn.Sequential(*hidden, nn.ReLU(), Linear(width, outputs))

    def forward(self, shared: Tensor, members: Tensor | None = None) -> Tensor:
        """Map shared (B, S) and members (B, N, M) to (B, N, outputs); without members, to (B, outputs)."""
        hidden = linear(shared, self.first.weight[:, self.member_inputs :], self.first.bias)
        if members is not None:
            hidden = hidden.unsqueeze(-2) + linear(members, self.first.weight[:, : self.member_inputs])
        return self.rest(hidden)
