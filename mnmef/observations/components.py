"""Observation of some components of the state, as they are."""

from functools import cached_property

import torch
from torch import Tensor


class Components:
    """Observation operator H that picks components.

    Parameters
    ----------
    observed : tuple of int
        Indices (d,) of the observed components, in ascending order.
    state_size : int
        Number of components Nx of the state.

    Raises
    ------
    ValueError
        If there is no component, one twice, or one that the state does not have.
    """

    def __init__(self, observed: tuple[int, ...], state_size: int) -> None:
        if not observed or list(observed) != sorted(set(observed)) or observed[0] < 0 or observed[-1] >= state_size:
            raise ValueError(
                f"observed components must be ascending indices below {state_size}, none twice, not {list(observed)}"
            )
        self.observed = observed

    @property
    def size(self) -> int:
        """Number of observed components, d."""
        return len(self.observed)

    def observe(self, state: Tensor) -> Tensor:
        """Return the observed components (..., d) of `state` (..., Nx); a view where they are evenly spaced."""
        return state[..., self._places or self.index(state.device)]

    def index(self, device: torch.device | str = "cpu") -> Tensor:
        """Return the indices (d,) of the observed components."""
        return torch.tensor(self.observed, device=device)

    @cached_property
    def _places(self) -> slice | None:
        """Slice of the observed components, if they are evenly spaced."""
        first, *others = self.observed
        step = others[0] - first if others else 1
        last = self.observed[-1]
        return slice(first, last + 1, step) if self.observed == tuple(range(first, last + 1, step)) else None
