"""Functions of the user's in an observation: an operator, and what is available at a time."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mnmef.core.references import load_object, located


class BlackBoxFunction:
    """An observation operator in NumPy, in double precision on the CPU; no gradient flows through it.

    Parameters
    ----------
    function : callable
        From states (M, Nx) to their values (M, d).
    path, name : Path, str
        Its file and its name there, for error texts.
    """

    def __init__(self, function: Callable[[np.ndarray], np.ndarray], path: Path, name: str) -> None:
        self.function, self.path, self.label, self.size = function, path, f"{path}:{name}", 0

    def __call__(self, state: Tensor) -> Tensor:
        """Return values (..., d) of states (..., Nx), in their precision and on their device.

        Raises
        ------
        ValueError
            If the function returns no real numbers of the shape (M, d), another d than before, or changes its input.
        """
        rows = state.detach().reshape(-1, state.shape[-1]).to("cpu", torch.float64).numpy().copy()
        before = None if self.size else rows.copy()  # the first call is checked more closely
        values = called(lambda: self.function(rows), self.label, self.path)
        if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiub":
            kind = getattr(values, "dtype", type(values).__name__)
            raise ValueError(f"{self.label} returned {kind}; it must return a NumPy array of real numbers")
        if values.ndim != 2 or len(values) != len(rows) or not values.shape[1]:
            raise ValueError(
                f"{self.label} returned the shape {values.shape} for states {rows.shape}; right is ({len(rows)}, d), a "
                "row for each state"
            )
        if before is not None and not np.array_equal(rows, before, equal_nan=True):
            raise ValueError(f"{self.label} changed its input in place; it must return a new array")
        self.size = self.size or values.shape[1]
        if values.shape[1] != self.size:
            raise ValueError(
                f"{self.label} returned {values.shape[1]} values for each state, but {self.size} before; their number "
                "must stay the same: what is missing at a time is NaN, by the key available"
            )
        result = torch.from_numpy(np.array(values, dtype=np.float64, order="C"))
        return result.reshape(*state.shape[:-1], self.size).to(state)


def load_operator(path: Path, name: str) -> Callable[[Tensor], Tensor]:
    """Return the operator `name` of the file at `path`, for tensors.

    A class that derives from `torch.nn.Module` is made without arguments and called with tensors (..., Nx); all else
    that can be called is one in NumPy.
    """
    found = load_object(path, name, "observation.function", "function")
    if isinstance(found, type) and issubclass(found, torch.nn.Module):
        return called(lambda: found().requires_grad_(False), f"{path}:{name}", path)
    return BlackBoxFunction(found, path, name)


def load_available(path: Path, name: str, size: int) -> Callable[[int, np.random.Generator], np.ndarray]:
    """Return the function `name` of the file at `path`, from the index of a cycle and a generator to a mask (d,) of
    what is observed then; its results are checked.
    """
    function, label = load_object(path, name, "observation.available", "function"), f"{path}:{name}"

    def available(cycle: int, rng: np.random.Generator) -> np.ndarray:
        mask = called(lambda: function(cycle, rng), label, path)
        if not isinstance(mask, np.ndarray) or mask.shape != (size,) or mask.dtype != bool:
            found = f"{getattr(mask, 'dtype', type(mask).__name__)} of shape {np.shape(mask)}"
            raise ValueError(f"{label} returned {found}; right is a NumPy array of truth values of shape ({size},)")
        return mask

    return available


def called(call: Callable[[], Any], label: str, path: Path) -> Any:
    """Return what a call of the user's code returns; its errors with the line."""
    try:
        return call()
    except Exception as error:
        raise ValueError(f"{label}: {located(error, path)}") from error
