"""LETKF's gain row by row, and sums over windows weighed by rows, each with its gradient.

The gradients are written out, since no tensor of points, window and members has to be kept for those of sums, and a
Cholesky factor serves both a gain and its gradient.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mnmef.filters.windows import Window


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
