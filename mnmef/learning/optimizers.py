"""Optimizers: AdamW, or Muon for the matrices of a network and AdamW for the rest."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

SMALLEST = 16
"""Rows and columns from which on Muon treats a weight as a matrix; smaller ones and biases are left to AdamW."""

MOMENTUM = 0.95
"""Factor of Nesterov's momentum."""

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of the quintic iteration of Jordan et al. (2024): steep at zero, singular values end in 0.7 to 1.2."""

LONG = 3
"""Length over width from which on iterating on the small products of a matrix is cheaper."""


def orthogonalize(matrices: Tensor, iterations: int = 5) -> Tensor:
    """Bring the singular values of matrices close to one, by Newton-Schulz iterations (Jordan et al. 2024).

    An iteration multiplies X from the left by a polynomial Q of X X', so that X X' becomes Q X X' Q. Where X is much
    longer than wide only these small matrices are iterated, and X is multiplied once, by the product of all Q.

    Parameters
    ----------
    matrices : Tensor (G, m, n)
    iterations : int

    Returns
    -------
    Tensor (G, m, n)
    """
    x = matrices if matrices.shape[-2] <= matrices.shape[-1] else matrices.mT
    x = x / torch.linalg.matrix_norm(x, keepdim=True).clamp(min=1e-7)
    x = _by_small_products(x, iterations) if x.shape[-1] >= LONG * x.shape[-2] else _by_products(x, iterations)
    return x if matrices.shape[-2] <= matrices.shape[-1] else x.mT


def _by_products(x: Tensor, iterations: int) -> Tensor:
    a, b, c = NEWTON_SCHULZ
    for _ in range(iterations):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x


def _by_small_products(x: Tensor, iterations: int) -> Tensor:
    a, b, c = NEWTON_SCHULZ
    gram = x @ x.mT
    product = torch.eye(x.shape[-2], dtype=x.dtype, device=x.device).expand_as(gram)
    for _ in range(iterations):
        q = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        q.diagonal(dim1=-2, dim2=-1).add_(a)
        product, gram = q @ product, q @ gram @ q
    return product @ x


class Muon(torch.optim.Optimizer):
    """Muon (Jordan et al. 2024) with Nesterov momentum and decoupled weight decay, in single precision.

    The momentum of a matrix is replaced by the nearest orthogonal matrix, so that all directions of a layer advance
    alike, not only those with the largest gradients. Steps are scaled to the root-mean-square of AdamW's (Liu et al.
    2025), so that the same learning rate serves both. Takes matrices of any number of dimensions from two on: a
    convolution's weight (O, C, K) counts as (O, C K).
    It does what `torch.optim.Muon` does, which takes one matrix after the other in bfloat16; on a CPU, those of a
    network of this size take less than half the time if matrices of one shape are stacked.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], learning_rate: float, weight_decay: float) -> None:
        super().__init__(parameters, {"lr": learning_rate, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step; a weight without a gradient stays as it is."""
        for group in self.param_groups:
            alike: dict[tuple[int, ...], list[nn.Parameter]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    alike.setdefault(tuple(parameter.flatten(1).shape), []).append(parameter)
            for shape, parameters in alike.items():
                update = orthogonalize(torch.stack([self._momentum(p) for p in parameters]))
                rate = group["lr"] * 0.2 * max(shape) ** 0.5
                for parameter, change in zip(parameters, update.unbind(), strict=True):
                    parameter.mul_(1.0 - group["lr"] * group["weight_decay"])
                    parameter.sub_(change.reshape(parameter.shape), alpha=rate)

    def _momentum(self, parameter: nn.Parameter) -> Tensor:
        """Nesterov momentum of a weight after its gradient has been added, as a matrix."""
        gradient, state = parameter.grad, self.state[parameter]
        assert gradient is not None
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        average = state["momentum_buffer"].lerp_(gradient, 1.0 - MOMENTUM)
        return torch.lerp(gradient, average, MOMENTUM).flatten(1)


def adamw(parameters: Sequence[nn.Parameter], learning_rate: float, weight_decay: float) -> list[torch.optim.Optimizer]:
    """AdamW for all weights."""
    return [torch.optim.AdamW(list(parameters), lr=learning_rate, weight_decay=weight_decay, fused=True)]


def muon(parameters: Sequence[nn.Parameter], learning_rate: float, weight_decay: float) -> list[torch.optim.Optimizer]:
    """Muon for weights that are matrices, AdamW for all others, at one learning rate."""
    parts: dict[bool, list[nn.Parameter]] = {True: [], False: []}
    for parameter in parameters:
        parts[parameter.ndim > 1 and min(parameter.flatten(1).shape) >= SMALLEST].append(parameter)
    matrices = [Muon(parts[True], learning_rate, weight_decay)] if parts[True] else []
    return matrices + (adamw(parts[False], learning_rate, weight_decay) if parts[False] else [])


OPTIMIZERS = {"adamw": adamw, "muon": muon}
"""By name; each takes parameters, learning rate and weight decay, and returns optimizers that step one by one."""
