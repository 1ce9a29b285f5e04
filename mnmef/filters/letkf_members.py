"""Local analyses in the space of members, for components with more observations in reach than there are members."""

import torch
from torch import Tensor

from mnmef.filters.linalg import eigenpairs_of

BLOCK = 2**22
"""Numbers of local matrices in one pass on a CPU."""


def member_updates(s: Tensor, anomalies: Tensor, innovation: Tensor, taper: Tensor) -> tuple[Tensor, Tensor]:
    """Compute all local analyses: shift of the mean (..., Nx) and new anomalies (..., N, Nx).

    With M_i = S diag(rho_i) S' = U c U', the anomalies of component i become `U (1 + c)^-1/2 U' A_i`.

    Parameters
    ----------
    s : Tensor (..., N, d)
        Observed anomalies in units of sigma_y sqrt(N - 1).
    anomalies : Tensor (..., N, Nx)
    innovation : Tensor (..., d)
        In units of sigma_y sqrt(N - 1).
    taper : Tensor (Nx, d)
        rho, zero for observations left out.
    """
    lead, (members, size) = anomalies.shape[:-2], anomalies.shape[-2:]
    s, anomalies, innovation = (x.reshape(-1, *x.shape[len(lead) :]) for x in (s, anomalies, innovation))
    shift, moved = torch.empty_like(anomalies[:, 0]), torch.empty_like(anomalies)
    taper = taper.to(s)
    block = max(1, BLOCK // (members**2 * max(size, s.shape[-1]))) if s.device.type == "cpu" else len(s)
    for begin in range(0, len(s), block):
        part = slice(begin, begin + block)
        here, columns = s[part], anomalies[part].mT.unsqueeze(-1)  # (b, N, d), (b, Nx, N, 1)
        pairs = (here.unsqueeze(-2) * here.unsqueeze(-3)).flatten(1, 2)  # (b, N N, d)
        local = (pairs @ taper.T).mT.unflatten(-1, (members, members))
        values, vectors = eigenpairs_of(local)
        seen = vectors.mT @ columns
        pull = (innovation[part].unsqueeze(-2) * taper) @ here.mT  # (b, Nx, N)
        inverse = 1.0 / (1.0 + values.unsqueeze(-1))
        shift[part] = (pull.unsqueeze(-2) @ (vectors @ (inverse * seen))).flatten(1)
        moved[part] = (vectors @ (inverse.sqrt() * seen)).squeeze(-1).mT
    return shift.view(*lead, size), moved.view(*lead, members, size)
