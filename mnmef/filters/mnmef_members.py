"""A learned filter for systems of few variables without a grid: networks over the members move each of them.

The network sees every member beside mean, covariance and innovation, and pools what it makes of them over members, so
that any number N in any order will do (Zaheer et al. 2017, "Deep Sets"). It corrects the deterministic filter with half
the gain (Sakov and Oke 2008) by a shift of the mean, a map of the anomalies, and a move of each member, which makes the
update one that is not Gaussian.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from mnmef.experiments.experiment import Experiment
from mnmef.filters.base import Draws, Filter, as_batch, in_units_of_noise

MEMBERS = 10
"""Number of members whose logarithm is zero for the network."""

SMALLEST_SPREAD = 1e-3
"""Floor of the spread where anomalies are divided by it, in units of a fifth of the bound."""

CHANGE = 0.3
"""Factor on the network's map of the anomalies and its moves of members, so that a first step is a small one."""


@dataclass(frozen=True)
class MembersOptions:
    """Sizes of the networks.

    Parameters
    ----------
    width : int
        Units of each layer.
    first_inflation : float
        First factor on the analysis anomalies.
    """

    width: int = 96
    first_inflation: float = 1.02

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError(f"width of mnmef_members must be at least 1, not {self.width}")


class OfMembers(nn.Module):
    """A layer for members (B, N, P) that have features (B, Q) in common: `silu(A members + B common + c)`.

    The product with what they have in common is computed once for all of them.
    """

    def __init__(self, own: int, common: int, width: int) -> None:
        super().__init__()
        self.own, self.common = nn.Linear(own, width, bias=False), nn.Linear(common, width)

    def forward(self, own: Tensor, common: Tensor) -> Tensor:
        """Return (B, N, width)."""
        return functional.silu(self.own(own) + self.common(common).unsqueeze(-2))


class MnmefMembers(nn.Module, Filter):
    """Ensemble Kalman filter whose mean, anomalies and members are corrected by networks over the members.

    With mean m, anomalies a_n, spread s by component, gain K, observed anomalies y_n and innovation d:
    `m <- m + K d + s u` and `a_n <- e (a_n - K y_n / 2 + C (a_n - K y_n / 2) + s w_n)`. Networks give the shift u, the
    map C and the moves w_n, of mean zero; e is a learned inflation that depends on log N.

    Untrained, u, C and w_n are zero: it is the deterministic filter with half the gain.

    Parameters
    ----------
    experiment : Experiment
        For the sizes and the bound.
    sigma_y : float
        Standard deviation of the observation noise, state units.
    options : MembersOptions, optional
        Sizes of the networks.
    """

    name: ClassVar[str] = "mnmef_members"
    serves_any_noise: ClassVar[bool] = True

    def __init__(self, experiment: Experiment, sigma_y: float, options: MembersOptions | None = None) -> None:
        super().__init__()
        self.experiment = self.made_for = experiment
        self.sigma_y, self.options = sigma_y, options or MembersOptions()
        size, seen, width = experiment.state_size, experiment.observation_size, self.options.width
        # Of the ensemble: mean, spread, correlations, increment; innovation, mask, observed spread; N and sigma_y.
        shared = 3 * size + size * (size - 1) // 2 + 3 * seen + 2
        self.members = OfMembers(2 * size + 2 * seen, shared, width)
        self.encoder = nn.Sequential(nn.Linear(width, width), nn.SiLU())
        self.ensemble = nn.Sequential(
            nn.Linear(2 * width + shared, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU()
        )
        self.corrections = nn.Linear(width, size + size * size)
        self.members_again = OfMembers(width, width, width)
        self.moves = nn.Linear(width, size)
        for last in (self.corrections, self.moves):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
        self.inflation = nn.Parameter(torch.tensor([self.options.first_inflation, 1.0]).log())

    def analyze(self, forecast: Tensor, observation: Tensor, experiment: Experiment, noise: Draws = None) -> Tensor:
        """Map a forecast ensemble to the analysis ensemble (see `mnmef.filters.base.Filter.analyze`).

        An observation that is NaN is missing.
        """
        v, y = as_batch(forecast, observation)
        unit, sigma_y = experiment.bound / 5.0, self.noise_like(v)
        seen = y.isfinite()
        y, h = in_units_of_noise(y, v, experiment)
        h = h / sigma_y.unsqueeze(-1)
        center = h.mean(-2)
        innovation = torch.where(seen, y / sigma_y - center, 0.0)
        h_anomaly = (h - center.unsqueeze(-2)) * seen.unsqueeze(-2)
        mean, anomaly = self._analysis(v / unit, h_anomaly, innovation, seen.to(v), (sigma_y / unit).log())
        analysis = unit * (mean.unsqueeze(-2) + anomaly)
        return analysis.clamp(-experiment.bound, experiment.bound).reshape(forecast.shape)

    def _analysis(
        self, v: Tensor, h_anomaly: Tensor, innovation: Tensor, seen: Tensor, log_level: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Compute mean (B, Nx) and anomalies (B, N, Nx) of the analysis from members v (B, N, Nx), in units of a fifth
        of the bound, and observed anomalies (B, N, d) and innovation (B, d) in units of sigma_y.
        """
        members, size = v.shape[-2:]
        mean = v.mean(-2)
        anomaly = v - mean.unsqueeze(-2)
        covariance = anomaly.mT @ anomaly / (members - 1)
        spread = (covariance.diagonal(dim1=-2, dim2=-1) + SMALLEST_SPREAD**2).sqrt()
        scaled = anomaly / spread.unsqueeze(-2)
        observed = h_anomaly.mT @ h_anomaly / (members - 1)
        inner = observed + torch.eye(observed.shape[-1], dtype=v.dtype, device=v.device)
        gain = torch.linalg.solve(inner, h_anomaly.mT @ anomaly / (members - 1)).mT
        increment = (gain @ innovation.unsqueeze(-1)).squeeze(-1)
        upper = torch.triu_indices(size, size, 1, device=v.device)
        correlations = (covariance / (spread.unsqueeze(-1) * spread.unsqueeze(-2)))[:, upper[0], upper[1]]
        observed_spread = observed.diagonal(dim1=-2, dim2=-1).add(SMALLEST_SPREAD**2).sqrt().log()
        log_size = math.log(members / MEMBERS)
        of_ensemble = torch.cat((mean, spread.log() / 2, correlations, increment / spread), -1)
        of_observation = torch.cat((innovation, seen, observed_spread / 2), -1)
        numbers = torch.cat((torch.full_like(log_level, log_size), log_level), -1).expand(len(v), -1)
        shared = torch.cat((of_ensemble, of_observation, numbers), -1)

        each = innovation.unsqueeze(-2) - h_anomaly
        own = torch.cat((scaled, v, h_anomaly, each), -1)
        encoded = self.encoder(self.members(own, shared))
        hidden = self.ensemble(torch.cat((encoded.mean(-2), encoded.square().mean(-2), shared), -1))
        shift, mixing = self.corrections(hidden).split((size, size * size), -1)
        moves = self.moves(self.members_again(encoded, hidden))
        moves = spread.unsqueeze(-2) * (moves - moves.mean(-2, keepdim=True))
        kept = anomaly - 0.5 * h_anomaly @ gain.mT
        # In units of the spread of each component, the map does not depend on how the components are scaled.
        mixed = (kept / spread.unsqueeze(-2)) @ mixing.unflatten(-1, (size, size)).mT * spread.unsqueeze(-2)
        inflation = (self.inflation[0] + self.inflation[1] * log_size).exp()
        return mean + increment + spread * shift, inflation * (kept + CHANGE * (mixed + moves))
