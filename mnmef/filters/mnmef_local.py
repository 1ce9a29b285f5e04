"""A learned filter of local analyses: LETKF's gain, corrected by convolutions over the statistics of the ensemble.

Each component has an analysis of its own, from the observations in reach, as in LETKF (Hunt et al. 2007). Its row of
the gain is corrected by a network that sees fields over the grid: mean, innovation, increment, spread and the rows of
the gain themselves. The update is deterministic, as in the DEnKF (Sakov and Oke 2008): anomalies get half the gain.
Cost is linear in the number of grid points, and the weights depend neither on it nor on the number of members.
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from mnmef.experiments.experiment import Experiment
from mnmef.filters.base import Filter, as_batch, in_units_of_noise

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
        Width of a convolution in grid points, odd.
    reach : int
        Largest distance, in grid points, from an observation to a component that it changes.
    radius : float
        Length of the first taper `exp(-(distance / radius)^2 / 2)`, grid points, at `MEMBERS` members.
    growth : float
        Power of N with which this length grows at first, near `MEMBERS` members.
    first_inflation : float
        First factor on the analysis anomalies, at `MEMBERS` members.
    near : int
        Largest distance, in grid points, between components whose anomalies are mixed.
    """

    channels: int = 48
    layers: int = 3
    kernel: int = 5
    reach: int = 10
    radius: float = 5.0
    growth: float = 0.25
    first_inflation: float = 1.02
    near: int = 3

    def __post_init__(self) -> None:
        for name in ("channels", "layers", "kernel"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} of mnmef_local must be at least 1, not {getattr(self, name)}")
        if self.kernel % 2 == 0:
            raise ValueError(f"the kernel of mnmef_local must be odd, not {self.kernel}")
        if not 0 <= self.near <= self.reach:
            raise ValueError(f"near of mnmef_local must be from 0 to its reach, {self.reach}, not {self.near}")


def pad(fields: Tensor, reach: int) -> Tensor:
    """Pad fields (D, ...) of a circle on both ends with `reach` points of the other end."""
    return torch.cat((fields[len(fields) - reach :], fields, fields[:reach]))


def unpad(padded: Tensor, reach: int) -> Tensor:
    """Add the margins to the points that they are copies of: the transpose of `pad`."""
    fields = padded[reach : len(padded) - reach].clone()
    fields[:reach] += padded[len(padded) - reach :]
    fields[len(fields) - reach :] += padded[:reach]
    return fields


def views(padded: Tensor, reach: int) -> list[Tensor]:
    """Return what each point sees at distances -reach, ..., reach: 2 reach + 1 shifted views (D, ...)."""
    return [padded[k : len(padded) - 2 * reach + k] for k in range(2 * reach + 1)]


def windows(fields: Tensor, reach: int) -> Tensor:
    """Return what each point of a circle sees: fields (D, B, ...) as (D, B, 2 reach + 1, ...)."""
    return torch.stack(views(pad(fields, reach), reach), 2)


class RowsFunction(torch.autograd.Function):
    """Sum over a window of fields (D, B, N), weighed by rows (D, B, p), with its gradient.

    Written out, as is `GainFunction`, since no tensor (D, B, p, N) is needed then.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, fields: Tensor) -> Tensor:
        """Compute `sum_k rows[i, k] fields[i + k - reach]`."""
        reach = rows.shape[-1] // 2
        padded, total = pad(fields, reach), torch.zeros_like(fields)
        for row, view in zip(rows.split(1, -1), views(padded, reach), strict=True):
            total.addcmul_(row, view)
        ctx.save_for_backward(rows, padded)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the gradients of rows and fields."""
        rows, padded = ctx.saved_tensors
        reach, by_padded = rows.shape[-1] // 2, torch.zeros_like(padded)
        by_rows = [(gradient * view).sum(-1) for view in views(padded, reach)]
        for row, view in zip(rows.split(1, -1), views(by_padded, reach), strict=True):
            view.addcmul_(row, gradient)
        return torch.stack(by_rows, -1), unpad(by_padded, reach)


def factorize(seen: Tensor) -> Tensor:
    """Cholesky factor of `Y'Y + (N - 1) I` for Y (..., p, N) or, where that is smaller, of `Y Y' + (N - 1) I`."""
    observations, members = seen.shape[-2:]
    gram = seen.mT @ seen if members <= observations else seen @ seen.mT
    gram.diagonal(dim1=-2, dim2=-1).add_(members - 1)
    return torch.linalg.cholesky_ex(gram).L


