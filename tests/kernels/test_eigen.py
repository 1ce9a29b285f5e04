"""Eigenpairs of eight small matrices at once are eigenpairs."""

import pytest
import torch

from mnmef.filters.linalg import _eigenpairs as eigenpairs

ROUNDING = 1e-14


def matrices(kind, size, count=21):
    """Symmetric positive semi-definite matrices (count, size, size)."""
    generator = torch.Generator().manual_seed(size)
    s = torch.randn(count, 37, size, generator=generator, dtype=torch.float64)
    scales = torch.logspace(0, -12, size, dtype=torch.float64)
    few = s[:, : max(size // 2, 1)]
    return {
        "full": s.mT @ s,
        "deficient": few.mT @ few,
        "zero": torch.zeros_like(s.mT @ s),
        "unit": torch.eye(size, dtype=torch.float64).repeat(count, 1, 1),
        "ones": torch.ones(count, size, size, dtype=torch.float64),
        "graded": (s * scales).mT @ (s * scales),
        "graded the other way": (s * scales.flip(0)).mT @ (s * scales.flip(0)),
        "large": 1e98 * (s.mT @ s),
        "small": 1e-120 * (s.mT @ s),
        "mixed": (s.mT @ s) * torch.logspace(-30, 30, count, dtype=torch.float64)[:, None, None],
    }[kind]


@pytest.mark.parametrize("size", [1, 2, 3, 10, 16, 20])
@pytest.mark.parametrize(
    "kind",
    ["full", "deficient", "zero", "unit", "ones", "graded", "graded the other way", "large", "small", "mixed"],
)
def test_eigenpairs_are_those_of_the_matrices_to_rounding(kind, size):
    matrix = matrices(kind, size)
    values, vectors = eigenpairs(matrix)
    norm = matrix.abs().amax((-2, -1), keepdim=True).clamp(min=1e-300)
    assert ((matrix @ vectors - vectors * values.unsqueeze(-2)).abs() / norm).max() < size * ROUNDING
    assert (vectors.mT @ vectors - torch.eye(size)).abs().max() < size * ROUNDING
    expected = torch.linalg.eigvalsh(matrix)
    assert ((values.sort(-1).values - expected).abs() / norm.squeeze(-1)).max() < size * ROUNDING


def test_a_matrix_has_the_same_eigenpairs_whatever_is_beside_it():
    matrix = torch.cat([matrices(kind, 10, 3) for kind in ("full", "ones", "graded", "zero", "deficient")])
    values, vectors = eigenpairs(matrix)
    for row in range(len(matrix)):
        alone, vectors_alone = eigenpairs(matrix[row : row + 1])
        assert torch.equal(alone[0], values[row])
        assert torch.equal(vectors_alone[0], vectors[row])
