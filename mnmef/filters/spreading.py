"""Random rotation of analysis anomalies, and their relaxation to the prior, beside multiplicative inflation."""

from typing import ClassVar

import torch
from torch import Tensor

from mnmef.core.seeds import torch_generator
from mnmef.experiments.experiment import Experiment
from mnmef.filters.base import Draws, Filter, ensemble_mean
from mnmef.filters.options import Options


class Rotation:
    """Random orthogonal transform of anomalies that keeps mean and covariance, as DAPPER's `rot`.

    Parameters
    ----------
    seed : int
        Root of its random stream.
    """

    def __init__(self, seed: int) -> None:
        self.generator = torch_generator(seed, "rotation")

    def __call__(self, ensemble: Tensor) -> Tensor:
        """Rotate each ensemble (..., N, Nx) by a matrix of its own."""
        mean = ensemble_mean(ensemble)
        return mean + self.matrices(ensemble.shape[:-2], ensemble.shape[-2]).to(ensemble) @ (ensemble - mean)

    def matrices(self, shape: torch.Size, members: int) -> Tensor:
        """Draw orthogonal matrices (..., N, N) that keep (1, ..., 1), uniform among these."""
        draws = torch.randn(*shape, members - 1, members - 1, generator=self.generator, dtype=torch.float64)
        q, r = torch.linalg.qr(draws)
        inner = torch.zeros(*shape, members, members, dtype=torch.float64)
        inner[..., 0, 0] = 1.0
        inner[..., 1:, 1:] = q * r.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2)
        # The reflection that takes the first unit vector to the diagonal (1, ..., 1) / sqrt(N).
        normal = torch.full((members, 1), -(members**-0.5), dtype=torch.float64)
        normal[0] += 1.0
        reflection = torch.eye(members, dtype=torch.float64) - (2.0 / (normal.T @ normal)) * normal @ normal.T
        return reflection @ inner @ reflection


class Respread(Filter):
    """A filter whose analysis anomalies are then relaxed to those of its forecast, and rotated.

    RTPP (Zhang et al. 2004) is `A <- (1 - a) A + a A_f` for analysis and forecast anomalies, RTPS (Whitaker and Hamill
    2012) `A <- A (1 + a (s_f - s) / s)` for the standard deviations s of each component; one without spread stays.

    Parameters
    ----------
    inner : Filter
        A filter with a stand-alone analysis.
    options : Options
        Its rotation, prior_spread and prior_perturbations.
    """

    name: ClassVar[str] = "respread"

    def __init__(self, inner: Filter, options: Options) -> None:
        self.inner, self.options, self.made_for = inner, options, inner.made_for
        self.name, self.needs_noise = inner.name, inner.needs_noise  # type: ignore[misc]
        self.rotate = Rotation(options.seed) if options.rotation else None

    def refine(self, start: Tensor, forecast: Tensor, observation: Tensor, experiment: Experiment) -> Tensor:
        """Return the forecast that the inner filter analyzes (see `Filter.refine`)."""
        return self.inner.refine(start, forecast, observation, experiment)

    def analyze(self, forecast: Tensor, observation: Tensor, experiment: Experiment, noise: Draws = None) -> Tensor:
        """Map a forecast ensemble to the analysis ensemble (see `Filter.analyze`)."""
        analysis = self.inner.analyze(forecast, observation, experiment, noise)
        mean, spread, kept = ensemble_mean(analysis), self.options.prior_spread, self.options.prior_perturbations
        anomalies = analysis - mean
        if kept:
            anomalies = torch.lerp(anomalies, forecast - ensemble_mean(forecast), kept)
        if spread:
            before, after = (x.std(-2, keepdim=True) for x in (forecast, anomalies))
            anomalies = torch.where(after > 0.0, anomalies * (1.0 + spread * (before - after) / after), anomalies)
        if spread or kept:
            analysis = mean + anomalies
        return analysis if self.rotate is None else self.rotate(analysis)
