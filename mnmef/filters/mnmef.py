"""MNMEF, the learned correction of the ensemble Kalman filter (arXiv 2504.17836), in the form of its released code."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from mnmef.core.errors import unknown_name
from mnmef.experiments.experiment import Experiment
from mnmef.filters.base import Draws, Filter, check_made_for, ensemble_mean, observation_perturbations, whiten
from mnmef.filters.networks import Head, SetTransformer

INPUTS = ("states", "separate", "joint")


@dataclass(frozen=True)
class ModelOptions:
    """Sizes and variants of the network; the defaults are the paper's.

    Parameters
    ----------
    feature_size : int
        Length of the ensemble feature f.
    width : int
        Width of the layers of set transformer and heads.
    heads : int
        Heads of the attention.
    seeds : int
        Learned seeds of the pooling.
    hidden_layers : int
        Hidden layers of each head.
    input : str
        Input of the set transformer: `states`, `joint` pairs (v_n, H v_n), or both `separate`, each for half of f.
    observation_in_localization : bool
        Append y to the input of the localization head.
    localization : bool
        Learn a localization.
    inflation : bool
        Add the learned inflation. Without it the head is kept, so that weights still load.
    """

    feature_size: int = 128
    width: int = 64
    heads: int = 8
    seeds: int = 16
    hidden_layers: int = 3
    input: str = "joint"
    observation_in_localization: bool = False
    localization: bool = True
    inflation: bool = True

    def __post_init__(self) -> None:
        if self.input not in INPUTS:
            raise ValueError(unknown_name("input of the set transformer", self.input, INPUTS))
        if self.input == "separate" and self.feature_size % 2:
            raise ValueError(f"feature_size must be even for separate inputs, not {self.feature_size}")


class Mnmef(nn.Module, Filter):
    """Ensemble Kalman filter with learned corrections of gain, inflation and localization.

    With forecast members v_n, h_n = H v_n, observation y and the set transformer's feature f:
    `w_n, z_n = gain(v_n, h_n, y, f)`; `u_n = inflation(v_n, f)`; one localization weight in [0, 2] for each distinct
    cyclic distance; anomalies V = v_n - mean + w_n, Y = h_n - mean + z_n;
    `K = (V'Y o L_vh) (Y'Y o L_hh + (N - 1) sigma_y^2 I)^-1`; `v_n <- clamp(v_n + u_n + K (y - h_n - r_n))`.

    Parameters
    ----------
    experiment : Experiment
        Source of the sizes, the observed components and the bound.
    sigma_y : float
        Standard deviation of the observation noise, state units.
    options : ModelOptions, optional
        Sizes and variants of the network.
    """

    name: ClassVar[str] = "mnmef"
    needs_noise: ClassVar[bool] = True
    distance_index: Tensor

    def __init__(self, experiment: Experiment, sigma_y: float, options: ModelOptions | None = None) -> None:
        super().__init__()
        options = options or ModelOptions()
        self.experiment = self.made_for = experiment
        self.sigma_y, self.options = sigma_y, options
        nx, ny = experiment.state_size, experiment.observation_size
        sizes = (options.width, options.heads, options.seeds)
        inputs = {"states": [nx], "joint": [nx + ny], "separate": [nx, ny]}[options.input]
        self.encoders = nn.ModuleList(SetTransformer(i, options.feature_size // len(inputs), *sizes) for i in inputs)
        shape = (options.width, options.hidden_layers)
        self.gain_head = Head(nx + ny, ny + options.feature_size, nx + ny, *shape)
        self.inflation_head = Head(nx, options.feature_size, nx, *shape)
        self.is_localized = options.localization and experiment.is_periodic
        if self.is_localized:
            distances = experiment.distances()
            values, index = np.unique(distances, return_inverse=True)
            shared = options.feature_size + ny * options.observation_in_localization
            self.localization_head = Head(0, shared, len(values), *shape)
            state_index = torch.from_numpy(index.reshape(nx, ny))
            # Distances between observed components are the rows of the same table that belong to them.
            pairs = torch.cat((state_index, state_index[experiment.observation_index()]))
            self.register_buffer("distance_index", pairs.flatten(), persistent=False)

    def head_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that fine-tuning changes: those of the heads."""
        return [p for name, p in self.named_parameters() if not name.startswith("encoders.")]

    def feature(self, forecast: Tensor, observed: Tensor) -> Tensor:
        """Compute the feature f (B, F) of forecast members (B, N, Nx) and their observed components (B, N, d)."""
        parts = {"states": [forecast], "separate": [forecast, observed]}.get(self.options.input)
        parts = parts or [torch.cat((forecast, observed), -1)]
        return torch.cat([encoder(part) for encoder, part in zip(self.encoders, parts, strict=True)], -1)

    def distance_weights(self, feature: Tensor, observation: Tensor) -> Tensor:
        """Compute localization weights (B, number of distances) in [0, 2], ordered by increasing cyclic distance."""
        extra = [observation] if self.options.observation_in_localization else []
        return 2.0 * torch.sigmoid(self.localization_head(torch.cat([feature, *extra], -1)))

    def localization(self, feature: Tensor, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the localization weights as matrices L_vh (B, Nx, d) and L_hh (B, d, d)."""
        weights = self.distance_weights(feature, observation)
        matrices = weights.index_select(-1, self.distance_index).unflatten(-1, (-1, observation.shape[-1]))
        return matrices[..., : self.experiment.state_size, :], matrices[..., self.experiment.state_size :, :]

    def analyze(self, forecast: Tensor, observation: Tensor, experiment: Experiment, noise: Draws = None) -> Tensor:
        """Map a forecast ensemble to the analysis ensemble (see `Filter.analyze`).

        An ensemble whose linear system of the gain is singular, or has a non-finite solution, keeps its (inflated)
        forecast.

        Raises
        ------
        ValueError
            Without noise, or for another experiment than the filter was made for.
        """
        check_made_for(self, experiment)
        v, y, r = as_batch(self, forecast, observation, noise)
        seen = whiten(y, experiment)
        y, h = seen.value, seen.observe(v)
        f = self.feature(v, h)
        gain_members, gain_shared = torch.cat((v, h), -1), torch.cat((y, f), -1)
        w, z = self.gain_head(gain_shared, gain_members).split((experiment.state_size, experiment.observation_size), -1)
        v_anomaly = v - ensemble_mean(v) + w
        h_anomaly = h - ensemble_mean(h) + seen.masked(z)
        localization = self.localization(f, y) if self.is_localized else None
        innovation = y.unsqueeze(-2) - h - seen.masked(r)
        increment = kalman_increment(v_anomaly, h_anomaly, innovation, self.sigma_y, localization)
        inflation = self.inflation_head(f, v) if self.options.inflation else 0.0
        analysis = (v + inflation + increment).clamp(-experiment.bound, experiment.bound)
        return analysis.reshape(forecast.shape)


def as_batch(filter_: Any, forecast: Tensor, observation: Tensor, noise: Draws) -> tuple[Tensor, Tensor, Tensor]:
    """Return members (B, N, Nx), observations (B, d) and their perturbations (B, N, d), leading dimensions flattened.

    Raises
    ------
    ValueError
        Without noise.
    """
    if noise is None:
        raise ValueError(f"{filter_.name} perturbs observations: pass standard normal noise (..., N, d)")
    lead, r = forecast.shape[:-2], observation_perturbations(noise, filter_.sigma_y)
    parts = (forecast, 2), (observation.expand(*lead, -1), 1), (r.expand(*lead, -1, -1), 2)
    v, y, r = (part.reshape(-1, *part.shape[-kept:]) for part, kept in parts)
    return v, y, r


def kalman_increment(
    v_anomaly: Tensor, h_anomaly: Tensor, innovation: Tensor, sigma_y: float, localization: tuple[Tensor, Tensor] | None
) -> Tensor:
    """Compute `K innovation_n` with `K = (V'Y o L_vh) (Y'Y o L_hh + (N - 1) sigma_y^2 I)^-1`.

    Localization weights are no positive definite kernel, so the matrix may be singular: such an ensemble gets the
    increment zero, without influence on the others or the gradient. A matrix also counts as singular if its solution is
    eps^-1/2 times larger than positive definite weights could give.

    Parameters
    ----------
    v_anomaly : Tensor (B, N, Nx)
        V, anomalies of the state.
    h_anomaly, innovation : Tensor (B, N, d)
        Y, anomalies of the observed components, and innovations.
    sigma_y : float
        Standard deviation of the observation noise, state units.
    localization : tuple of Tensor (B, Nx, d) and (B, d, d), or None
        L_vh and L_hh.

    Returns
    -------
    Tensor (B, N, Nx)
    """
    members, size = h_anomaly.shape[-2:]
    cross = v_anomaly.mT @ h_anomaly
    matrix = h_anomaly.mT @ h_anomaly
    if localization is not None:
        cross, matrix = cross * localization[0], matrix * localization[1]
    matrix = matrix + (members - 1) * sigma_y**2 * torch.eye(size, dtype=matrix.dtype, device=matrix.device)
    is_near = matrix.device.type == "cpu"
    with torch.set_grad_enabled(is_near and torch.is_grad_enabled()):
        solution, info = torch.linalg.solve_ex(matrix, innovation.mT)
    limit = innovation.detach().abs().amax((-2, -1)) / (torch.finfo(matrix.dtype).eps ** 0.5 * sigma_y**2)
    # A comparison with NaN is false.
    bad = (info != 0) | ~(solution.detach().abs().amax((-2, -1)) <= limit)
    if not is_near or bool(bad.any()):
        # Solve again with the bad matrices replaced, so that neither values nor gradients of the others see them; on a
        # GPU always, as the host would wait for the answer whether there are any.
        eye = torch.eye(size, dtype=matrix.dtype, device=matrix.device)
        matrix = torch.where(bad[:, None, None], eye, matrix)
        right = torch.where(bad[:, None, None], 0.0, innovation.mT)
        solution = torch.linalg.solve_ex(matrix, right)[0]
        cross = torch.where(bad[:, None, None], 0.0, cross)
    return solution.mT @ cross.mT
