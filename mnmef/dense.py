"""Dense layers on a CPU by oneDNN, in single precision.

Torch multiplies matrices by MKL, which keeps to vectors of 256 bits on processors that are not Intel's, and copies the
bias into the result before it begins. oneDNN, which torch ships as well, does neither.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

FEW = 600
"""Rows up to which the call costs more than it saves."""

HAS_ONEDNN = (
    torch.backends.mkldnn.is_available()
    and torch.backends.cpu.get_cpu_capability() == "AVX512"
    and hasattr(torch.ops.mkldnn, "_linear_pointwise")
)


def linear(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`inputs weight^T + bias` for inputs (..., I), weight (O, I) and bias (O,), as `torch.nn.functional.linear`."""
    single = inputs.dtype == weight.dtype == torch.float32
    if HAS_ONEDNN and single and inputs.device.type == "cpu" and inputs.shape[:-1].numel() > FEW:
        return _Linear.apply(inputs, weight, bias)
    return functional.linear(inputs, weight, bias)


class Linear(nn.Linear):
    """`torch.nn.Linear` by `linear`."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Map inputs (..., I) to (..., O)."""
        return linear(inputs, self.weight, self.bias)


def _multiply(left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
    """`left right^T + bias` for left (..., K), right (C, K) and bias (C,)."""
    return torch.ops.mkldnn._linear_pointwise(left, right, bias, "none", [], "")


class _Linear(torch.autograd.Function):
    """`linear` and its gradient."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """See `linear`."""
        # Of columns of a larger matrix, oneDNN's product takes a thousand times as long.
        inputs, weight = inputs.contiguous(), weight.contiguous()
        ctx.save_for_backward(inputs, weight)
        return _multiply(inputs, weight, bias)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Gradients of inputs, weight and bias."""
        inputs, weight = ctx.saved_tensors
        for_inputs, for_weight, for_bias = ctx.needs_input_grad
        above = upstream[0].contiguous()
        rows, columns, gradient = above.flatten(0, -2), inputs.flatten(0, -2), None
        if for_weight and rows.shape[1] <= columns.shape[1]:
            gradient = _multiply(rows.mT, columns.mT)
        elif for_weight:  # the fewer rows a result has, the faster it comes
            gradient = _multiply(columns.mT, rows.mT).mT
        return (
            _multiply(above, weight.mT) if for_inputs else None,
            gradient,
            rows.sum(0) if for_bias else None,
        )
