"""LETKF's gain row by row, its square root, and sums over windows weighed by rows, each with its gradient.

The gradients are written out, since no tensor of points, window and members has to be kept for those of sums, and a
Cholesky factor serves both a gain and its gradient.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mnmef.filters.linalg import eigenpairs_of
from mnmef.filters.windows import Window

SHORTEST_MODE = 1e-15
"""Smallest divisor for the length of a mode, in units of the noise; a shorter one is rounding."""


class RowsFunction(torch.autograd.Function):
    """Sum over a window of fields (D, B, N), weighed by rows (D, B, p), with its gradient."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, fields: Tensor, window: Window) -> Tensor:
        """Compute `sum_k rows[i, k] fields[site k in the window of i]`."""
        padded, total = window.pad(fields), torch.zeros_like(fields)
        sums = window.cells(total)
        for row, view in zip(rows.split(1, -1), window.views(padded), strict=True):
            sums.addcmul_(window.cells(row), view)
        ctx.save_for_backward(rows, padded)
        ctx.window = window
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        """Compute the gradients of rows and fields."""
        rows, padded = ctx.saved_tensors
        window, by_padded = ctx.window, torch.zeros_like(padded)
        by_rows = [(window.cells(gradient) * view).sum(-1) for view in window.views(padded)]
        for row, view in zip(rows.split(1, -1), window.views(by_padded), strict=True):
            window.add_product(view, (row, gradient))
        return torch.stack(by_rows, -1).view(rows.shape), window.unpad(by_padded), None


def factorize(seen: Tensor) -> Tensor:
    """Cholesky factor of `Y'Y + (N - 1) I` for Y (..., p, N) or, where that is smaller, of `Y Y' + (N - 1) I`."""
    observations, members = seen.shape[-2:]
    gram = seen.mT @ seen if members <= observations else seen @ seen.mT
    gram.diagonal(dim1=-2, dim2=-1).add_(members - 1)
    return torch.linalg.cholesky_ex(gram).L


def solve(seen: Tensor, factor: Tensor, right: Tensor) -> Tensor:
    """Compute `(Y'Y + (N - 1) I)^-1 b` for b (..., N) with the factor that `factorize` returns for Y (..., p, N)."""
    observations, members = seen.shape[-2:]
    if members <= observations:
        return torch.cholesky_solve(right.unsqueeze(-1), factor).squeeze(-1)
    inner = torch.cholesky_solve((seen * right.unsqueeze(-2)).sum(-1, keepdim=True), factor)
    return (right - (seen * inner).sum(-2)) / (members - 1)


class GainFunction(torch.autograd.Function):
    """Rows of LETKF's gain from the anomalies of the observations in each window, with their gradient."""

    @staticmethod
    def forward(ctx: Any, observed: Tensor, own: Tensor, root: Tensor, window: Window) -> Tensor:
        """Compute `T Y (Y'Y + (N - 1) I)^-1 a` (D, B, p), in units of the observation noise.

        The rows of Y (p, N) are a window of observed (D, B, N), times root (D, 1, p) or (p,) of the taper, T in the
        formula; own a (D, B, N).
        """
        seen = window.gather(observed) * root.unsqueeze(-1)
        factor = factorize(seen)
        weights = solve(seen, factor, own)
        row = (seen * weights.unsqueeze(-2)).sum(-1)
        ctx.save_for_backward(seen, factor, weights, row, root)
        ctx.window = window
        return row * root

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """Compute the gradients of observed, own and root."""
        seen, factor, weights, row, root = ctx.saved_tensors
        by_row, window = gradient * root, ctx.window
        by_own = solve(seen, factor, (by_row.unsqueeze(-1) * seen).sum(-2))
        # That of Y is (by_row - Y by_own) weights' - row by_own'.
        change = (seen * by_own.unsqueeze(-2)).sum(-1)
        by_row -= change
        by_root = (gradient * row + row / root * (by_row - change)).sum_to_size(root.shape)
        by_padded = torch.zeros_like(window.pad(weights))
        parts = zip((by_row * root).split(1, -1), (row * root).split(1, -1), window.views(by_padded), strict=True)
        for one, other, view in parts:
            window.add_product(view, (one, weights))
            window.add_product(view, (other, by_own), -1)
        return window.unpad(by_padded), by_own, by_root, None


