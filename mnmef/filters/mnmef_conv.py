"""A learned filter that treats all sites of a periodic grid alike: MNMEF with convolutions in place of dense layers.

The gain formula, its learned corrections, inflation and localization are those of `mnmef.filters.mnmef`. The ensemble
enters a stack of circular convolutions over space; members exchange mean and standard deviation after each layer.
The filter is equivariant to permutations of members and to shifts that map the observed sites onto themselves, and its
weights depend neither on the number of members nor on the length of the grid.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from mnmef.experiments.experiment import Experiment
from mnmef.filters.base import Draws, Filter, ensemble_mean, whiten
from mnmef.filters.mnmef import as_batch, kalman_increment

FIELDS = 6
"""Inputs at each site: member, anomaly, mean, spread, innovation (0 where nothing is observed), observed or not."""

EPSILON = 1e-6


@dataclass(frozen=True)
class ConvOptions:
    """Sizes of the network.

    Parameters
    ----------
    channels : int
        Channels of each layer.
    layers : int
        Number of convolutions.
    kernel : int
        Width of a convolution in sites, odd.
    patch : int
        Grid points of one site; divides the grid and the distance between observations.
    reach : int
        Largest distance, in grid points, from an observation to a component with a weight in the gain.
    inflation : bool
        Add the learned inflation.
    """

    channels: int = 64
    layers: int = 4
    kernel: int = 3
    patch: int = 2
    reach: int = 20
    inflation: bool = True

    def __post_init__(self) -> None:
        for name in ("channels", "layers", "kernel", "patch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} of mnmef_conv must be at least 1, not {getattr(self, name)}")
        if self.kernel % 2 == 0:
            raise ValueError(f"the kernel of mnmef_conv must be odd, not {self.kernel}")


def member_statistics(fields: Tensor) -> Tensor:
    """Compute mean and deviation (S, B, 2 C) over members of fields (S, B, N, C), with a gradient where members agree.

    In three passes, which on a CPU take a quarter of the time of `Tensor.std`.
    """
    mean = fields.mean(2)
    deviation = ((fields - mean.unsqueeze(2)).square().mean(2) + EPSILON).sqrt()
    return torch.cat((mean, deviation), -1)


def pad_circle(fields: Tensor, width: int) -> Tensor:
    """Pad fields (S, ...) on both ends with `width` sites of the other end: (S + 2 width, ...)."""
    return torch.cat((fields[len(fields) - width :], fields, fields[:width])) if width else fields


def convolve(padded: Tensor, weight: Tensor) -> Tensor:
    """Convolve padded (S + K - 1, M, C) with weight (O, C, K), site by site: (S, M, O).

    They are an image of sites x M pixels whose channels come last, an order in which nothing is copied on a CPU.
    """
    taps = weight.unsqueeze(-1).contiguous(memory_format=torch.channels_last)
    return functional.conv2d(padded.permute(2, 0, 1).unsqueeze(0), taps)[0].permute(1, 2, 0)


class CircularConvolution(torch.autograd.Function):
    """Convolution of fields (S, M, C) on a circle of S sites with weight (O, C, K), and its gradient.

    That of the weight is a product of matrices for each tap, which here takes less time than torch's own.
    """

    @staticmethod
    def forward(ctx: Any, fields: Tensor, weight: Tensor) -> Tensor:
        """Compute (S, M, O)."""
        padded = pad_circle(fields, weight.shape[-1] // 2)
        ctx.save_for_backward(padded, weight)
        return convolve(padded, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor]:
        """Compute the gradients of fields and weight."""
        padded, weight = ctx.saved_tensors
        taps = (padded[at : at + len(gradient)].flatten(0, 1) for at in range(weight.shape[-1]))
        by_weight = torch.stack([gradient.flatten(0, 1).mT @ rows for rows in taps], -1)
        # The transpose of a convolution is the one with the taps in reverse.
        above, reverse = pad_circle(gradient, weight.shape[-1] // 2), weight.transpose(0, 1).flip(-1)
        return convolve(above, reverse) if ctx.needs_input_grad[0] else None, by_weight


class MemberConvolution(nn.Module):
    """A residual layer: each member sees its own neighborhood and that of the ensemble's mean and deviation."""

    def __init__(self, inputs: int, channels: int, kernel: int) -> None:
        super().__init__()
        self.own = nn.Conv1d(inputs, channels, kernel)
        self.pooled = nn.Conv1d(2 * inputs, channels, kernel, bias=False)

    def forward(self, fields: Tensor) -> Tensor:
        """Map fields (S, B, N, C) of S sites on a circle to (S, B, N, channels)."""
        shared = CircularConvolution.apply(member_statistics(fields), self.pooled.weight) + self.own.bias
        own = CircularConvolution.apply(fields.flatten(1, 2), self.own.weight).unflatten(1, fields.shape[1:3])
        result = functional.gelu(own + shared.unsqueeze(2))
        return result + fields if result.shape == fields.shape else result


