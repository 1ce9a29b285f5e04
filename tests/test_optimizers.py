"""Optimizers: Muon's steps are orthogonal, reach the weights themselves, and leave the rest to AdamW."""

import torch
from torch import nn

from mnmef.optimizers import MuonAdamW


def make():
    torch.manual_seed(0)
    parameters = [nn.Parameter(torch.randn(32, 8, 3)), nn.Parameter(torch.randn(4, 32)), nn.Parameter(torch.randn(32))]
    return parameters, [torch.randn_like(p) for p in parameters]


def test_a_step_moves_a_convolution_in_all_directions_alike():
    parameters, gradients = make()
    before = parameters[0].detach().clone()
    optimizer = MuonAdamW(parameters, 1e-2, 0.0)
    # A gradient that is almost of rank one: AdamW and plain descent would follow its one large direction.
    gradients[0] += 50.0
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    optimizer.step()
    values = torch.linalg.svdvals((parameters[0].detach() - before).flatten(1))
    assert float(torch.linalg.cond(gradients[0].flatten(1))) > 50
    assert float(values.max() / values.min()) < 5


def test_what_is_no_matrix_takes_the_steps_of_adamw():
    parameters, gradients = make()
    alone = [nn.Parameter(p.detach().clone()) for p in parameters[1:]]
    optimizer, adamw = MuonAdamW(parameters, 1e-2, 0.1), torch.optim.AdamW(alone, lr=1e-2, weight_decay=0.1)
    for _ in range(3):
        for parameter, gradient in zip((*parameters, *alone), (*gradients, *gradients[1:]), strict=True):
            parameter.grad = gradient.clone()
        optimizer.step()
        adamw.step()
    torch.testing.assert_close(parameters[1:], alone)


def test_a_weight_without_gradient_stays():
    parameters, gradients = make()
    before = [p.detach().clone() for p in parameters]
    optimizer = MuonAdamW(parameters, 1e-2, 0.0)
    parameters[2].grad = gradients[2]
    optimizer.step()
    assert torch.equal(parameters[0], before[0])
    assert torch.equal(parameters[1], before[1])
    assert not torch.equal(parameters[2], before[2])
    optimizer.zero_grad()
    assert parameters[2].grad is None
