"""Optimizers: Muon's steps are orthogonal, reach the weights themselves, and leave the rest to AdamW."""

import pytest
import torch
from torch import nn

from mnmef.learning import optimizers
from mnmef.learning.optimizers import Muon, muon, orthogonalize


def make():
    torch.manual_seed(0)
    parameters = [nn.Parameter(torch.randn(32, 8, 3)), nn.Parameter(torch.randn(4, 32)), nn.Parameter(torch.randn(32))]
    return parameters, [torch.randn_like(p) for p in parameters]


def test_a_step_moves_a_convolution_in_all_directions_alike():
    parameters, gradients = make()
    before = parameters[0].detach().clone()
    parts = muon(parameters, 1e-2, 0.0)
    # A gradient that is almost of rank one: AdamW and plain descent would follow its one large direction.
    gradients[0] += 50.0
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    for part in parts:
        part.step()
    values = torch.linalg.svdvals((parameters[0].detach() - before).flatten(1))
    assert float(torch.linalg.cond(gradients[0].flatten(1))) > 50
    assert float(values.max() / values.min()) < 5


@pytest.mark.parametrize("shape", [(48, 48), (48, 20), (20, 48)])
def test_orthogonalized_matrices_keep_their_singular_vectors(shape):
    matrices = torch.randn(3, *shape, generator=torch.Generator().manual_seed(1))
    left, values, right = torch.linalg.svd(matrices, full_matrices=False)
    found = left.mT @ orthogonalize(matrices) @ right.mT
    torch.testing.assert_close(found, torch.diag_embed(found.diagonal(dim1=-2, dim2=-1)), rtol=0, atol=1e-4)
    # Those that are small beside the largest need more iterations; here all but a few are within the band.
    large = found.diagonal(dim1=-2, dim2=-1)[values > 0.1 * values.amax(-1, keepdim=True)]
    assert ((large > 0.6) & (large < 1.3)).all()


@pytest.mark.parametrize("shape", [(20, 20), (20, 60), (150, 20)])
def test_the_small_products_of_a_matrix_give_what_its_own_give(monkeypatch, shape):
    matrices = torch.randn(3, *shape, generator=torch.Generator().manual_seed(3))
    matrices[0] *= torch.logspace(0, -6, shape[-1])  # singular values over many orders
    matrices[1] = 0.0
    monkeypatch.setattr(optimizers, "LONG", 1)
    by_small = orthogonalize(matrices)
    monkeypatch.setattr(optimizers, "LONG", 1000)
    # Digits of small singular values are lost in the squares, which is nothing to values that end in 0.7 to 1.2.
    torch.testing.assert_close(by_small, orthogonalize(matrices), rtol=0, atol=1e-3)


def test_steps_of_muon_are_those_of_torch_up_to_its_rounding():
    generator = torch.Generator().manual_seed(2)
    first = [torch.randn(*shape, generator=generator) for shape in ((24, 24), (24, 24), (60, 16), (16, 40))]
    ours, theirs = ([nn.Parameter(p.clone()) for p in first] for _ in range(2))
    mine = Muon(ours, 1e-2, 0.1)
    torchs = torch.optim.Muon(theirs, lr=1e-2, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for _ in range(3):
        for a, b in zip(ours, theirs, strict=True):
            a.grad = torch.randn(*a.shape, generator=generator)
            b.grad = a.grad.clone()
        mine.step()
        torchs.step()
    for a, b, start in zip(ours, theirs, first, strict=True):
        assert float((a - b).detach().norm() / (b - start).detach().norm()) < 0.03  # bfloat16 has eight bits


def test_what_is_no_matrix_takes_the_steps_of_adamw():
    parameters, gradients = make()
    alone = [nn.Parameter(p.detach().clone()) for p in parameters[1:]]
    parts, adamw = muon(parameters, 1e-2, 0.1), torch.optim.AdamW(alone, lr=1e-2, weight_decay=0.1)
    for _ in range(3):
        for parameter, gradient in zip((*parameters, *alone), (*gradients, *gradients[1:]), strict=True):
            parameter.grad = gradient.clone()
        for part in parts:
            part.step()
        adamw.step()
    torch.testing.assert_close(parameters[1:], alone)


def test_a_weight_without_gradient_stays():
    parameters, gradients = make()
    before = [p.detach().clone() for p in parameters]
    parts = muon(parameters, 1e-2, 0.0)
    parameters[2].grad = gradients[2]
    for part in parts:
        part.step()
    assert torch.equal(parameters[0], before[0])
    assert torch.equal(parameters[1], before[1])
    assert not torch.equal(parameters[2], before[2])
