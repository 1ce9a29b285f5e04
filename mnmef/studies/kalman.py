"""The exact filter of a linear-Gaussian system, and the distance of an ensemble from it."""

import numpy as np

from mnmef.systems.linear_gaussian import LinearGaussian


def kalman_filter(system: LinearGaussian, observations: np.ndarray, sigma_y: float) -> tuple[np.ndarray, np.ndarray]:
    """Means (T, K, Nx) and covariances (K, Nx, Nx) of the state given all observations up to each cycle.

    observations (T, K, d): with noise of standard deviation sigma_y, the first one cycle after the start from N(0, I).
    The covariances do not depend on the observations, so all trajectories share them.
    """
    operator = np.eye(system.state_size)[list(system.observed)]
    mean, covariance = np.zeros((len(observations), system.state_size)), np.eye(system.state_size)
    means, covariances = [], []
    for observation in observations.swapaxes(0, 1):
        mean = mean @ system.transition.T
        covariance = system.transition @ covariance @ system.transition.T
        covariance = covariance + system.sigma_v**2 * np.eye(system.state_size)
        innovation = operator @ covariance @ operator.T + sigma_y**2 * np.eye(system.observation_size)
        gain = np.linalg.solve(innovation, operator @ covariance).T
        mean = mean + (observation - mean @ operator.T) @ gain.T
        # Joseph's form keeps the covariance symmetric and positive.
        rest = np.eye(system.state_size) - gain @ operator
        covariance = rest @ covariance @ rest.T + sigma_y**2 * gain @ gain.T
        means.append(mean)
        covariances.append(covariance)
    return np.stack(means, 1), np.stack(covariances)


def wasserstein_2(
    mean: np.ndarray, covariance: np.ndarray, other_mean: np.ndarray, other_covariance: np.ndarray
) -> np.ndarray:
    """2-Wasserstein distance (...) of Gaussians with means (..., Nx) and covariances (..., Nx, Nx), which broadcast.

    `W^2 = |m - m'|^2 + tr(C + C' - 2 (C'^1/2 C C'^1/2)^1/2)` (Dowson and Landau, J. Multivariate Anal. 12, 1982). The
    covariances may be singular, as that of a small ensemble is. Infinite where a number is not finite.
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
    """Mean (..., Nx) and covariance (..., Nx, Nx), divisor N - 1, of an ensemble (..., N, Nx)."""
    anomalies = ensemble - ensemble.mean(-2, keepdims=True)
    return ensemble.mean(-2), anomalies.swapaxes(-1, -2) @ anomalies / (ensemble.shape[-2] - 1)
