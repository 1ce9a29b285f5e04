"""The exact filter of a linear-Gaussian system, and the distance of an ensemble from it."""

import numpy as np

from mnmef.experiments.experiment import Experiment
from mnmef.systems.linear_gaussian import LinearGaussian


def kalman_filter(experiment: Experiment, observations: np.ndarray, sigma_y: float) -> tuple[np.ndarray, np.ndarray]:
    """Compute the posterior of each cycle with the Kalman filter, exact for a linear-Gaussian system.

    Parameters
    ----------
    experiment : Experiment
        Of a `LinearGaussian` system, which starts from N(0, I).
    observations : array (T, K, d)
        The first one lies one cycle after the start.
    sigma_y : float
        Standard deviation of their noise, state units.

    Returns
    -------
    means : array (T, K, Nx)
        Of the state given all observations up to each cycle.
    covariances : array (K, Nx, Nx)
        They do not depend on the observations, so all trajectories share them.
    """
    system = experiment.system
    assert isinstance(system, LinearGaussian)
    operator = np.eye(experiment.state_size)[list(experiment.observed)]
    mean, covariance = np.zeros((len(observations), experiment.state_size)), np.eye(experiment.state_size)
    means, covariances = [], []
    for observation in observations.swapaxes(0, 1):
        mean = mean @ system.transition.T
        covariance = system.transition @ covariance @ system.transition.T
        covariance = covariance + system.sigma_v**2 * np.eye(experiment.state_size)
        innovation = operator @ covariance @ operator.T + sigma_y**2 * np.eye(experiment.observation_size)
        gain = np.linalg.solve(innovation, operator @ covariance).T
        mean = mean + (observation - mean @ operator.T) @ gain.T
        # Joseph's form keeps the covariance symmetric and positive.
        rest = np.eye(experiment.state_size) - gain @ operator
        covariance = rest @ covariance @ rest.T + sigma_y**2 * gain @ gain.T
        means.append(mean)
        covariances.append(covariance)
    return np.stack(means, 1), np.stack(covariances)


def wasserstein_2(
    mean: np.ndarray, covariance: np.ndarray, other_mean: np.ndarray, other_covariance: np.ndarray
) -> np.ndarray:
    """Compute the 2-Wasserstein distance of Gaussians.

    `W^2 = |m - m'|^2 + tr(C + C' - 2 (C'^1/2 C C'^1/2)^1/2)` (Dowson and Landau, J. Multivariate Anal. 12, 1982).

    Parameters
    ----------
    mean, other_mean : array (..., Nx)
        m and m'.
    covariance, other_covariance : array (..., Nx, Nx)
        C and C', which may be singular, as that of a small ensemble is.

    Returns
    -------
    array (...)
        Arguments broadcast; infinite where a number is not finite.
    """
    finite = np.isfinite(mean).all(-1) & np.isfinite(covariance).all((-2, -1))
    safe = np.where(finite[..., None, None], covariance, 0.0)
    values, vectors = np.linalg.eigh(other_covariance)
    root = (vectors * np.sqrt(values.clip(min=0.0))[..., None, :]) @ vectors.swapaxes(-1, -2)
    cross = np.sqrt(np.linalg.eigvalsh(root @ safe @ root).clip(min=0.0)).sum(-1)
    traces = np.trace(safe, axis1=-2, axis2=-1) + np.trace(other_covariance, axis1=-2, axis2=-1)
    square = ((mean - other_mean) ** 2).sum(-1) + (traces - 2 * cross).clip(min=0.0)
    return np.where(finite, np.sqrt(square), np.inf)


def ensemble_gaussian(ensemble: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute mean (..., Nx) and covariance (..., Nx, Nx), divisor N - 1, of an ensemble (..., N, Nx)."""
    anomalies = ensemble - ensemble.mean(-2, keepdims=True)
    return ensemble.mean(-2), anomalies.swapaxes(-1, -2) @ anomalies / (ensemble.shape[-2] - 1)
