"""Batched linear algebra that a bad element of a batch cannot stop: it yields NaN for itself alone."""

from collections.abc import Callable

import torch
from torch import Tensor

from mnmef.core.threads import over_batch
from mnmef.kernels import HAS_NUMBA, HUGE, STEEP

if HAS_NUMBA:
    from mnmef.kernels.eigen import eigenpairs
    from mnmef.kernels.lanes import LANES

WIDE = 16
"""Observations up to which their space serves, however few the members are."""


def has_more_observations(observations: int, members: int) -> bool:
    """Return True where matrices of the members are so much smaller than those of observations that they are used."""
    return observations > max(WIDE, members)


def solve_rows(matrix: Tensor, rows: Tensor) -> Tensor:
    """`rows @ matrix^-1` for symmetric matrices (..., d, d) and rows (..., N, d); NaN or infinite where a matrix is
    singular.
    """
    return torch.linalg.solve_ex(matrix, rows.mT)[0].mT


def add_product(base: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """`base + left @ right` for base (..., N, Nx), left (..., N, d) and right (..., d, Nx), in one pass."""
    base_, left_, right_ = (t.reshape(-1, *t.shape[-2:]) for t in (base, left, right))
    return torch.baddbmm(base_, left_, right_).view(base.shape)


def _eigenpairs(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues (..., d) and eigenvectors (..., d, d) of symmetric matrices with entries below HUGE."""
    is_double = matrix.device.type == "cpu" and matrix.dtype == torch.float64
    if not (HAS_NUMBA and is_double) or (torch.is_grad_enabled() and matrix.requires_grad):
        values, vectors = torch.linalg.eigh(matrix)
        return values, vectors
    matrices = matrix.detach().reshape(-1, *matrix.shape[-2:]).contiguous()
    values, vectors = torch.empty_like(matrices[..., 0]), torch.empty_like(matrices)
    over_batch(eigenpairs, -(-len(matrices) // LANES), *(t.numpy() for t in (matrices, values, vectors)))
    return values.view(matrix.shape[:-1]), vectors.view(matrix.shape).mT


def eigenpairs_of(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues (..., d) and eigenvectors (..., d, d) of symmetric positive semi-definite matrices.

    A matrix with a non-finite or huge entry gives NaN, and no error.
    """
    good = (matrix.abs() < HUGE).flatten(-2).all(-1)[..., None]
    values, vectors = _eigenpairs(torch.where(good.unsqueeze(-1), matrix, 0.0))
    return torch.where(good, values.clamp(min=0.0), torch.nan), vectors


def symmetric_functions(matrix: Tensor, *functions: Callable[[Tensor], Tensor]) -> list[Tensor]:
    """`f(matrix)` for symmetric positive semi-definite matrices (..., d, d) and functions of their eigenvalues.

    A matrix with a non-finite or huge entry gives NaN, and no error.
    """
    if matrix.shape[-1] == 1:
        return [f(matrix.clamp(min=0.0)) for f in functions]
    values, vectors = eigenpairs_of(matrix)
    return [(vectors * f(values).unsqueeze(-2)) @ vectors.mT for f in functions]


def principal_modes(s: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Z (..., N, m), c (..., 1, m) and V (..., d, m) of s (..., N, d) with `s = Z V'`, columns of V orthonormal, those
    of Z of squared length c; m is d, or N where observations are many more.

    By the eigenvectors of s's; where that squares away too many digits, by the singular values of s itself.
    A non-finite or huge s gives NaN.
    """
    if has_more_observations(s.shape[-1], s.shape[-2]):
        directions, triangle = torch.linalg.qr(s.mT)
        modes, squares, vectors = principal_modes(triangle.mT)
        return modes, squares, directions @ vectors
    if s.shape[-1] == 1:
        return s, s.square().sum(-2, keepdim=True), torch.ones_like(s[..., :1, :])
    flat = s.reshape(-1, *s.shape[-2:])
    gram = flat.mT @ flat
    size = torch.diagonal(gram, dim1=-2, dim2=-1).sum(-1)
    good = (size < HUGE)[:, None, None]
    values, vectors = _eigenpairs(torch.where(good, gram, 0.0))
    steep = ((size > STEEP) & good.flatten()).nonzero().squeeze(-1)
    if len(steep):
        triangle = torch.linalg.qr(flat[steep], mode="r")[1]  # has the same V and is smaller
        missing = s.shape[-1] - triangle.shape[-2]
        _, singular, rows = torch.linalg.svd(torch.nn.functional.pad(triangle, (0, 0, 0, missing)))
        values[steep], vectors[steep] = singular.square(), rows.mT
    vectors = torch.where(good, vectors, torch.nan)
    values = values.clamp(min=0.0).unsqueeze(-2).view(*s.shape[:-2], 1, -1)
    vectors = vectors.view(*s.shape[:-2], *vectors.shape[-2:])
    return s @ vectors, values, vectors


def transform_deficit(c: Tensor) -> Tensor:
    """`(1 - (1 + c)^-1/2) / c` without cancellation: `(I + S S')^-1/2 = I - S g(S'S) S'` with this g."""
    root = torch.sqrt(1.0 + c)
    return 1.0 / (root * (1.0 + root))


def transform(c: Tensor) -> Tensor:
    """`1 / sqrt(1 + c)`."""
    return torch.rsqrt(1.0 + c)


def precision(c: Tensor) -> Tensor:
    """`1 / (1 + c)`."""
    return 1.0 / (1.0 + c)
