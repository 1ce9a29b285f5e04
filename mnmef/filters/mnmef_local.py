"""A learned filter of local analyses: LETKF's gain, corrected by convolutions over the statistics of the ensemble.

Each component has an analysis of its own, from the observations in reach, as in LETKF (Hunt et al. 2007). Its row of
the gain is corrected by a network that sees fields over the grid, a periodic line or square: mean, innovation,
increment, spread and the rows of the gain themselves. The update is deterministic: anomalies get half the gain, as in
the DEnKF (Sakov and Oke 2008), or LETKF's square root. Where a cycle is long, an observation may be assimilated several
times (ES-MDA, Emerick and Reynolds 2013): first at the start of the cycle, as a smoother, then after a new forecast.
Cost is linear in the number of grid points, and the weights depend neither on it nor on the number of members.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from mnmef.experiments.experiment import Experiment
from mnmef.filters.base import Filter, as_batch, in_units_of_noise
from mnmef.filters.local_gain import GainFunction, RowsFunction, SquareRootFunction
from mnmef.filters.windows import Window

MEMBERS = 10
"""Number of members at which the first taper and inflation are those of the options."""

FIELDS = 8
"""Inputs at each site besides its row of the gain: mean, innovation, observed or not, increment, spread, members,
observed spread and noise level."""

SMALLEST_SPREAD = 1e-3
"""Floor of the spread where fields are divided by it, in units of sigma_y."""


@dataclass(frozen=True)
class LocalOptions:
    """Sizes of the network, and the localized filter that it starts as.

    Parameters
    ----------
    channels : int
        Channels of each layer.
    layers : int
        Number of convolutions.
    kernel : int
        Width of a convolution in grid points, odd; on a square in both directions.
    reach : int
        Largest distance, in grid points along each direction, from an observation to a component that it changes.
    radius : float
        Length of the first taper `exp(-(distance / radius)^2 / 2)`, grid points, at `MEMBERS` members.
    growth : float
        Power of N with which this length grows at first.
    first_inflation : float
        First factor on the analysis anomalies, at `MEMBERS` members.
    near : int
        Largest distance, in grid points along each direction, between components whose anomalies are mixed.
    every : int
        Distance, in grid points along each direction, between the points where observations may lie, the first point
        included; with more than one the network knows where between them a point is.
    passes : int
        Number of times that each observation is assimilated, each with so many times the noise variance. All but the
        last correct the ensemble at the start of the cycle and repeat its forecast.
    square_root : bool
        Whether anomalies of the last pass get LETKF's symmetric square root in place of half the gain.
    """

    channels: int = 48
    layers: int = 3
    kernel: int = 5
    reach: int = 10
    radius: float = 5.0
    growth: float = 0.25
    first_inflation: float = 1.02
    near: int = 3
    every: int = 1
    passes: int = 1
    square_root: bool = False

    def __post_init__(self) -> None:
        for name in ("channels", "layers", "kernel", "every", "passes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} of mnmef_local must be at least 1, not {getattr(self, name)}")
        if self.kernel % 2 == 0:
            raise ValueError(f"the kernel of mnmef_local must be odd, not {self.kernel}")
        if not 0 <= self.near <= self.reach:
            raise ValueError(f"near of mnmef_local must be from 0 to its reach, {self.reach}, not {self.near}")


class MnmefLocal(nn.Module, Filter):
    """Local ensemble Kalman filter whose gain and anomalies are corrected by convolutions.

    In units of sigma_y, with mean m, anomalies a_n and innovation d = y - h(m), component i has the gain
    K_i of the observations in reach, each weighed by a learned taper of its distance. The network gives at each
    component factors f and terms g for its row of the gain, a shift u of the mean and a map c of the anomalies near:
    `m <- m + (K (1 + f) + k g) d + s u` and `a_n <- e (a_n - K (1 + f') y_n / 2 + c a_n)` with spread s,
    k = s^2 / (1 + s^2) and a learned inflation e. Taper and inflation depend on log N. With `square_root`, LETKF's
    new anomalies stand for `a_n - K y_n / 2`.

    Untrained, f, f', g, u and c are zero: it is the localized deterministic filter of `LocalOptions`.

    Parameters
    ----------
    experiment : Experiment
        Periodic, for the observed components and the bound.
    sigma_y : float
        Standard deviation of the observation noise, state units.
    options : LocalOptions, optional
        Sizes of the network.

    Raises
    ------
    ValueError
        Without a periodic grid, with one shorter than a window of observations, and for observations at other points
        than every `options.every`-th.
    """

    name: ClassVar[str] = "mnmef_local"
    serves_any_noise: ClassVar[bool] = True
    place: Tensor
    between: Tensor

    def __init__(self, experiment: Experiment, sigma_y: float, options: LocalOptions | None = None) -> None:
        super().__init__()
        self.options = options = options or LocalOptions()
        self.sites = self._window_of_sites(experiment)
        self.near, self.seen = Window(self.sites.shape, options.near), Window(self.sites.shape, options.kernel // 2)
        self.experiment = self.made_for = experiment
        self.sigma_y = sigma_y
        inputs = [FIELDS + self.sites.size] + [options.channels] * (options.layers - 1)
        convolution = nn.Conv1d if len(self.sites.shape) == 1 else nn.Conv2d
        self.layers = nn.Sequential(*(convolution(size, options.channels, options.kernel) for size in inputs))
        self.outputs = (*(self.sites.size,) * 3, 1, self.near.size)
        self.corrections = nn.Linear(options.channels, sum(self.outputs))
        nn.init.zeros_(self.corrections.weight)
        nn.init.zeros_(self.corrections.bias)
        if options.every > 1:
            self.places = nn.Parameter(torch.zeros(options.every ** len(self.sites.shape), options.channels))
        distances = torch.from_numpy(self.sites.distances()).float()
        distance = torch.arange(math.ceil(float(distances.max())) + 1.0)
        # Logits of the taper are interpolated between whole distances.
        between = (1.0 - (distances.unsqueeze(-1) - distance).abs()).clamp(min=0.0)
        self.register_buffer("between", between, persistent=False)
        self.register_buffer("place", torch.from_numpy(self.sites.places()), persistent=False)
        # Exact at MEMBERS and at four times as many.
        lengths = options.radius, options.radius * 4.0**options.growth
        few, many = (torch.exp(-0.5 * (distance / r) ** 2).clamp(1e-3, 1 - 1e-3).logit() for r in lengths)
        self.taper = nn.Parameter(torch.stack((few, (many - few) / math.log(4.0))))
        if options.passes > 1:
            self.early_taper = nn.Parameter(self.taper.detach().clone())
            self.early_factors = nn.Parameter(torch.ones(2))
        inflation = math.log(options.first_inflation)
        self.inflation = nn.Parameter(torch.tensor([inflation, -options.growth * inflation]))

    def _window_of_sites(self, experiment: Experiment) -> Window:
        """Return the window of the points where observations may lie; `ValueError` for an experiment without one."""
        reach, every, title = self.options.reach, self.options.every, experiment.title
        if not experiment.grid:
            raise ValueError(f"mnmef_local needs a periodic grid, which {title} does not have")
        window = Window(experiment.grid_shape, reach, every)
        points = window.shape[0]
        if points % every or (window.places()[experiment.observation_index().numpy()] != 0).any():
            raise ValueError(
                f"every of mnmef_local must divide the {points} grid points and the distances of observations of "
                f"{title}, not {every}"
            )
        if not window.fits:
            raise ValueError(
                f"the reach of mnmef_local must be below half the {points} grid points of {title}, not {reach}"
            )
        return window

    @torch.no_grad()
    def begin_with(self, other: "MnmefLocal") -> None:
        """Take the weights of another filter, whose reach may be shorter.

        Beyond it the gain is not corrected at first, and the taper goes on as an untrained one does.

        Raises
        ------
        ValueError
            For a longer reach, and for another one than on a line where observations may lie at all points.
        """
        reach, more = other.options.reach, self.options.reach - other.options.reach
        if more < 0:
            raise ValueError(
                f"the reach of mnmef_local may grow from one training to the next, not shrink from {reach}"
            )
        if not more:
            self.load_state_dict({**self.state_dict(), **other.state_dict()})
            return
        if len(self.sites.shape) > 1 or self.options.every > 1:
            raise ValueError(f"the reach of mnmef_local may grow on a line with every = 1 alone: leave it at {reach}")
        weights, first, ends = other.state_dict(), "layers.0.weight", (more, more)
        fields, rows = weights[first].split((FIELDS, 2 * reach + 1), 1)
        weights[first] = torch.cat((fields, functional.pad(rows, (0, 0, *ends))), 1)
        for name in ("corrections.weight", "corrections.bias"):
            *rows, shift, mixing = weights[name].split(other.outputs)
            rows = [functional.pad(part, (0, 0) * (part.ndim - 1) + ends) for part in rows]
            weights[name] = torch.cat((*rows, shift, mixing))
        known, first_taper = weights["taper"], self.taper
        beyond = first_taper[:, reach + 1 :] + (known - first_taper[:, : reach + 1])[:, -1:]
        weights["taper"] = torch.cat((known, beyond), 1)
        self.load_state_dict(weights)

    def analyze(
        self, forecast: Tensor, observation: Tensor, experiment: Experiment, noise: Tensor | None = None
    ) -> Tensor:
        """Map a forecast ensemble to the analysis ensemble (see `mnmef.filters.base.Filter.analyze`).

        An observation that is NaN is missing. With several passes this is the last one, after `refine`.
        """
        mean, anomaly, innovation, h_anomaly, mask, sigma_y = self._in_units(forecast, observation, experiment)
        level = sigma_y.squeeze(-1) * 5.0 / experiment.bound
        mean, anomaly = self.local_analyses(mean, anomaly, innovation, h_anomaly, mask, level)
        analysis = (sigma_y * (mean.unsqueeze(-1) + anomaly)).movedim(0, -1)
        return analysis.clamp(-experiment.bound, experiment.bound).reshape(forecast.shape)

    def refine(self, start: Tensor, forecast: Tensor, observation: Tensor, experiment: Experiment) -> Tensor:
        """Return the forecast from a start that the observation has corrected, `options.passes` - 1 times.

        Components of the start have rows of the gain as those of the analysis have, with a taper of their own and a
        learned factor, and anomalies half the gain.
        """
        for _ in range(self.options.passes - 1):
            *_, innovation, h_anomaly, _, sigma_y = self._in_units(forecast, observation, experiment)
            ensemble = start.reshape(-1, *start.shape[-2:]).movedim(-1, 0) / sigma_y
            anomaly = ensemble - ensemble.mean(-1, keepdim=True)
            root = self.root_of_taper(math.log(anomaly.shape[-1] / MEMBERS), self.early_taper)
            gain = GainFunction.apply(h_anomaly, anomaly, root, self.sites)
            by_mean, by_anomaly = self.early_factors
            shift = by_mean * (gain * self.sites.gather(innovation)).sum(-1, keepdim=True)
            change = shift - 0.5 * by_anomaly * RowsFunction.apply(gain, h_anomaly, self.sites)
            change = (sigma_y * change.movedim(0, -1)).reshape(start.shape)
            start = (start + change).clamp(-experiment.bound, experiment.bound)
            forecast = experiment.propagate(start)
        return forecast

    def _in_units(self, forecast: Tensor, observation: Tensor, experiment: Experiment) -> tuple[Tensor, ...]:
        """Return mean (D, B) and anomalies (D, B, N) of a forecast, innovation (D, B), observed anomalies (D, B, N) and
        mask (D, B), all in units of the noise of one assimilation, and this unit (1, 1) or (B, 1).
        """
        v, y = as_batch(forecast, observation)
        sigma_y, seen = math.sqrt(self.options.passes) * self.noise_like(v), y.isfinite().mT
        y, h = in_units_of_noise(y, v, experiment)
        # A place comes first: (D, B, N) for members, (D, B) for observations.
        v, h = (part.movedim(-1, 0) / sigma_y for part in (v, h))
        y = y.mT / sigma_y.squeeze(-1)
        places = experiment.observation_index(v.device)
        mean, h_mean = v.mean(-1), h.mean(-1)
        shape = v.shape[:-1]
        innovation = mean.new_zeros(shape).index_copy(0, places, torch.where(seen, y - h_mean, 0.0))
        mask = mean.new_zeros(shape).index_copy(0, places, seen.to(mean))
        h_anomaly = torch.zeros_like(v).index_copy(0, places, (h - h_mean.unsqueeze(-1)) * seen.unsqueeze(-1))
        return mean, v - mean.unsqueeze(-1), innovation, h_anomaly, mask, sigma_y

    def local_analyses(
        self, mean: Tensor, anomaly: Tensor, innovation: Tensor, h_anomaly: Tensor, mask: Tensor, level: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Compute mean (D, B) and anomalies (D, B, N) of the analysis, all in units of sigma_y.

        innovation (D, B), observed anomalies (D, B, N) and mask (D, B) are zero where nothing is observed; level (B,)
        or (1,) is sigma_y in units of a fifth of the bound.
        """
        log_size = math.log(anomaly.shape[-1] / MEMBERS)
        root = self.root_of_taper(log_size, self.taper)
        if self.options.square_root:
            gain, kept = SquareRootFunction.apply(h_anomaly, anomaly, root, self.sites)
        else:
            gain, kept = GainFunction.apply(h_anomaly, anomaly, root, self.sites), anomaly
        innovations = self.sites.gather(innovation)
        variance = anomaly.square().sum(-1) / (anomaly.shape[-1] - 1)
        spread, share = (variance + SMALLEST_SPREAD**2).sqrt(), variance / (1 + variance)
        shift = (gain * innovations).sum(-1)
        observed_spread = (h_anomaly.square().sum(-1) / (anomaly.shape[-1] - 1) + SMALLEST_SPREAD**2).sqrt()
        shared = level * mean, innovation, mask, shift / spread, spread.log(), torch.full_like(mean, log_size)
        fields = torch.stack((*shared, observed_spread.log() * mask, level.log().expand_as(mean)), -1)
        row = gain / (share.unsqueeze(-1) + SMALLEST_SPREAD**2)
        f, g, other, u, c = self.network(torch.cat((fields, row), -1)).split(self.outputs, -1)
        shift = ((gain * (1 + f) + share.unsqueeze(-1) * g) * innovations).sum(-1) + spread * u.squeeze(-1)
        other = other if self.options.square_root else 1 + other
        narrowed = kept - 0.5 * RowsFunction.apply(gain * other, h_anomaly, self.sites)
        anomaly = narrowed + RowsFunction.apply(c, anomaly, self.near)
        return mean + shift, (self.inflation[0] + self.inflation[1] * log_size).exp() * anomaly

    def root_of_taper(self, log_size: float, taper: Tensor) -> Tensor:
        """Return roots of the taper (D, 1, p), or (p,) where all points see observations at the same distances."""
        root = torch.sigmoid(self.between @ (taper[0] + taper[1] * log_size)).sqrt()
        return root[self.place].unsqueeze(1) if self.options.every > 1 else root[0]

    def network(self, fields: Tensor) -> Tensor:
        """Map fields (D, B, C) to corrections (D, B, O)."""
        for i, layer in enumerate(self.layers):
            assert isinstance(layer, nn.Conv1d | nn.Conv2d)
            seen = self.seen.gather(fields).flatten(2)
            hidden = functional.linear(seen, layer.weight.flatten(2).mT.flatten(1), layer.bias)
            if i == 0 and self.options.every > 1:
                hidden = hidden + self.places[self.place].unsqueeze(1)
            hidden = functional.gelu(hidden)
            fields = hidden + fields if fields.shape == hidden.shape else hidden
        return self.corrections(fields)
