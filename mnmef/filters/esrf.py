"""The ensemble square-root filter with the symmetric transform (ETKF)."""

from typing import ClassVar

from torch import Tensor

from mnmef.filters.base import Filter, ensemble_mean, inflate
from mnmef.filters.linalg import precision, symmetric_functions, transform_deficit
from mnmef.systems.base import System


class ESRF(Filter):
    """Symmetric square-root filter, as DAPPER's `EnKF("Sqrt")`, inflated after the analysis.

    With S = Y / (sigma_y sqrt(N - 1)) (N x d) and C = S'S, everything is done in the d-dimensional observation space:
    the transform of the anomalies is `(I + S S')^-1/2 = I - S g(C) S'`, and the mean moves by `S (I + C)^-1 dy`.
    """

    name: ClassVar[str] = "esrf"

    def __init__(self, sigma_y: float, inflation: Tensor | float = 1.0) -> None:
        self.sigma_y, self.inflation = sigma_y, inflation

    def analyze(self, forecast: Tensor, observation: Tensor, system: System, noise: Tensor | None = None) -> Tensor:
        """Map forecast (..., N, Nx) and observation (..., d) to the analysis ensemble (..., N, Nx)."""
        scale = self.sigma_y * (forecast.shape[-2] - 1) ** 0.5
        mean = ensemble_mean(forecast)
        anomalies = forecast - mean
        s = system.observe(anomalies) / scale
        innovation = (observation.unsqueeze(-2) - system.observe(mean)) / self.sigma_y
        cross = s.mT @ anomalies  # (..., d, Nx)
        deficit, inverse = symmetric_functions(s.mT @ s, transform_deficit, precision)
        root_n1 = (forecast.shape[-2] - 1) ** 0.5
        mean = mean + (innovation @ inverse) @ cross / root_n1
        return inflate(mean + anomalies - s @ (deficit @ cross), self.inflation)
