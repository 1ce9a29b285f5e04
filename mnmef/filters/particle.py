"""Bootstrap particle filter with regularization: exact but for sampling, as far as particles suffice."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from mnmef.core.seeds import torch_generator
from mnmef.experiments.experiment import Experiment
from mnmef.filters.base import CycleResult, Draws, Filter, unobserved, whiten
from mnmef.filters.options import Options

DEGENERATE = 1e-10
"""Distance of one weight from 1 within which the covariance is that of particles without weights, as in DAPPER."""


class ParticleFilter(Filter):
    """Sequential importance resampling, as DAPPER's `PartFilt` with systematic resampling.

    Weights and particles are carried from cycle to cycle. Once the effective sample size is small, particles are drawn
    again, and those drawn more than once are moved by Gaussian noise. The analysis is a sample of equal weights, drawn
    before that noise.

    Parameters
    ----------
    sigma_y : float
        Standard deviation of the observation noise, state units.
    options : Options
        Its jitter, resampling and seed.
    """

    name: ClassVar[str] = "particle"

    def __init__(self, sigma_y: float, options: Options) -> None:
        self.sigma_y, self.options = sigma_y, options
        self.generator = torch_generator(options.seed, "particle")

    def start(self, ensemble: Tensor) -> tuple[Tensor, Tensor]:
        """Return particles (..., N, Nx) and the logarithms of their weights (..., N, 1)."""
        return ensemble, torch.zeros_like(ensemble[..., :1])

    def cycle(self, carry: Any, observation: Tensor, experiment: Experiment, noise: Draws = None) -> CycleResult:
        """Weigh the forecasts by their likelihood, and draw again where needed (see `Filter.cycle`)."""
        particles, logarithms = experiment.propagate(carry[0]), carry[1]
        seen = whiten(observation, experiment)
        misfit = (seen.value.unsqueeze(-2) - seen.observe(particles)) / self.sigma_y
        logarithms = logarithms - misfit.square().sum(-1, keepdim=True) / 2
        logarithms = logarithms - logarithms.logsumexp(-2, keepdim=True)
        weights = logarithms.exp()
        lead, members = particles.shape[:-2], particles.shape[-2]
        first = torch.rand(lead, generator=self.generator, dtype=torch.float64).to(weights)
        chosen = systematic(weights.squeeze(-1), first)
        analysis = particles.gather(-2, chosen.unsqueeze(-1).expand(particles.shape))
        root = spread_root(particles, weights)
        draws = torch.randn((*lead, members, root.shape[-2]), generator=self.generator, dtype=torch.float64)
        width = self.options.jitter * members ** (-1.0 / (particles.shape[-1] + 4))
        moved = regularized(analysis, chosen, width * root, draws.to(analysis))
        again = 1.0 / weights.square().sum(-2, keepdim=True) <= members * self.options.resampling
        unseen = unobserved(observation)
        again = again if unseen is None else again & ~unseen
        carry = torch.where(again, moved, particles), torch.where(again, 0.0, logarithms)
        return CycleResult(particles, analysis, carry)


def systematic(weights: Tensor, first: Tensor) -> Tensor:
    """Draw N indices (..., N) by weights (..., N), at equal distances from a uniform number `first` (...) on."""
    members = weights.shape[-1]
    places = (first.unsqueeze(-1) + torch.arange(members).to(weights)) / members
    return torch.searchsorted(weights.cumsum(-1), places).clamp_(max=members - 1)


def spread_root(particles: Tensor, weights: Tensor) -> Tensor:
    """Return a root R of the covariance R'R of particles (..., N, Nx) of weights (..., N, 1): upper triangular
    (..., Nx, Nx), the Cholesky factor where there is one, or weighted anomalies (..., N, Nx) for N <= Nx.
    """
    collapsed = weights.amax(-2, keepdim=True) > 1.0 - DEGENERATE
    weights = torch.where(collapsed, 1.0 / weights.shape[-2], weights)
    anomalies = particles - (weights.mT @ particles)
    unbiased = 1.0 / (1.0 - weights.square().sum(-2, keepdim=True))
    root = (unbiased * weights).sqrt() * anomalies
    if particles.shape[-2] <= particles.shape[-1]:
        return root
    # Cholesky's algorithm would stop at a component without spread.
    triangle = torch.linalg.qr(root, mode="r")[1]
    return torch.where(triangle.diagonal(dim1=-2, dim2=-1).unsqueeze(-1) < 0.0, -triangle, triangle)


def regularized(drawn: Tensor, chosen: Tensor, root: Tensor, draws: Tensor) -> Tensor:
    """Move particles (..., N, Nx) that were drawn more than once, as the ascending indices (..., N) tell."""
    twice = (chosen == chosen.roll(1, -1)) | (chosen == chosen.roll(-1, -1))
    return torch.where(twice.unsqueeze(-1), drawn + draws @ root, drawn)
