"""The filter with convolutions on grids of any length: the same analysis at a cost linear in the number of points.

`mnmef.filters.mnmef_conv` forms its gain from matrices Nx x d and d x d. Localization weights beyond the reach are
zero, so that the second matrix is a cyclic band, and a row of the first has one entry for each observation in reach.
Here nothing else is stored, and the band is solved with pivoting: the increment is that of the dense formula to
rounding. The network sees the grid segment by segment, so that its layers stay in the cache. Each segment has a margin
as wide as the field of view, so that corrections are those of the whole grid.
"""

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
        # The observations that grid points between site i and the next may see: those of the sites i + shift.
        widest = reach // self.spacing + 1
        self.shifts = range(-widest, widest + 1)
        self.band = min(reach // self.spacing, experiment.observation_size // 2)
        offset = torch.arange(self.spacing) - self.spacing * torch.tensor(self.shifts).unsqueeze(1)
        # On a short circle two shifts may lead to the same observation; it counts once.
        is_first = (2 * offset > -size) & (2 * offset <= size)
        distance = offset.abs().clamp(max=reach + 1).masked_fill(~is_first, reach + 1)
        self.register_buffer("state_index", distance, persistent=False)
        self.register_buffer("observed_index", self.spacing * torch.arange(self.band + 1), persistent=False)

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
        solution = self.solve(h_anomaly, innovation, weights[:, self.observed_index])
        return self.spread_out(v_anomaly, h_anomaly, solution, weights[:, self.state_index])

    def solve(self, h_anomaly: Tensor, innovation: Tensor, weights: Tensor) -> Tensor:
        """Compute `(Y'Y o L_hh + (N - 1) sigma_y^2 I)^-1 innovation_n` (B, N, d); zero where the matrix is singular.

        h_anomaly, innovation (B, N, d); weights (B, band + 1): L_hh of neighbors 0, 1, ..., band sites apart.
        """
        products = [(h_anomaly * h_anomaly.roll(-k, -1)).sum(-2) for k in range(self.band + 1)]
        diagonals = torch.stack(products, 1) * weights.unsqueeze(-1)  # (B, band + 1, d)
        diagonals[:, 0] += (h_anomaly.shape[-2] - 1) * self.sigma_y**2
        solutions = [
            solve_cyclic_band(a, b)
            for a, b in zip(diagonals.detach().cpu().numpy(), innovation.detach().cpu().numpy(), strict=True)
        ]
        return torch.from_numpy(np.stack(solutions)).to(innovation)

    def spread_out(self, v_anomaly: Tensor, h_anomaly: Tensor, solution: Tensor, weights: Tensor) -> Tensor:
        """Compute `(V'Y o L_vh) solution_n` (B, N, Nx).

        v_anomaly (B, N, Nx); h_anomaly, solution (B, N, d); weights (B, shifts, spacing) of observations `shift` sites
        away from the site before a grid point.
        """
        v = v_anomaly.unflatten(-1, (-1, self.spacing))  # (B, N, d, spacing)
        increment = torch.zeros_like(v)
        for index, shift in enumerate(self.shifts):
            cross = (v * h_anomaly.roll(-shift, -1).unsqueeze(-1)).sum(1)  # (B, d, spacing)
            cross *= weights[:, index].unsqueeze(1)
            increment.addcmul_(cross.unsqueeze(1), solution.roll(-shift, -1).unsqueeze(-1))
        return increment.flatten(-2)


def spacing_of(experiment: Experiment) -> int:
    """Return the distance of observations in grid points; `ValueError` unless it is regular from point 0 on."""
    spacing, rest = divmod(experiment.state_size, experiment.observation_size)
    if rest or experiment.observed != tuple(range(0, experiment.state_size, spacing)):
        raise ValueError(f"{experiment.title} is not observed at regular distances, which local gains need")
    return spacing


def solve_cyclic_band(diagonals: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solve with a symmetric matrix (d, d) whose entries vanish beyond a cyclic distance, by a sparse LU with pivoting:
    the matrix need not be definite.

    diagonals (band + 1, d): entries (i, i + k), indices cyclic, in row k and column i. Return solutions (m, d) for
    right-hand sides (m, d), or zeros where the matrix is singular or not finite.
    """
    band, size = len(diagonals) - 1, right.shape[-1]
    rows = np.broadcast_to(np.arange(size), diagonals.shape)
    columns = (rows + np.arange(band + 1)[:, None]) % size
    matrix = csc_array((diagonals.ravel(), (rows.ravel(), columns.ravel())), shape=(size, size))
    # Entries at the opposite site are their own mirror images.
    mirrored = slice(1, (size + 1) // 2)
    lower = (diagonals[mirrored].ravel(), (columns[mirrored].ravel(), rows[mirrored].ravel()))
    if not np.isfinite(diagonals).all():
        return np.zeros_like(right)
    try:
        solution = splu(matrix + csc_array(lower, shape=(size, size))).solve(right.T).T
    except RuntimeError:
        return np.zeros_like(right)
    return solution if np.isfinite(solution).all() else np.zeros_like(right)
