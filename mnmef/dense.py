"""Dense layers on a CPU in single precision, by oneDNN.

Torch multiplies matrices by MKL, which keeps to vectors of 256 bits on processors that are not Intel's, and copies the
bias into the result before it begins. oneDNN, which torch ships as well, does neither. The gradient of the weight is
the exception: see `mnmef.outer_kernel`.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mnmef.systems.base import HAS_NUMBA

if HAS_NUMBA:
    from mnmef.outer_kernel import COLUMNS, ROWS, outer_sum

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
    single = inputs.dtype == weight.dtype == torch.float32
    if HAS_ONEDNN and single and inputs.device.type == "cpu" and inputs.shape[:-1].numel() > FEW:
        return _Linear.apply(inputs, weight, bias, is_rectified)
    result = functional.linear(inputs, weight, bias)
    return result.relu() if is_rectified else result


class Linear(nn.Linear):
    """`torch.nn.Linear` by `linear`."""

    def forward(self, inputs: Tensor, *, is_rectified: bool = False) -> Tensor:
        """Map inputs (..., I) to (..., O)."""
        return linear(inputs, self.weight, self.bias, is_rectified=is_rectified)


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
            _outer_sum(rows, inputs.flatten(0, -2)) if for_weight else None,
            rows.sum(0) if for_bias else None,
            None,
        )


def _outer_sum(left: Tensor, right: Tensor) -> Tensor:
    """`left^T right` (R, C) of left (M, R) and right (M, C)."""
    if HAS_NUMBA and left.shape[1] % ROWS == 0 and right.shape[1] % COLUMNS == 0:
        return torch.from_numpy(outer_sum(left.numpy(), right.numpy()))
    return _multiply(left.mT, right.mT)
