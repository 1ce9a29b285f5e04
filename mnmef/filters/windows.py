"""Windows of a periodic grid: what each point of a line or of a square sees of the sites around it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Window:
    """The sites in reach of each point of a periodic grid of one or two directions.

    Sites are every `every`-th point in each direction, the first one included. They cut the grid into cells, whose
    points share a window. Fields have the points as their first dimension, row by row: (D, ...).

    Parameters
    ----------
    shape : tuple of int
        Points in each direction.
    reach : int
        Largest distance, in grid points along each direction, from a point to the sites that it must see; some points
        of a cell see a site farther away as well.
    every : int
        Distance between sites in grid points; divides the points in each direction.
    """

    shape: tuple[int, ...]
    reach: int
    every: int = 1

    @cached_property
    def offsets(self) -> list[tuple[int, ...]]:
        """Places (p,) of the sites in the window, in cells from the point's own."""
        return list(product(range(-self._low, self._high + 1), repeat=len(self.shape)))

    @property
    def size(self) -> int:
        """Number of sites p in a window."""
        return len(self.offsets)

    @property
    def fits(self) -> bool:
        """True if no site is in a window twice."""
        return self._low + self._high < min(self.shape) // self.every

    @property
    def _low(self) -> int:
        return self.reach // self.every

    @property
    def _high(self) -> int:
        return (self.reach + self.every - 1) // self.every

    def distances(self) -> np.ndarray:
        """Return the distances (q, p), in grid points, from the points of a cell to the sites of their window."""
        points = np.array(list(product(range(self.every), repeat=len(self.shape))))
        return np.linalg.norm(points[:, None] - self.every * np.array(self.offsets), axis=-1)

    def places(self) -> np.ndarray:
        """Return the place in its cell (D,), from 0 to q - 1, of each point of the grid."""
        inside = np.indices(self.shape) % self.every
        return np.ravel_multi_index(tuple(inside), (self.every,) * len(self.shape)).ravel()

    def cells(self, fields: Tensor) -> Tensor:
        """Return a view of fields (D, ...) with two dimensions for each direction: the cell, and the place in it."""
        return fields.unflatten(0, [size for n in self.shape for size in (n // self.every, self.every)])

    def pad(self, fields: Tensor) -> Tensor:
        """Return the sites of fields (D, ...), padded at both ends of each direction by those of the other end."""
        padded = self.cells(fields)
        for i in range(len(self.shape)):
            padded = padded.select(i + 1, 0)
            ends = padded.narrow(i, padded.shape[i] - self._low, self._low), padded.narrow(i, 0, self._high)
            padded = torch.cat((ends[0], padded, ends[1]), i)
        return padded

    def unpad(self, padded: Tensor) -> Tensor:
        """Add the margins to the sites that they are copies of, into fields (D, ...): the transpose of `pad`."""
        low, high, rest = self._low, self._high, padded.shape[len(self.shape) :]
        for i in reversed(range(len(self.shape))):
            sites = padded.shape[i] - low - high
            inner = padded.narrow(i, low, sites).clone()
            inner.narrow(i, 0, high).add_(padded.narrow(i, low + sites, high))
            inner.narrow(i, sites - low, low).add_(padded.narrow(i, 0, low))
            padded = inner
        for i in reversed(range(len(self.shape) if self.every > 1 else 0)):
            # A site is the first point of its cell; at the others nothing is seen.
            others = padded.new_zeros(*padded.shape[: i + 1], self.every - 1, *padded.shape[i + 1 :])
            padded = torch.cat((padded.unsqueeze(i + 1), others), i + 1)
        return padded.reshape(-1, *rest)

    def views(self, padded: Tensor) -> list[Tensor]:
        """Return what each cell sees at each offset: p shifted views of padded sites, broadcastable to `cells`."""
        seen = []
        for offset in self.offsets:
            view = padded
            for i, (n, at) in enumerate(zip(self.shape, offset, strict=True)):
                view = view.narrow(2 * i, self._low + at, n // self.every).unsqueeze(2 * i + 1)
            seen.append(view)
        return seen

    def gather(self, fields: Tensor) -> Tensor:
        """Return what each point sees: fields (D, B, ...) as (D, B, p, ...)."""
        cells, rest = 2 * len(self.shape), fields.shape[1:]
        shape = self.cells(fields).shape[:cells]
        seen = [view.expand(*shape, *rest) for view in self.views(self.pad(fields))]
        return torch.stack(seen, cells + 1).flatten(0, cells - 1)

    def scatter(self, values: Tensor) -> Tensor:
        """Add up values (D, B, p, ...) at the sites they are of, as fields (D, B, ...): the transpose of `gather`."""
        total = torch.zeros_like(self.pad(values.select(2, 0)))
        places = tuple(range(1, 2 * len(self.shape), 2))
        for value, view in zip(values.unbind(2), self.views(total), strict=True):
            view.add_(self.cells(value).sum(places, keepdim=True))
        return self.unpad(total)

    def add_product(self, view: Tensor, factors: Sequence[Tensor], sign: int = 1) -> None:
        """Add a product of fields (D, ...), summed over the points of each cell, to one of the `views`."""
        one, other = map(self.cells, factors)
        if self.every == 1:
            view.addcmul_(one, other, value=sign)
        else:
            places = tuple(range(1, 2 * len(self.shape), 2))
            view.add_((one * other).sum(places, keepdim=True), alpha=sign)
