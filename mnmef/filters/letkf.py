"""The local ensemble transform Kalman filter (Hunt et al. 2007), all local analyses at once."""

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from mnmef.filters.base import Filter, ensemble_mean, inflate
from mnmef.filters.linalg import precision, symmetric_functions, transform_deficit
from mnmef.filters.localization import domain_taper
from mnmef.systems.base import System


class LETKF(Filter):
    """Square-root analysis of each component from the observations near it, as DAPPER's `LETKF` with single-point batches.

    The local analysis of component i sees S_i = S diag(sqrt(rho_i)). It is needed on one vector only, the component's own anomalies A_i,
    and `(I + S_i S_i')^-1/2 A_i = A_i - S_i g(C_i) S_i'A_i` with C_i = S_i'S_i. Both C_i and S_i'A_i are tapered pieces
    of two global products, S'S (d x d) and S'A (d x Nx), so that nothing but these and the final S V costs more as N grows.
    A component out of reach of all observations keeps its forecast, apart from inflation.
    """

    name: ClassVar[str] = "letkf"

    def __init__(
        self, system: System, sigma_y: float, inflation: Tensor | float = 1.0, radius: Tensor | float = 1.0
    ) -> None:
        self.sigma_y, self.inflation = sigma_y, inflation
        radii = np.atleast_1d(np.asarray(radius, dtype=float))
        self.is_scalar = np.ndim(radius) == 0
        # Settings of the same radius share patches: of every component, the observations within reach and their root tapers.
        self.groups = [
            (torch.from_numpy(np.flatnonzero(radii == r)), *_patches(domain_taper(system, r))) for r in np.unique(radii)
        ]

    def analyze(self, forecast: Tensor, observation: Tensor, system: System, noise: Tensor | None = None) -> Tensor:
        """Map forecast (..., N, Nx) and observation (..., d) to the analysis ensemble (..., N, Nx).

        With S radii, the first dimension of the forecast is that of the settings.
        """
        members = forecast.shape[-2]
        mean = ensemble_mean(forecast)
        anomalies = forecast - mean
        s = system.observe(anomalies) / (self.sigma_y * (members - 1) ** 0.5)
        innovation = (observation.unsqueeze(-2) - system.observe(mean)) / (self.sigma_y * (members - 1) ** 0.5)
        cross, gram = s.mT @ anomalies, s.mT @ s  # (..., d, Nx), (..., d, d)
        if self.is_scalar:
            shift, reduction = _local_updates(gram, cross, innovation, *self.groups[0][1:])
        else:
            shift, reduction = torch.empty_like(mean), torch.empty_like(cross)
            innovation = innovation.expand(*forecast.shape[:-2], 1, -1)
            for settings, sites, roots in self.groups:
                part = settings.to(forecast.device)
                shift[part], reduction[part] = _local_updates(gram[part], cross[part], innovation[part], sites, roots)
        return inflate(mean + shift + anomalies - s @ reduction, self.inflation)


def _patches(taper: np.ndarray) -> tuple[Tensor, Tensor]:
    """Sites (Nx, p) and square roots of the taper (Nx, p) of the p observations nearest to each component, p as large as needed."""
    size = max(1, int((taper > 0).sum(1).max()))
    sites = np.sort(np.argsort(-taper, axis=1, kind="stable")[:, :size], axis=1)
    return torch.from_numpy(sites), torch.from_numpy(np.sqrt(np.take_along_axis(taper, sites, 1)))


def _local_updates(gram: Tensor, cross: Tensor, innovation: Tensor, sites: Tensor, roots: Tensor) -> tuple[Tensor, Tensor]:
    """Shift of the mean (..., 1, Nx) and reduction V (..., d, Nx) of the anomalies, `A <- A - S V`, from all local analyses.

    gram S'S (..., d, d), cross S'A (..., d, Nx), innovation (..., 1, d) in units of sigma_y sqrt(N - 1).
    """
    sites, roots = sites.to(gram.device), roots.to(gram)
    size, width = gram.shape[-1], sites.shape[1]
    pairs = (sites.unsqueeze(-1) * size + sites.unsqueeze(-2)).flatten()  # entries (k, l) of gram in the patch of i
    local_gram = gram.flatten(-2).index_select(-1, pairs).unflatten(-1, (-1, width, width))
    local_gram = local_gram * (roots.unsqueeze(-1) * roots.unsqueeze(-2))
    index = sites.expand(*cross.shape[:-2], -1, -1)
    u = cross.mT.gather(-1, index) * roots  # S_i'A_i (..., Nx, p)
    dy = innovation.squeeze(-2)[..., sites.flatten()].unflatten(-1, (-1, width)) * roots
    deficit, inverse = symmetric_functions(local_gram, transform_deficit, precision)
    shift = (dy * (inverse @ u.unsqueeze(-1)).squeeze(-1)).sum(-1).unsqueeze(-2)
    local = (deficit @ u.unsqueeze(-1)).squeeze(-1) * roots
    return shift, torch.zeros_like(cross.mT).scatter(-1, index, local).mT
