"""Ensemble square-root filter with the symmetric transform (ETKF)."""

from typing import ClassVar

from torch import Tensor

from mnmef.experiments.experiment import Experiment
from mnmef.filters.base import Draws, Filter, ensemble_mean, inflate, whiten
from mnmef.filters.linalg import has_more_observations, precision, symmetric_functions, transform, transform_deficit


class ESRF(Filter):
    """Symmetric square-root filter, as DAPPER's `EnKF("Sqrt")`, inflated after the analysis.

    With S = Y / (sigma_y sqrt(N - 1)) (N x d) and C = S'S, everything is done in the d-dimensional observation space:
    the transform of the anomalies is `(I + S S')^-1/2 = I - S g(C) S'`, and the mean moves by `S (I + C)^-1 dy`; with
    many more observations than members, in the space of members.

    Parameters
    ----------
    sigma_y : float
        Standard deviation of the observation noise, state units.
    inflation : Tensor or float
        Factor on the analysis anomalies, broadcastable to (..., 1, 1).
    """

    name: ClassVar[str] = "esrf"

    def __init__(self, sigma_y: float, inflation: Tensor | float = 1.0) -> None:
        self.sigma_y, self.inflation = sigma_y, inflation

    def analyze(self, forecast: Tensor, observation: Tensor, experiment: Experiment, noise: Draws = None) -> Tensor:
        """Map a forecast ensemble to the analysis ensemble (see `Filter.analyze`)."""
        scale = self.sigma_y * (forecast.shape[-2] - 1) ** 0.5
        mean = ensemble_mean(forecast)
        anomalies = forecast - mean
        h_anomalies, innovation = whiten(observation, experiment).departures(forecast, (mean, anomalies))
        s, innovation = h_anomalies / scale, innovation / self.sigma_y
        root_n1 = (forecast.shape[-2] - 1) ** 0.5
        if has_more_observations(s.shape[-1], s.shape[-2]):
            transformed, inverse = symmetric_functions(s @ s.mT, transform, precision)
            mean = mean + ((innovation @ s.mT) @ inverse) @ anomalies / root_n1
            return inflate(mean + transformed @ anomalies, self.inflation)
        cross = s.mT @ anomalies  # (..., d, Nx)
        deficit, inverse = symmetric_functions(s.mT @ s, transform_deficit, precision)
        mean = mean + (innovation @ inverse) @ cross / root_n1
        return inflate(mean + anomalies - s @ (deficit @ cross), self.inflation)