class MnmefConv(nn.Module, Filter):
    """Ensemble Kalman filter with corrections of gain, inflation and localization learned by convolutions.

    With forecast members v_n, h_n = H v_n and observation y, the network gives at each site of each member corrections
    w_n, z_n and u_n, and for the ensemble one localization weight in [0, 2] for each distance up to `reach`;
    `v_n <- clamp(v_n + u_n + K (y - h_n - r_n))` with the gain K of `mnmef.filters.mnmef.Mnmef`.

    Parameters
    ----------
    experiment : Experiment
        Periodic, for the sizes, the observed components and the bound.
    sigma_y : float
        Standard deviation of the observation noise, state units.
    options : ConvOptions, optional
        Sizes of the network.

    Raises
    ------
    ValueError
        Without a periodic grid, or for a patch that does not fit the grid.
    """

    name: ClassVar[str] = "mnmef_conv"
    needs_noise: ClassVar[bool] = True
    state_index: Tensor
    observed_index: Tensor

    def __init__(self, experiment: Experiment, sigma_y: float, options: ConvOptions | None = None) -> None:
        super().__init__()
        if not experiment.is_periodic:
            raise ValueError(f"mnmef_conv needs a periodic grid, which {experiment.title} does not have")
        options = options or ConvOptions()
        self.experiment = self.made_for = experiment
        self.sigma_y, self.options = sigma_y, options
        if any(index % options.patch for index in (*experiment.observed, experiment.state_size)):
            raise ValueError(
                f"the patch of mnmef_conv must divide the grid of {experiment.title}, {experiment.state_size} points, "
                f"and the distance between its observed points; {options.patch} does not"
            )
        widths = [FIELDS * options.patch] + [options.channels] * options.layers
        self.layers = nn.Sequential(*(MemberConvolution(*pair, options.kernel) for pair in pairwise(widths)))
        self.corrections = nn.Conv1d(options.channels, 3 * options.patch, 1)
        self.summarize = nn.Linear(2 * options.channels, options.channels)
        self.weigh = nn.Linear(options.channels, options.reach + 1)
        # The untrained filter is the localized EnKF: no corrections, weights that fall off with distance.
        with torch.no_grad():
            for parameter in self.corrections.parameters():
                parameter.zero_()
            taper = torch.exp(-0.5 * (torch.arange(options.reach + 1) / (options.reach / 4)) ** 2)
            self.weigh.weight.mul_(0.1)
            self.weigh.bias.copy_(torch.logit((taper / 2).clamp(1e-3)))
        distances = torch.from_numpy(experiment.distances())
        self.register_buffer("state_index", distances.clamp(max=options.reach + 1), persistent=False)
        observed = experiment.observation_index()
        self.register_buffer("observed_index", self.state_index[observed], persistent=False)

    def fields(self, v: Tensor, innovation: Tensor, missing: Tensor | None = None) -> Tensor:
        """Compute the inputs (S, B, N, 6 patch) of the network at its sites, for members (B, N, Nx) and innovations
        y - h_n (B, N, d), some of which may be missing (B, d).
        """
        mean = ensemble_mean(v)
        anomaly = v - mean
        spread = (anomaly.square().mean(-2, keepdim=True) + EPSILON).sqrt()
        observed = self.experiment.observation_index(v.device)
        placed = torch.zeros_like(v).index_copy(-1, observed, innovation)
        mask = torch.zeros(v.shape[-1], dtype=v.dtype, device=v.device).index_fill(0, observed, 1.0)
        if missing is not None:
            mask = mask.expand(len(v), 1, -1).index_copy(-1, observed, (~missing).to(v).unsqueeze(1))
        scale = 5.0 / self.experiment.bound  # states become numbers of order one
        unit = 1.0 / self.sigma_y
        parts = (scale * v, unit * anomaly, scale * mean, unit * spread, unit * placed, mask)
        fields = torch.stack(torch.broadcast_tensors(*parts), -2)
        return fields.unflatten(-1, (-1, self.options.patch)).movedim(-2, 0).flatten(-2)

    def analyze(self, forecast: Tensor, observation: Tensor, experiment: Experiment, noise: Draws = None) -> Tensor:
        """Map a forecast ensemble to the analysis ensemble (see `mnmef.filters.base.Filter.analyze`).

        Where the gain's linear system is singular, that ensemble keeps its (inflated) forecast.

        Raises
        ------
        ValueError
            Without noise.
        """
        v, y, r = as_batch(self, forecast, observation, noise)
        seen = whiten(y, experiment)
        y, h = seen.value.unsqueeze(-2), seen.observe(v)
        hidden = self.layers(self.fields(v, y - h, seen.missing))
        w, z, u = self.correct(hidden)
        v_anomaly = v - ensemble_mean(v) + w
        h_anomaly = h - ensemble_mean(h) + seen.masked(experiment.observation.at_sites(z))
        weights = self.weights(hidden)
        localization = weights[:, self.state_index], weights[:, self.observed_index]
        increment = kalman_increment(v_anomaly, h_anomaly, y - h - seen.masked(r), self.sigma_y, localization)
        analysis = v + increment + (u if self.options.inflation else 0.0)
        return analysis.clamp(-experiment.bound, experiment.bound).reshape(forecast.shape)

    def correct(self, hidden: Tensor) -> tuple[Tensor, ...]:
        """Compute the corrections w, z and u (B, N, Nx) from the last layer (S, B, N, C)."""
        corrections = functional.linear(hidden, self.corrections.weight.squeeze(-1), self.corrections.bias)
        return corrections.unflatten(-1, (3, self.options.patch)).movedim(0, -2).flatten(-2).unbind(-2)

    def weights(self, hidden: Tensor) -> Tensor:
        """Compute the localization weights (B, reach + 2) by distance from the last layer (S, B, N, C).

        The one more than there are distances in reach is the 0 of all that are farther.
        """
        summary = functional.gelu(self.summarize(member_statistics(hidden).mean(0)))
        weights = 2.0 * torch.sigmoid(self.weigh(summary))
        return functional.pad(weights, (0, 1))
