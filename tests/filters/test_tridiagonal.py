"""Functions of small matrices without eigenvectors, against eigenvectors."""

import numpy as np
import pytest
import torch

from mnmef.filters.tridiagonal import (
    EXTREME_BOUND,
    SHIFTS,
    USUAL_BOUND,
    deficit_quadrature,
    transform_local,
    tridiagonalize,
)


def problems(size, count=300, seed=0, dtype=torch.float64):
    """Gram matrices (p, p, M) of every rank, also zero, tiny and huge, vectors in their ranges and probes (p, M)."""
    generator = torch.Generator().manual_seed(seed)
    s = torch.randn(count, size + 2, size, generator=generator, dtype=torch.float64)
    s[:50] *= 1e-7
    s[50:100] *= 10.0 ** torch.linspace(0, 4, 50, dtype=torch.float64)[:, None, None]
    s[100:150, size // 2 :] = 0.0  # rank deficient, as with few members
    s[150:200, :, ::2] = 0.0  # patches that are not full
    s[200] = 0.0
    u = s.mT @ torch.randn(count, size + 2, 1, generator=generator, dtype=torch.float64)
    e = torch.randn(count, size, generator=generator, dtype=torch.float64)
    return tuple(t.to(dtype).contiguous() for t in ((s.mT @ s).permute(1, 2, 0), u.squeeze(-1).T, e.T))


def by_eigenvectors(gram, vector, probe):
    values, vectors = torch.linalg.eigh(gram.permute(2, 0, 1).double())
    values = values.clamp(min=0.0)
    along = torch.einsum("mij,im->mj", vectors, vector.double())
    root = torch.sqrt(1.0 + values)
    deficit = torch.einsum("mij,mj->im", vectors, along / (root * (1.0 + root)))
    product = (torch.einsum("mij,im->mj", vectors, probe.double()) * along / (1.0 + values)).sum(-1)
    return deficit, product


@pytest.mark.parametrize(("which", "bound"), [(0, USUAL_BOUND), (1, EXTREME_BOUND)])
@pytest.mark.parametrize(("dtype", "accuracy"), [(torch.float64, 1e-13), (torch.float32, 1e-6)])
def test_shifted_inverses_sum_to_the_deficit_of_the_transform_up_to_the_bound(dtype, accuracy, which, bound):
    shifts, weights = deficit_quadrature(SHIFTS[dtype][which], bound)
    c = np.append(0.0, np.geomspace(1e-6, bound - 1.0, 5000))
    sums = (weights / (c[:, None] + 1.0 + shifts)).sum(1)
    root = np.sqrt(1.0 + c)
    # What counts is the change of anomalies relative to their size, which is c times the deficit where c is large.
    np.testing.assert_allclose(sums * (1.0 + c), (1.0 + c) / (root * (1.0 + root)), atol=accuracy)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 10, 16])
def test_local_transforms_are_those_of_the_eigenvectors(size):
    gram, vector, probe = problems(size)
    expected, expected_product = by_eigenvectors(gram, vector, probe)
    deficit, product = transform_local(gram.clone(), vector, probe)
    length = vector.norm(dim=0) + 1e-300
    assert ((deficit - expected).abs() / length).max() < 1e-13
    assert ((product - expected_product).abs() / (length * probe.norm(dim=0))).max() < 1e-13
    # Relative to the size of the answer, where the matrix is not so large that its rounding alone is larger than that.
    trace = gram.diagonal().sum(-1)
    moderate = trace < 1e4
    assert ((deficit - expected).abs() * (1.0 + trace) / length)[:, moderate].max() < 1e-10


@pytest.mark.parametrize("size", [1, 4, 10])
def test_local_transforms_in_single_precision_are_good_to_single_precision(size):
    gram, vector, probe = (t[..., 100:] for t in problems(size, dtype=torch.float32))
    expected, expected_product = by_eigenvectors(gram, vector, probe)
    deficit, product = transform_local(gram.clone(), vector, probe)
    assert deficit.dtype == product.dtype == torch.float32
    torch.testing.assert_close(deficit.double(), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(product.double(), expected_product, rtol=1e-4, atol=1e-4)


def test_tridiagonal_matrices_have_the_eigenvalues_of_the_originals():
    gram, vector, _ = problems(6)
    tridiagonal = gram.clone()
    off, _ = tridiagonalize(tridiagonal, vector)
    torch.testing.assert_close(off[0].abs(), vector.norm(dim=0))
    m = torch.diag_embed(torch.diagonal(tridiagonal))
    for k in range(1, 6):
        m[:, k, k - 1] = m[:, k - 1, k] = off[k]
    expected = torch.linalg.eigvalsh(gram.permute(2, 0, 1))
    error = (torch.linalg.eigvalsh(m) - expected).abs().amax(-1) / (expected[:, -1] + 1e-300)
    assert error.max() < 1e-13


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_a_non_finite_problem_gives_a_non_finite_answer_and_leaves_the_others_alone(bad):
    gram, vector, probe = problems(5)
    alone = transform_local(gram.clone(), vector, probe)
    gram[0, 0, 7] = bad
    vector[:, 9] = bad
    deficit, product = transform_local(gram, vector, probe)
    broken = torch.zeros(300, dtype=torch.bool)
    broken[[7, 9]] = True
    assert not product[broken].isfinite().any()
    torch.testing.assert_close(deficit[:, ~broken], alone[0][:, ~broken], rtol=1e-13, atol=0.0)
    torch.testing.assert_close(product[~broken], alone[1][~broken], rtol=1e-13, atol=0.0)
