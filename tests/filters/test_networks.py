"""The networks have the published sizes and the symmetries that an ensemble demands."""

import pytest
import torch

from mnmef.experiments.load import load_experiment
from mnmef.filters.mnmef import Mnmef, ModelOptions
from mnmef.filters.networks import AttentionBlock, Head, SetTransformer


@pytest.mark.parametrize(
    ("experiment", "total", "heads"),
    [("lorenz96", 341_551, 63_343), ("ks", 374_289, 90_065), ("lorenz63", 309_383, 34_119)],
)
def test_parameter_counts_are_those_of_the_paper(experiment, total, heads):
    filter_ = Mnmef(load_experiment(experiment), 1.0)
    assert sum(p.numel() for p in filter_.parameters()) == total
    assert sum(p.numel() for p in filter_.head_parameters()) == heads


@pytest.mark.parametrize("members", [2, 7, 30])
def test_the_set_transformer_ignores_the_order_of_members_and_accepts_any_number(members):
    torch.manual_seed(members)
    network = SetTransformer(5, 12, 16, 4, 3).double()
    ensemble = torch.randn(4, members, 5, dtype=torch.float64)
    shuffled = ensemble[:, torch.randperm(members)]
    torch.testing.assert_close(network(ensemble), network(shuffled))
    assert network(ensemble).shape == (4, 12)


def test_attention_equals_the_textbook_formula():
    torch.manual_seed(0)
    block = AttentionBlock(8, 2).double()
    x, z = torch.randn(3, 5, 8, dtype=torch.float64), torch.randn(3, 4, 8, dtype=torch.float64)
    reference = torch.nn.MultiheadAttention(8, 2, batch_first=True).double()
    reference.load_state_dict(
        {
            "in_proj_weight": block.projection.weight,
            "in_proj_bias": block.projection.bias,
            "out_proj.weight": block.output.weight,
            "out_proj.bias": block.output.bias,
        }
    )
    for key in (x, z):
        attended, _ = reference(block.input_norm(x), block.input_norm(key), block.input_norm(key))
        hidden = x + attended
        expected = hidden + block.feed_forward(block.hidden_norm(hidden))
        torch.testing.assert_close(block(x, None if key is x else key), expected)


def test_the_query_projection_of_the_pooling_never_moves():
    network = SetTransformer(3, 4, 8, 2, 2)
    before = network.pool.projection.weight.detach().clone()
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.1, weight_decay=0.0)
    network(torch.randn(2, 5, 3)).square().sum().backward()
    optimizer.step()
    after = network.pool.projection.weight.detach()
    assert torch.equal(after[:8], torch.eye(8))
    assert not torch.equal(after[8:], before[8:])


def test_a_head_equals_the_network_that_copies_the_shared_input_to_every_member():
    torch.manual_seed(1)
    head = Head(4, 3, 6, 16, 3).double()
    members, shared = torch.randn(2, 5, 4, dtype=torch.float64), torch.randn(2, 3, dtype=torch.float64)
    copied = torch.cat((members, shared[:, None].expand(-1, 5, -1)), -1)
    torch.testing.assert_close(head(shared, members), head.rest(head.first(copied)))


@pytest.mark.parametrize("mode", ["states", "separate", "joint"])
def test_every_input_mode_gives_a_feature_of_the_same_size(mode):
    experiment = load_experiment("lorenz96")
    filter_ = Mnmef(experiment, 1.0, ModelOptions(input=mode))
    ensemble = torch.randn(2, 6, 40)
    assert filter_.feature(ensemble, experiment.observe(ensemble)).shape == (2, 128)


def test_an_unknown_input_mode_is_named_with_the_nearest_known_one():
    with pytest.raises(ValueError, match=r"'joints'.*'joint'"):
        ModelOptions(input="joints")