def solve(seen: Tensor, factor: Tensor, right: Tensor) -> Tensor:
    """Compute `(Y'Y + (N - 1) I)^-1 b` for b (..., N) with the factor that `factorize` returns for Y (..., p, N)."""
    observations, members = seen.shape[-2:]
    if members <= observations:
        return torch.cholesky_solve(right.unsqueeze(-1), factor).squeeze(-1)
    inner = torch.cholesky_solve((seen * right.unsqueeze(-2)).sum(-1, keepdim=True), factor)
    return (right - (seen * inner).sum(-2)) / (members - 1)


class GainFunction(torch.autograd.Function):
    """Rows of LETKF's gain from the anomalies of the observations in each window, with their gradient."""

    @staticmethod
    def forward(ctx: Any, observed: Tensor, own: Tensor, root: Tensor) -> Tensor:
        """Compute `T Y (Y'Y + (N - 1) I)^-1 a` (D, B, p), in units of the observation noise.

        The rows of Y (p, N) are a window of observed (D, B, N), times root (p,) of the taper, T in the formula; own a
        (D, B, N).
        """
        seen = windows(observed, len(root) // 2) * root.unsqueeze(-1)
        factor = factorize(seen)
        weights = solve(seen, factor, own)
        row = (seen * weights.unsqueeze(-2)).sum(-1)
        ctx.save_for_backward(seen, factor, weights, row, root)
        return row * root

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compute the gradients of observed, own and root."""
        seen, factor, weights, row, root = ctx.saved_tensors
        by_row, reach = gradient * root, len(root) // 2
        by_own = solve(seen, factor, (by_row.unsqueeze(-1) * seen).sum(-2))
        # That of Y is (by_row - Y by_own) weights' - row by_own'.
        change = (seen * by_own.unsqueeze(-2)).sum(-1)
        by_row -= change
        by_root = (gradient * row + row / root * (by_row - change)).sum((0, 1))
        by_padded = seen.new_zeros(len(seen) + 2 * reach, *weights.shape[1:])
        parts = zip((by_row * root).split(1, -1), (row * root).split(1, -1), views(by_padded, reach), strict=True)
        for one, other, view in parts:
            view.addcmul_(one, weights).addcmul_(other, by_own, value=-1)
        return unpad(by_padded, reach), by_own, by_root


class MnmefLocal(nn.Module, Filter):
    """Local ensemble Kalman filter whose gain and anomalies are corrected by convolutions.

    In units of sigma_y, with mean m, anomalies a_n and innovation d = y - h(m), component i has the gain
    K_i of the observations in reach, each weighed by a learned taper of its distance. The network gives at each
    component factors f and terms g for its row of the gain, a shift u of the mean and a map c of the anomalies near:
    `m <- m + (K (1 + f) + k g) d + s u` and `a_n <- e (a_n - K (1 + f') y_n / 2 + c a_n)` with spread s,
    k = s^2 / (1 + s^2) and a learned inflation e. Taper and inflation depend on log N.

    Untrained, f, g, u and c are zero: it is the localized deterministic filter of `LocalOptions`.

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
        Without a periodic grid, or with one shorter than a window of observations.
    """

    name: ClassVar[str] = "mnmef_local"
    serves_any_noise: ClassVar[bool] = True

    def __init__(self, experiment: Experiment, sigma_y: float, options: LocalOptions | None = None) -> None:
        super().__init__()
        if not experiment.is_periodic:
            raise ValueError(f"mnmef_local needs a periodic grid, which {experiment.title} does not have")
        options = options or LocalOptions()
        if experiment.state_size <= 2 * options.reach:
            raise ValueError(
                f"the reach of mnmef_local must be below half the {experiment.state_size} grid points of "
                f"{experiment.title}, not {options.reach}"
            )
        self.experiment = self.made_for = experiment
        self.sigma_y, self.options = sigma_y, options
        width = 2 * options.reach + 1
        inputs = [FIELDS + width] + [options.channels] * (options.layers - 1)
        self.layers = nn.Sequential(*(nn.Conv1d(size, options.channels, options.kernel) for size in inputs))
        self.outputs = (width, width, width, 1, 2 * options.near + 1)
        self.corrections = nn.Linear(options.channels, sum(self.outputs))
        nn.init.zeros_(self.corrections.weight)
        nn.init.zeros_(self.corrections.bias)
        distance = torch.arange(options.reach + 1.0)
        taper = torch.exp(-0.5 * (distance / options.radius) ** 2).clamp(1e-3, 1 - 1e-3)
        self.taper = nn.Parameter(torch.stack((torch.logit(taper), options.growth * (distance / options.radius) ** 2)))
        inflation = math.log(options.first_inflation)
        self.inflation = nn.Parameter(torch.tensor([inflation, -options.growth * inflation]))

    def head_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that fine-tuning changes: all."""
        return list(self.parameters())

    @torch.no_grad()
    def begin_with(self, other: "MnmefLocal") -> None:
        """Take the weights of another filter, whose reach may be shorter.

        Beyond it the gain is not corrected at first, and the taper goes on as an untrained one does.

        Raises
        ------
        ValueError
            For a longer reach.
        """
        reach, more = other.options.reach, self.options.reach - other.options.reach
        if more < 0:
            raise ValueError(
                f"the reach of mnmef_local may grow from one training to the next, not shrink from {reach}"
            )
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

        An observation that is NaN is missing.
        """
        v, y = as_batch(forecast, observation)
        sigma_y, seen = self.noise_like(v), y.isfinite().mT
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
        level = sigma_y.squeeze(-1) * 5.0 / experiment.bound
        mean, anomaly = self.local_analyses(mean, v - mean.unsqueeze(-1), innovation, h_anomaly, mask, level)
        analysis = (sigma_y * (mean.unsqueeze(-1) + anomaly)).movedim(0, -1)
        return analysis.clamp(-experiment.bound, experiment.bound).reshape(forecast.shape)

    def local_analyses(
        self, mean: Tensor, anomaly: Tensor, innovation: Tensor, h_anomaly: Tensor, mask: Tensor, level: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Compute mean (D, B) and anomalies (D, B, N) of the analysis, all in units of sigma_y.

        innovation (D, B), observed anomalies (D, B, N) and mask (D, B) are zero where nothing is observed; level (B,)
        or (1,) is sigma_y in units of a fifth of the bound.
        """
        reach, log_size = self.options.reach, math.log(anomaly.shape[-1] / MEMBERS)
        half = torch.sigmoid(self.taper[0] + self.taper[1] * log_size).sqrt()
        root = torch.cat((half.flip(0), half[1:]))
        gain = GainFunction.apply(h_anomaly, anomaly, root)
        innovations = windows(innovation, reach)
        variance = anomaly.square().sum(-1) / (anomaly.shape[-1] - 1)
        spread, share = (variance + SMALLEST_SPREAD**2).sqrt(), variance / (1 + variance)
        shift = (gain * innovations).sum(-1)
        observed_spread = (h_anomaly.square().sum(-1) / (anomaly.shape[-1] - 1) + SMALLEST_SPREAD**2).sqrt()
        shared = level * mean, innovation, mask, shift / spread, spread.log(), torch.full_like(mean, log_size)
        fields = torch.stack((*shared, observed_spread.log() * mask, level.log().expand_as(mean)), -1)
        row = gain / (share.unsqueeze(-1) + SMALLEST_SPREAD**2)
        f, g, other, u, c = self.network(torch.cat((fields, row), -1)).split(self.outputs, -1)
        shift = ((gain * (1 + f) + share.unsqueeze(-1) * g) * innovations).sum(-1) + spread * u.squeeze(-1)
        anomaly = anomaly - 0.5 * RowsFunction.apply(gain * (1 + other), h_anomaly) + RowsFunction.apply(c, anomaly)
        return mean + shift, (self.inflation[0] + self.inflation[1] * log_size).exp() * anomaly

    def network(self, fields: Tensor) -> Tensor:
        """Map fields (D, B, C) to corrections (D, B, O)."""
        width = self.options.kernel // 2
        for layer in self.layers:
            assert isinstance(layer, nn.Conv1d)
            seen = windows(fields, width).flatten(2)
            hidden = functional.gelu(functional.linear(seen, layer.weight.mT.flatten(1), layer.bias))
            fields = hidden + fields if fields.shape == hidden.shape else hidden
        return self.corrections(fields)
