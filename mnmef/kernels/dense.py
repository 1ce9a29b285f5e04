"""Dense layers on a CPU in single precision, by oneDNN.

Torch multiplies matrices by MKL, which keeps to vectors of 256 bits on processors that are not Intel's, and copies the
bias into the result before it begins. oneDNN, which torch ships as well, does neither. The gradient of the weight is
the exception: see `mnmef.kernels.outer`.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from mnmef.systems.base import HAS_NUMBA

if HAS_NUMBA:
    from mnmef.kernels.outer import COLUMNS, ROWS, outer_sum

FEW = 600
"""Rows up to which the call costs more than it saves."""

HAS_ONEDNN = (
    torch.backends.mkldnn.is_available()
    and torch.backends.cpu.get_cpu_capability() == "AVX512"
    and hasattr(torch.ops.mkldnn, "_linear_pointwise")
)


def linear(inputs: Tensor, weight: Tensor, bias: Tensor | None = None, *, is_rectified: bool = False) -> Tensor:
    """`inputs weight^T + bias` for inputs (..., I), weight (O, I) and bias (O,), as `torch.nn.functional.linear`; then
    its ReLU if `is_rectified`.
    """
    if _is_for_onednn(inputs, weight):
        return _Linear.apply(inputs, weight, bias, is_rectified)
    result = functional.linear(inputs, weight, bias)
    return result.relu() if is_rectified else result


class Linear(nn.Linear):
    """`torch.nn.Linear` by `linear`."""

    def forward(self, inputs: Tensor, *, is_rectified: bool = False) -> Tensor:
        """Map inputs (..., I) to (..., O)."""
        return linear(inputs, self.weight, self.bias, is_rectified=is_rectified)


def add_product(total: Tensor | None, left: Tensor, right: Tensor) -> Tensor:
    """`total + left right` for left (M, K) and right (K, C), in the place of total (M, C) if that is given.

    Without a gradient.
    """
    if _is_for_onednn(left, right):
        product = _multiply(left.contiguous(), right.mT.contiguous())
        return product if total is None else total.add_(product)
    return left @ right if total is None else total.addmm_(left, right)


def sum_of_outer_products(left: Tensor, right: Tensor) -> Tensor:
    """`left^T right` (R, C) of left (M, R) and right (M, C), without a gradient."""
    if not _is_for_onednn(left, right):
        return left.mT @ right
    left, right = left.contiguous(), right.contiguous()
    if HAS_NUMBA and left.shape[1] % ROWS == 0 and right.shape[1] % COLUMNS == 0:
        return torch.from_numpy(outer_sum(left.numpy(), right.numpy()))
    return _multiply(left.mT, right.mT)


def _is_for_onednn(left: Tensor, right: Tensor) -> bool:
    """Whether a product of left (..., K) and a matrix is worth the call."""
    single = left.dtype == right.dtype == torch.float32
    return HAS_ONEDNN and single and left.device.type == "cpu" and left.shape[:-1].numel() > FEW


def _multiply(left: Tensor, right: Tensor, bias: Tensor | None = None, then: str = "none") -> Tensor:
    """`left right^T + bias` for left (..., K), right (C, K) and bias (C,), `then` an operation of oneDNN."""
    return torch.ops.mkldnn._linear_pointwise(left, right, bias, then, [], "")


class _Linear(torch.autograd.Function):
    """`linear` and its gradient."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None, is_rectified: bool) -> Tensor:
        """See `linear`."""
        # Of columns of a larger matrix, oneDNN's product takes a thousand times as long.
        inputs, weight = inputs.contiguous(), weight.contiguous()
        result = _multiply(inputs, weight, bias, "relu" if is_rectified else "none")
        ctx.save_for_backward(inputs, weight, result if is_rectified else None)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of inputs, weight and bias."""
        inputs, weight, rectified = ctx.saved_tensors
        for_inputs, for_weight, for_bias, _ = ctx.needs_input_grad
        above = upstream[0].contiguous()
        if rectified is not None:
            above = torch.ops.aten.threshold_backward(above, rectified, 0)
        rows = above.flatten(0, -2)
        return (
            _multiply(above, weight.mT) if for_inputs else None,
            sum_of_outer_products(rows, inputs.flatten(0, -2)) if for_weight else None,
            rows.sum(0) if for_bias else None,
            None,
        )
