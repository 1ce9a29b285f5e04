"""The filter with convolutions on grids of any length: the same analysis at a cost linear in the number of points.

`mnmef.filters.mnmef_conv` forms its gain from matrices Nx x d and d x d. Beyond its reach the localization weights are
zero, so that the second one is a cyclic band and the first has as many entries in a row as there are observations in
reach. Here nothing else is stored, and the band is solved with pivoting, which gives the increment of the dense formula
to rounding: no approximation by patches. The network sees the grid segment by segment, so that its layers stay in the
cache; with a margin as wide as its field of view, this is the network on the whole grid.
"""

import numpy as np
import torch
from scipy.linalg import get_lapack_funcs
from torch import Tensor, nn
from torch.nn import functional

from mnmef.filters.base import ensemble_mean, observation_perturbations
from mnmef.filters.mnmef_conv import MnmefConv, deviation
from mnmef.systems.base import System

SEGMENT = 512
"""Sites of the network that are worked on at a time."""


class MnmefConvLocal(MnmefConv):
    """The network of a trained `MnmefConv` on a longer grid with the same distance between observations.

    trained: its weights, which are shared and not copied. system: the same dynamics on a periodic grid of any length,
    observed at regular distances from grid point 0 on.
    Raises `ValueError` for another pattern of observations than that of the training.
    """

    def __init__(self, trained: MnmefConv, system: System) -> None:
        nn.Module.__init__(self)
        self.system, self.sigma_y, self.options = system, trained.sigma_y, trained.options
        self.layers, self.corrections = trained.layers, trained.corrections
        self.summarize, self.weigh = trained.summarize, trained.weigh
        self.spacing = spacing_of(system)
        if self.spacing != spacing_of(trained.system):
            raise ValueError(
                f"the filter was trained with every {spacing_of(trained.system)}th grid point observed, "
                f"not every {self.spacing}th"
            )
        size, reach = system.state_size, self.options.reach
        # The observations that grid points between site i and the next may see: those of the sites i + shift.
        widest = reach // self.spacing + 1
        self.shifts = range(-widest, widest + 1)
        self.band = min(reach // self.spacing, system.observation_size // 2)
        offset = torch.arange(self.spacing) - self.spacing * torch.tensor(self.shifts).unsqueeze(1)
        # On a short circle two shifts may lead to the same observation; it counts once.
        is_first = (2 * offset > -size) & (2 * offset <= size)
        distance = offset.abs().clamp(max=reach + 1).masked_fill(~is_first, reach + 1)
        self.register_buffer("state_index", distance, persistent=False)
        self.register_buffer("observed_index", self.spacing * torch.arange(self.band + 1), persistent=False)
        self.solver = CyclicBand(system.observation_size, self.band)

    def analyze(self, forecast: Tensor, observation: Tensor, system: System, noise: Tensor | None = None) -> Tensor:
        """Map forecast (..., N, Nx), observation (..., d) and noise (..., N, d) to the analysis ensemble (..., N, Nx),
        as `MnmefConv.analyze` does.
        """
        if noise is None:
            raise ValueError("mnmef_conv perturbs observations: pass standard normal noise (..., N, d)")
        lead, members = forecast.shape[:-2], forecast.shape[-2]
        v = forecast.reshape(-1, members, system.state_size)
        y = observation.expand(*lead, -1).reshape(-1, 1, system.observation_size)
        r = observation_perturbations(noise, self.sigma_y).expand(*lead, -1, -1).reshape(len(v), members, -1)
        h = v[..., :: self.spacing]
        (w, z, u), summary = self.network(self.sites(self.fields(v, y - h)))
        weights = functional.pad(2.0 * torch.sigmoid(self.weigh(functional.gelu(self.summarize(summary)))), (0, 1))
        state_weights, band_weights = weights[:, self.state_index], weights[:, self.observed_index]
        v_anomaly = v - ensemble_mean(v) + w
        h_anomaly = h - ensemble_mean(h) + z[..., :: self.spacing]
        solution = self.solve(h_anomaly, y - h - r, band_weights)
        increment = self.spread_out(v_anomaly, h_anomaly, solution, state_weights)
        analysis = v + increment + (u if self.options.inflation else 0.0)
        return analysis.clamp(-system.clamp, system.clamp).reshape(forecast.shape)

    def network(self, fields: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
        """Corrections w, z and u (B, N, Nx), and mean and deviation over members, averaged over space, of the last
        layer (B, 2 channels), for fields (S, B, N, C).
        """
        sites, batch = fields.shape[:2]
        margin = self.options.layers * (self.options.kernel // 2)
        if sites <= SEGMENT + 2 * margin:
            margin, length = 0, sites
        else:
            length = SEGMENT
        corrections, total = [], fields.new_zeros(batch, 2 * self.options.channels)
        for begin in range(0, sites, length):
            end = min(begin + length, sites)
            # Where the segment is cut, a layer pads with the other end: wrong, but only within the margin.
            around = torch.arange(begin - margin, end + margin, device=fields.device) % sites
            part = fields if length == sites else fields.index_select(0, around)
            hidden = self.layers(part)[margin : margin + end - begin]
            mean = hidden.mean(2)
            total += torch.cat((mean, deviation(hidden, mean)), -1).sum(0)
            corrections.append(self.correct(hidden))
        return tuple(torch.cat(parts, -1) for parts in zip(*corrections, strict=True)), total / sites

    def solve(self, h_anomaly: Tensor, innovation: Tensor, weights: Tensor) -> Tensor:
        """`(Y'Y o L_hh + (N - 1) sigma_y^2 I)^-1 innovation_n` (B, N, d); zero where the matrix is singular.

        h_anomaly, innovation (B, N, d); weights (B, band + 1): L_hh of neighbors 0, 1, ..., band sites apart.
        """
        products = [(h_anomaly * h_anomaly.roll(-k, -1)).sum(-2) for k in range(self.band + 1)]
        diagonals = torch.stack(products, 1) * weights.unsqueeze(-1)  # (B, band + 1, d)
        diagonals[:, 0] += (h_anomaly.shape[-2] - 1) * self.sigma_y**2
        solutions = [
            self.solver.solve(a, b)
            for a, b in zip(diagonals.detach().cpu().numpy(), innovation.detach().cpu().numpy(), strict=True)
        ]
        return torch.from_numpy(np.stack(solutions)).to(innovation)

    def spread_out(self, v_anomaly: Tensor, h_anomaly: Tensor, solution: Tensor, weights: Tensor) -> Tensor:
        """`(V'Y o L_vh) solution_n` (B, N, Nx) for v_anomaly (B, N, Nx), h_anomaly and solution (B, N, d) and the
        weights (B, shifts, spacing) of observations `shift` sites away from the site before a grid point.
        """
        v = v_anomaly.unflatten(-1, (-1, self.spacing))  # (B, N, d, spacing)
        increment = torch.zeros_like(v)
        for index, shift in enumerate(self.shifts):
            cross = (v * h_anomaly.roll(-shift, -1).unsqueeze(-1)).sum(1)  # (B, d, spacing)
            cross *= weights[:, index].unsqueeze(1)
            increment.addcmul_(cross.unsqueeze(1), solution.roll(-shift, -1).unsqueeze(-1))
        return increment.flatten(-2)


def spacing_of(system: System) -> int:
    """Grid points from one observation to the next; `ValueError` unless it is the same all around from point 0 on."""
    spacing, rest = divmod(system.state_size, system.observation_size)
    if rest or system.observed != tuple(range(0, system.state_size, spacing)):
        raise ValueError(f"{system.title} is not observed at regular distances, which local gains need")
    return spacing


class CyclicBand:
    """Symmetric matrices (d, d) whose entries vanish for cyclic distances beyond `band`, solved by LAPACK's banded LU.

    The circle is folded flat: sites in the order 0, d - 1, 1, d - 2, ... put neighbors at most two places apart, so
    that a cyclic band becomes a common one of twice the width. The matrices need not be definite: rows are pivoted.
    """

    def __init__(self, size: int, band: int) -> None:
        self.size, self.half = size, min(2 * band, size - 1)
        self.order = np.empty(size, dtype=np.int64)
        self.order[::2] = np.arange((size + 1) // 2)
        self.order[1::2] = size - 1 - np.arange(size // 2)
        place = np.empty_like(self.order)
        place[self.order] = np.arange(size)
        # Where each entry (i, i + k) and its mirror image go in LAPACK's storage by diagonals.
        rows, columns = place[np.arange(size)], np.stack([np.roll(place, -k) for k in range(band + 1)])
        self.upper = (2 * self.half + rows - columns, columns)
        self.lower = (2 * self.half + columns - rows, np.broadcast_to(rows, columns.shape))

    def solve(self, diagonals: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Solutions (m, d) for right-hand sides (m, d), or zeros where the matrix is singular or not finite.

        diagonals (band + 1, d): entries (i, i + k), indices cyclic, in row k and column i.
        """
        storage = np.zeros((3 * self.half + 1, self.size), dtype=diagonals.dtype)
        storage[self.upper] = diagonals
        storage[self.lower] = diagonals
        (gbsv,) = get_lapack_funcs(("gbsv",), (storage, right))
        _, _, folded, info = gbsv(self.half, self.half, storage, right.T[self.order], overwrite_ab=True)
        solution = np.empty_like(right)
        solution[:, self.order] = folded.T
        return solution if info == 0 and np.isfinite(solution).all() else np.zeros_like(right)
