"""Batched linear algebra that a bad element of a batch cannot stop: it yields NaN for itself alone."""

from collections.abc import Callable

import torch
from torch import Tensor

HUGE = 1e100
"""Entries beyond this belong to an ensemble that is about to overflow; LAPACK may fail to converge on them."""


def solve_rows(matrix: Tensor, rows: Tensor) -> Tensor:
    """`rows @ matrix^-1` for symmetric matrices (..., d, d) and rows (..., N, d); NaN or infinite where a matrix is
    singular.
    """
    return torch.linalg.solve_ex(matrix, rows.mT)[0].mT


def add_product(base: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """`base + left @ right` for base (..., N, Nx), left (..., N, d) and right (..., d, Nx), in one pass."""
    base_, left_, right_ = (t.reshape(-1, *t.shape[-2:]) for t in (base, left, right))
    return torch.baddbmm(base_, left_, right_).view(base.shape)


def symmetric_functions(matrix: Tensor, *functions: Callable[[Tensor], Tensor]) -> list[Tensor]:
    """`f(matrix)` for symmetric positive semi-definite matrices (..., d, d) and functions of their eigenvalues.

    A matrix with a non-finite or huge entry gives NaN, and no error.
    """
    if matrix.shape[-1] == 1:
        return [f(matrix.clamp(min=0.0)) for f in functions]
    good = (matrix.abs() < HUGE).flatten(-2).all(-1)[..., None, None]
    values, vectors = torch.linalg.eigh(torch.where(good, matrix, 0.0))
    values = values.clamp(min=0.0)
    results = [(vectors * f(values).unsqueeze(-2)) @ vectors.mT for f in functions]
    return [torch.where(good, result, torch.nan) for result in results]


def transform_deficit(c: Tensor) -> Tensor:
    """`(1 - (1 + c)^-1/2) / c` without cancellation: `(I + S S')^-1/2 = I - S g(S'S) S'` with this g."""
    root = torch.sqrt(1.0 + c)
    return 1.0 / (root * (1.0 + root))


def balanced_deficit(c: Tensor) -> Tensor:
    """`h(c) = ((1 + c)^1/2 - 1) / c` without cancellation: `(I + SS')^-1/2 = I - S h(S'S) B'`, B = S (I + S'S)^-1/2."""
    return 1.0 / (1.0 + torch.sqrt(1.0 + c))


def balanced_excess(c: Tensor) -> Tensor:
    """`e(c) = (1 + c) h(c)` with the h of `balanced_deficit`: `(I + SS')^1/2 = I + B e(S'S) B'` with the same B."""
    return (1.0 + c) / (1.0 + torch.sqrt(1.0 + c))


def root_precision(c: Tensor) -> Tensor:
    """`(1 + c)^-1/2`."""
    return torch.rsqrt(1.0 + c)


def precision(c: Tensor) -> Tensor:
    """`1 / (1 + c)`."""
    return 1.0 / (1.0 + c)
