"""What turns gradients into steps: AdamW, or Muon for the matrices of a network and AdamW for the rest."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

SMALLEST = 16
"""Rows and columns from which on Muon treats a weight as a matrix; the few of a head or a bias are left to AdamW."""


class MuonAdamW:
    """Muon (Jordan et al. 2024) for weights that are matrices, AdamW for all others, at one learning rate.

    Muon replaces the momentum of a matrix by the nearest orthogonal matrix, so that all directions of a layer advance
    alike, not only those with the largest gradients. Its steps are scaled to the root-mean-square of AdamW's (Liu et
    al. 2025), so that the same learning rate serves both. A convolution's weight (O, C, K) counts as a matrix
    (O, C K).
    """

    def __init__(self, parameters: Sequence[nn.Parameter], learning_rate: float, weight_decay: float) -> None:
        self.parameters = parameters
        self.matrices = [p for p in parameters if p.ndim > 1 and min(p.flatten(1).shape) >= SMALLEST]
        # Muon takes nothing but matrices: these share their memory with the weights.
        self.views = [nn.Parameter(p.detach().flatten(1)) for p in self.matrices]
        known = {id(p) for p in self.matrices}
        rest = [p for p in parameters if id(p) not in known]
        self.parts: list[torch.optim.Optimizer] = []
        if self.views:
            muon = torch.optim.Muon(
                self.views, lr=learning_rate, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"
            )
            self.parts.append(muon)
        if rest:
            self.parts.append(torch.optim.AdamW(rest, lr=learning_rate, weight_decay=weight_decay, fused=True))

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Groups of parameters with their learning rates, as in `torch.optim`."""
        return [group for part in self.parts for group in part.param_groups]

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def step(self) -> None:
        """One step of each part; a weight without a gradient stays as it is."""
        for view, parameter in zip(self.views, self.matrices, strict=True):
            view.grad = None if parameter.grad is None else parameter.grad.flatten(1)
        for part in self.parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        """Everything that `load_state_dict` needs."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` returned."""
        for part, own in zip(self.parts, state["parts"], strict=True):
            part.load_state_dict(own)


def _adamw(parameters: Sequence[nn.Parameter], learning_rate: float, weight_decay: float) -> torch.optim.AdamW:
    tensors: list[Tensor] = list(parameters)
    return torch.optim.AdamW(tensors, lr=learning_rate, weight_decay=weight_decay, fused=True)


OPTIMIZERS: dict[str, Callable[[Sequence[nn.Parameter], float, float], Any]] = {"adamw": _adamw, "muon": MuonAdamW}
"""By name; each takes parameters, learning rate and weight decay."""
