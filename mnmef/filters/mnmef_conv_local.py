"""The filter with convolutions on grids of any length: the same analysis at a cost linear in the number of points.

`mnmef.filters.mnmef_conv` forms its gain from matrices Nx x d and d x d. Localization weights beyond the reach are
zero, so that the second matrix is a cyclic band, and a row of the first has one entry for each observation in reach.
Here nothing else is stored, and a sparse solver takes the band: the increment is that of the dense formula to
rounding. The network sees the grid segment by segment, so that its layers stay in the cache. Each segment has a margin
as wide as the field of view, so that corrections are those of the whole grid.
"""

from contextlib import suppress

import numpy as np
import torch
from scipy.sparse import csc_array
from scipy.sparse.linalg import splu
from torch import Tensor, nn

from mnmef.experiments.experiment import Experiment
from mnmef.filters.mnmef_conv import MnmefConv, member_statistics

SEGMENT = 512
"""Sites of the network that are worked on at a time."""


class MnmefConvLocal(MnmefConv):
    """The network of a trained `MnmefConv` on a longer grid with the same distance between observations.

    Parameters
    ----------
    trained : MnmefConv
        Source of the weights, which are shared and not copied.
    experiment : Experiment
        The same dynamics on a periodic grid of any length, observed at regular distances from grid point 0 on.

    Raises
    ------
    ValueError
        For another pattern of observations than that of the training.
    """

    distance: Tensor
    near: Tensor

    def __init__(self, trained: MnmefConv, experiment: Experiment) -> None:
        nn.Module.__init__(self)
        self.experiment, self.sigma_y, self.options = experiment, trained.sigma_y, trained.options
        self.layers, self.corrections = trained.layers, trained.corrections
        self.summarize, self.weigh = trained.summarize, trained.weigh
        self.spacing = spacing_of(experiment)
        if self.spacing != spacing_of(trained.experiment):
            raise ValueError(
                f"the filter was trained with every {spacing_of(trained.experiment)}th grid point observed, "
                f"not every {self.spacing}th"
            )
        size, reach = experiment.state_size, self.options.reach
        offset = torch.arange(-reach, reach + 1)
        offset = offset[(2 * offset > -size) & (2 * offset <= size)]  # on a short circle, each grid point once
        near = self.spacing * torch.arange(experiment.observation_size) + offset.unsqueeze(-1)
        self.register_buffer("distance", offset.abs(), persistent=False)
        self.register_buffer("near", near % size, persistent=False)

    def network(self, fields: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
        """Map fields (S, B, N, C) to corrections and a summary as `MnmefConv.network`, segment by segment."""
        sites, batch = fields.shape[:2]
        margin = self.options.layers * (self.options.kernel // 2)
        margin, length = (0, sites) if sites <= SEGMENT + 2 * margin else (margin, SEGMENT)
        corrections, total = [], fields.new_zeros(batch, 2 * self.options.channels)
        for begin in range(0, sites, length):
            end = min(begin + length, sites)
            # Where the segment is cut, a layer pads with the other end: wrong, but only within the margin.
            around = torch.arange(begin - margin, end + margin, device=fields.device) % sites
            part = fields if length == sites else fields.index_select(0, around)
            hidden = self.layers(part)[margin : margin + end - begin]
            total += member_statistics(hidden).sum(0)
            corrections.append(self.correct(hidden))
        return tuple(torch.cat(parts, -1) for parts in zip(*corrections, strict=True)), total / sites

    def increment(self, v_anomaly: Tensor, h_anomaly: Tensor, innovation: Tensor, weights: Tensor) -> Tensor:
        """Compute `K innovation_n` (B, N, Nx) with localization weights (B, reach + 2) by distance."""
        weights = weights[:, self.distance].unsqueeze(-1)
        is_observed = self.distance % self.spacing == 0
        observed = self.near[is_observed] // self.spacing
        matrices = weights[:, is_observed] * _products(h_anomaly, h_anomaly, observed)
        matrices[:, self.distance[is_observed] == 0] += (h_anomaly.shape[-2] - 1) * self.sigma_y**2
        solution = solve_sparse(matrices, observed, innovation).unsqueeze(-2)
        cross = (weights * _products(v_anomaly, h_anomaly, self.near)).unsqueeze(1)
        parts = (cross * solution).flatten(-2)  # (B, N, offsets d)
        return torch.zeros_like(v_anomaly).scatter_add_(-1, self.near.flatten().expand_as(parts), parts)


def _products(anomaly: Tensor, h_anomaly: Tensor, near: Tensor) -> Tensor:
    """Sum over members of anomalies (B, N, M) at the points `near` (offsets, d) times those observed (B, N, d)."""
    return (anomaly[..., near] * h_anomaly.unsqueeze(-2)).sum(1)


def solve_sparse(values: Tensor, rows: Tensor, right: Tensor) -> Tensor:
    """Solve with matrices (d, d), which need not be definite, by a sparse LU with pivoting.

    values (B, m, d): entries of B matrices in the rows (m, d) of each column. Return solutions (B, N, d) for right-hand
    sides (B, N, d), or zeros where a matrix is singular or not finite.
    """
    solutions, size = torch.zeros(right.shape, dtype=right.dtype), right.shape[-1]
    places = rows.flatten().cpu().numpy(), np.broadcast_to(np.arange(size), rows.shape).ravel()
    matrices, sides = values.detach().flatten(1).cpu(), right.detach().mT.cpu()
    for solution, entries, side in zip(solutions, matrices, sides, strict=True):
        if entries.isfinite().all():
            with suppress(RuntimeError):  # of a singular matrix
                solver = splu(csc_array((entries.numpy(), places), shape=(size, size)))
                solution.copy_(torch.from_numpy(solver.solve(side.numpy())).mT)
    return solutions.where(solutions.isfinite().flatten(1).all(-1)[:, None, None], 0.0).to(right)


def spacing_of(experiment: Experiment) -> int:
    """Return the distance of observations in grid points; `ValueError` unless it is regular from point 0 on."""
    spacing, rest = divmod(experiment.state_size, experiment.observation_size)
    if rest or experiment.observed != tuple(range(0, experiment.state_size, spacing)):
        raise ValueError(f"{experiment.title} is not observed at regular distances, which local gains need")
    return spacing