def along(matrix: Tensor, vector: Tensor) -> Tensor:
    """`M v` for matrices (..., p, N) and vectors (..., N)."""
    return (matrix @ vector.unsqueeze(-1)).squeeze(-1)


def inverse(squares: Tensor, modes: Tensor, vector: Tensor) -> Tensor:
    """`A^-1 v` for `A = Z'Z + (N - 1) I` and v (..., N), by orthogonal modes Z (..., r, N), their squares (..., r)."""
    freedom = vector.shape[-1] - 1
    return (vector - along(modes.mT, along(modes, vector) / (freedom + squares))) / freedom


def inverse_root(squares: Tensor, modes: Tensor, vector: Tensor) -> Tensor:
    """`(N - 1)^1/2 A^-1/2 v`, as `inverse` computes `A^-1 v`."""
    freedom = vector.shape[-1] - 1
    size = (freedom + squares).sqrt()
    return vector - along(modes.mT, along(modes, vector) / (size * (size + freedom**0.5)))


def modes_of(seen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Squares (..., r), modes Z (..., r, N) and W (..., p, r) with `Y = W Z` for Y (..., p, N), r = min(p, N)."""
    observations, members = seen.shape[-2:]
    gram = seen.mT @ seen if members <= observations else seen @ seen.mT
    squares, vectors = (part.to(seen) for part in eigenpairs_of(gram.double()))
    if members > observations:
        return squares, vectors.mT @ seen, vectors
    length = squares.sqrt().unsqueeze(-2)
    return squares, (vectors * length).mT, (seen @ vectors) / length.clamp(min=SHORTEST_MODE)


class SquareRootFunction(torch.autograd.Function):
    """LETKF's local analyses: rows of the gain, and each point's anomalies after its own symmetric square root.

    With A = Y'Y + (N - 1) I, where the rows of Y (p, N) are a window of observed anomalies, the anomalies a of a point
    become `(N - 1)^1/2 A^-1/2 a` (Hunt et al. 2007).
    """

    @staticmethod
    def forward(ctx: Any, observed: Tensor, own: Tensor, root: Tensor, window: Window) -> tuple[Tensor, Tensor]:
        """Compute `T Y A^-1 a` (D, B, p), with the arguments of `GainFunction.forward`, and the new anomalies
        (D, B, N).
        """
        seen = window.gather(observed) * root.unsqueeze(-1)
        squares, modes, left = modes_of(seen)
        weights = inverse(squares, modes, own)
        row = along(seen, weights)
        ctx.save_for_backward(seen, squares, modes, left, own, weights, row, root)
        ctx.window = window
        return row * root, inverse_root(squares, modes, own)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_gain: Tensor, by_moved: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """Compute the gradients of observed, own and root."""
        seen, squares, modes, left, own, weights, row, root = ctx.saved_tensors
        by_row = by_gain * root
        pulled = inverse(squares, modes, along(seen.mT, by_row))
        # By way of A^-1 a, that of Y is (by_row - Y pulled) weights' - row pulled'.
        by_seen = (by_row - along(seen, pulled)).unsqueeze(-1) * weights.unsqueeze(-2)
        by_seen -= row.unsqueeze(-1) * pulled.unsqueeze(-2)
        # By way of A^-1/2 a, it has divided differences of the root at two modes, or at a mode and at none (Daleckii
        # and Krein), written without the difference of two equal squares.
        first = (own.shape[-1] - 1) ** 0.5
        size = (first**2 + squares).sqrt()
        one, two = along(modes, by_moved), along(modes, own)
        alone, pairs = size * (size + first), size.unsqueeze(-1) + size.unsqueeze(-2)
        between = (pairs + first) / (pairs * alone.unsqueeze(-1) * alone.unsqueeze(-2))
        outer = one.unsqueeze(-1) * two.unsqueeze(-2)
        outside = one.unsqueeze(-1) * own.unsqueeze(-2) + two.unsqueeze(-1) * by_moved.unsqueeze(-2)
        by_seen += left @ ((between * (outer + outer.mT)) @ modes - outside / alone.unsqueeze(-1))
        by_root = (by_gain * row + (by_seen * seen).sum(-1) / root).sum_to_size(root.shape)
        by_own = pulled + inverse_root(squares, modes, by_moved)
        return ctx.window.scatter(by_seen * root.unsqueeze(-1)), by_own, by_root, None
