"""The compiled attention against torch's."""

import pytest
import torch
from torch.nn import functional

from mnmef.filters import networks
from mnmef.filters.attention import DEPTH, HEADS, WIDTH, Attention
from mnmef.filters.networks import AttentionBlock, SetTransformer

DOUBLE = torch.float64


def draw(*shape, seed=0):
    return torch.randn(*shape, dtype=DOUBLE, generator=torch.Generator().manual_seed(seed))


def split(tokens):
    """(B, T, W), depth first, to (B, HEADS, T, DEPTH)."""
    return tokens.unflatten(-1, (DEPTH, HEADS)).movedim(-1, 1)


@pytest.mark.parametrize(("queries", "keys"), [(1, 1), (5, 5), (16, 10), (3, 40)])
def test_it_is_the_attention_of_torch_wherever_keys_and_values_lie(queries, keys):
    query, memory = draw(4, queries, WIDTH), draw(4, keys, 2 * WIDTH, seed=1)
    for key, value in ((0, WIDTH), (WIDTH, 0)):
        k, v = memory[..., key : key + WIDTH], memory[..., value : value + WIDTH]
        expected = functional.scaled_dot_product_attention(split(query), split(k), split(v)).movedim(1, -1).flatten(-2)
        torch.testing.assert_close(Attention.apply(query, memory, key, value), expected)


def test_large_scores_do_not_overflow():
    packed = 100.0 * draw(2, 6, 3 * WIDTH)
    assert bool(Attention.apply(packed, packed, WIDTH, 2 * WIDTH).isfinite().all())


def test_its_gradients_are_those_of_finite_differences():
    packed = draw(2, 3, 3 * WIDTH).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: Attention.apply(x, x, WIDTH, 2 * WIDTH), packed)
    query, memory = draw(1, 2, WIDTH).requires_grad_(), draw(3, 4, 2 * WIDTH).requires_grad_()
    assert torch.autograd.gradcheck(lambda q, m: Attention.apply(q, m, 0, WIDTH), (query, memory))


def test_bits_do_not_depend_on_the_number_of_threads_or_the_rest_of_the_batch():
    packed = draw(7, 10, 3 * WIDTH).float()
    alone = torch.cat([Attention.apply(p, p, WIDTH, 2 * WIDTH) for p in packed.split(1)])
    before = torch.get_num_threads()
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            assert torch.equal(Attention.apply(packed, packed, WIDTH, 2 * WIDTH), alone)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    "make", [lambda: AttentionBlock(WIDTH, HEADS), lambda: SetTransformer(WIDTH, 9, WIDTH, HEADS, 4)]
)
def test_networks_give_the_same_values_and_gradients_with_and_without_it(monkeypatch, make):
    network, tokens = make().double(), draw(3, 7, WIDTH)
    results = []
    for has_numba in (True, False):
        monkeypatch.setattr(networks, "HAS_NUMBA", has_numba)
        network.zero_grad()
        value = network(tokens)
        value.square().sum().backward()
        results.append([value.detach(), *(p.grad.clone() for p in network.parameters() if p.grad is not None)])
    for compiled, plain in zip(*results, strict=True):
        torch.testing.assert_close(compiled, plain)
