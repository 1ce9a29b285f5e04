"""Local ensemble transform Kalman filter (Hunt et al. 2007), all local analyses at once."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from mnmef.experiments.experiment import Experiment
from mnmef.filters.base import Draws, Filter, ensemble_mean, whiten
from mnmef.filters.letkf_members import member_updates
from mnmef.filters.linalg import has_more_observations
from mnmef.filters.localization import domain_taper
from mnmef.filters.tridiagonal import transform_local

LOCAL_BLOCK = 2**17
"""Entries of local matrices in one pass on a CPU, so that they stay in its cache."""


@dataclass(frozen=True)
class Patches:
    """The p observations in reach of each component.

    sites (p, Nx): their indices. roots (p, Nx): square roots of their tapers, zero where fewer are in reach.
    """

    sites: Tensor
    roots: Tensor

    @classmethod
    def of(cls, taper: np.ndarray) -> "Patches":
        """Make patches from a taper (Nx, d) that is zero for observations left out; p is that of the fullest patch."""
        width = max(1, int((taper > 0).sum(1).max()))
        sites = np.sort(np.argsort(-taper, axis=1, kind="stable")[:, :width], axis=1)
        roots = np.sqrt(np.take_along_axis(taper, sites, 1))
        return cls(torch.from_numpy(sites.T.copy()), torch.from_numpy(roots.T.copy()))

    def to(self, like: Tensor) -> "Patches":
        """Return the patches on the device of `like`, roots in its precision."""
        return Patches(self.sites.to(like.device), self.roots.to(like))


class LETKF(Filter):
    """Square-root analysis of each component from the observations near it, as DAPPER's `LETKF` with single-point
    batches.

    The local analysis of component i sees S_i = S diag(sqrt(rho_i)). It is needed on one vector only, the component's
    own anomalies A_i, and `(I + S_i S_i')^-1/2 A_i = A_i - S_i g(C_i) S_i'A_i` with C_i = S_i'S_i. Both C_i and S_i'A_i
    are tapered pieces of two global products, S'S (d x d) and S'A (d x Nx), so that only these and the final S V cost
    more as N grows. Where many more observations than members are in reach, the space of members is used. A component
    out of reach of all observations keeps its forecast, apart from inflation.

    Parameters
    ----------
    experiment : Experiment
        Source of the distances.
    sigma_y : float
        Standard deviation of the observation noise, state units.
    inflation : Tensor or float
        Factor on the analysis anomalies, broadcastable to (..., 1, 1).
    radius : float or ndarray (S,)
        Localization radius in grid points, or one for each setting.
    """

    name: ClassVar[str] = "letkf"

    def __init__(
        self, experiment: Experiment, sigma_y: float, inflation: Tensor | float = 1.0, radius: np.ndarray | float = 1.0
    ) -> None:
        self.made_for, self.sigma_y, self.inflation = experiment, sigma_y, inflation
        radii = np.atleast_1d(np.asarray(radius, dtype=float))
        self.is_scalar, self.settings = np.ndim(radius) == 0, len(radii)
        # Settings of the same radius share patches.
        self.groups = [
            (torch.from_numpy(np.flatnonzero(radii == r)), *reach_of(domain_taper(experiment, r)))
            for r in np.unique(radii)
        ]

    def analyze(self, forecast: Tensor, observation: Tensor, experiment: Experiment, noise: Draws = None) -> Tensor:
        """Map a forecast ensemble to the analysis ensemble (see `Filter.analyze`).

        Raises
        ------
        ValueError
            With S radii, for a forecast whose first dimension is not S.
        """
        if not self.is_scalar and len(forecast) != self.settings:
            count = self.settings
            raise ValueError(f"{count} radii need ensembles ({count}, T, N, Nx), not {tuple(forecast.shape)}")
        scale = self.sigma_y * (forecast.shape[-2] - 1) ** 0.5
        mean = ensemble_mean(forecast)
        anomalies = forecast - mean
        s, innovation = whiten(observation, experiment).departures(forecast, (mean, anomalies))
        s, innovation = s / scale, (innovation / scale).squeeze(-2).expand(*forecast.shape[:-2], -1)
        if self.is_scalar:
            shift, anomalies = updates(s, anomalies, innovation, *self.groups[0][1:])
        else:
            shift = torch.empty_like(mean.squeeze(-2))
            for settings, patches, taper in self.groups:
                part = settings.to(forecast.device)
                shift[part], anomalies[part] = updates(s[part], anomalies[part], innovation[part], patches, taper)
        factor = self.inflation.to(forecast) if isinstance(self.inflation, Tensor) else self.inflation
        return anomalies.mul_(factor).add_(mean).add_(shift.unsqueeze(-2))


def reach_of(taper: np.ndarray) -> tuple[Patches, Tensor]:
    """Return the patches of a taper (Nx, d), and the taper."""
    return Patches.of(taper), torch.from_numpy(taper)


def updates(s: Tensor, anomalies: Tensor, innovation: Tensor, patches: Patches, taper: Tensor) -> tuple[Tensor, Tensor]:
    """Compute shift of the mean (..., Nx) and new anomalies (..., N, Nx) in the smaller of the spaces of members and
    of observations in reach.
    """
    if has_more_observations(len(patches.sites), s.shape[-2]):
        return member_updates(s, anomalies, innovation, taper)
    cross, gram = s.mT @ anomalies, s.mT @ s  # (..., d, Nx), (..., d, d)
    shift, reduction = local_updates(gram, cross, innovation, patches)
    return shift, anomalies - s @ reduction


def local_updates(gram: Tensor, cross: Tensor, innovation: Tensor, patches: Patches) -> tuple[Tensor, Tensor]:
    """Compute all local analyses: shift of the mean (..., Nx), and V (..., d, Nx) in `A <- A - S V`.

    gram S'S (..., d, d), cross S'A (..., d, Nx), innovation (..., d) in units of sigma_y sqrt(N - 1).
    """
    lead = cross.shape[:-2]
    gram, cross = (t.reshape(-1, *t.shape[-2:]) for t in (gram, cross))
    innovation = innovation.reshape(-1, innovation.shape[-1])
    shift, reduction = torch.empty_like(cross[:, 0]), torch.empty_like(cross)
    patches = patches.to(gram)
    width, components = patches.sites.shape
    block = max(1, LOCAL_BLOCK // (width**2 * components)) if gram.device.type == "cpu" else len(gram)
    for begin in range(0, len(gram), block):
        part = slice(begin, begin + block)
        shift[part], reduction[part] = _block_updates(gram[part], cross[part], innovation[part], patches)
    return shift.view(*lead, -1), reduction.view(*lead, *reduction.shape[1:])


def _block_updates(gram: Tensor, cross: Tensor, innovation: Tensor, patches: Patches) -> tuple[Tensor, Tensor]:
    """Compute `local_updates` for B problems, with their axis last, so that gathering copies contiguous rows."""
    sites, roots = patches.sites, patches.roots.unsqueeze(-1)  # (p, Nx), (p, Nx, 1)
    (width, components), (count, size, _) = sites.shape, cross.shape
    pairs = (sites.unsqueeze(1) * size + sites).flatten()
    entries = (sites * components + torch.arange(components, device=sites.device)).flatten()

    def gather(source: Tensor, rows: Tensor, *shape: int) -> Tensor:
        return source.flatten(1).T.contiguous().index_select(0, rows).view(*shape, components, count)

    local = gather(gram, pairs, width, width).mul_(roots.unsqueeze(1) * roots)
    u = gather(cross, entries, width).mul_(roots)  # S_i'A_i
    dy = gather(innovation, sites.flatten(), width).mul_(roots)
    deficit, shift = transform_local(local.flatten(-2), u.flatten(-2), dy.flatten(-2))
    rows = deficit.view(width, components, count).mul_(roots).view(-1, count)
    reduction = cross.new_zeros(size * components, count).index_copy_(0, entries, rows)
    return shift.view(components, count).T, reduction.T.unflatten(1, (size, components))
