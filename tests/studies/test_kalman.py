"""The Kalman filter conditions a joint Gaussian; the Wasserstein distance is that of closed forms."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from mnmef.experiments.experiment import Experiment
from mnmef.observations import Observation
from mnmef.studies.kalman import ensemble_gaussian, kalman_filter, wasserstein_2
from mnmef.systems.linear_gaussian import LinearGaussian


def conditioned(experiment, observations, sigma_y):
    """Mean and covariance of the last state of one trajectory given all observations (K, d), from the joint Gaussian
    of states and observations at all times.
    """
    size, cycles = experiment.state_size, len(observations)
    # The states as a linear map of the start and the process noise of each cycle, all standard normal.
    blocks, current = [], np.hstack([np.eye(size), np.zeros((size, cycles * size))])
    for k in range(cycles):
        current = experiment.system.transition @ current
        current[:, (k + 1) * size : (k + 2) * size] += experiment.system.sigma_v * np.eye(size)
        blocks.append(current)
    observed = np.vstack([block[list(experiment.observed)] for block in blocks])
    gain = blocks[-1] @ observed.T @ np.linalg.inv(observed @ observed.T + sigma_y**2 * np.eye(len(observed)))
    return gain @ observations.ravel(), blocks[-1] @ blocks[-1].T - gain @ observed @ blocks[-1].T


@pytest.mark.parametrize("sigma_v", [0.0, 0.5])
def test_the_kalman_filter_is_the_joint_gaussian_given_the_observations(sigma_v):
    rng = np.random.default_rng(3)
    system = LinearGaussian(4, sigma_v, rng)
    experiment = Experiment("test", "", system, Observation(4, (0, 2)), steps_per_cycle=1, bound=20.0)
    observations = rng.standard_normal((2, 5, 2))
    means, covariances = kalman_filter(experiment, observations, 0.7)
    assert means.shape == (2, 5, 4)
    for trajectory in range(2):
        for last in (1, 5):
            mean, covariance = conditioned(experiment, observations[trajectory, :last], 0.7)
            np.testing.assert_allclose(means[trajectory, last - 1], mean, atol=1e-12)
            np.testing.assert_allclose(covariances[last - 1], covariance, atol=1e-12)


def test_the_distance_of_commuting_covariances_is_that_of_their_standard_deviations():
    rng = np.random.default_rng(0)
    basis, _ = np.linalg.qr(rng.standard_normal((5, 5)))
    first, second = rng.uniform(0.0, 2.0, (2, 5))
    first[0] = 0.0  # a singular covariance, as of a small ensemble
    means = rng.standard_normal((2, 5))
    covariances = [(basis * deviation**2) @ basis.T for deviation in (first, second)]
    expected = np.sqrt(((means[0] - means[1]) ** 2).sum() + ((first - second) ** 2).sum())
    assert wasserstein_2(means[0], covariances[0], means[1], covariances[1]) == pytest.approx(expected)
    assert wasserstein_2(means[0], covariances[0], means[0], covariances[0]) == pytest.approx(0.0, abs=1e-6)


def test_the_distance_broadcasts_and_agrees_with_matrix_square_roots():
    rng = np.random.default_rng(1)
    factors = rng.standard_normal((2, 3, 4, 4))
    covariances = factors @ factors.swapaxes(-1, -2)
    means = rng.standard_normal((2, 3, 4))
    distance = wasserstein_2(means, covariances, means[0], covariances[0])
    assert distance.shape == (2, 3)
    root = sqrtm(covariances[0, 2])
    cross = sqrtm(root @ covariances[1, 2] @ root)
    square = ((means[1, 2] - means[0, 2]) ** 2).sum() + np.trace(covariances[1, 2] + covariances[0, 2] - 2 * cross.real)
    assert distance[1, 2] == pytest.approx(np.sqrt(square))


def test_what_is_not_finite_is_infinitely_far_away():
    mean, covariance = np.zeros((2, 3)), np.broadcast_to(np.eye(3), (2, 3, 3)).copy()
    mean[0, 1], covariance[1, 2, 2] = np.nan, np.inf
    assert np.isinf(wasserstein_2(mean, covariance, np.zeros(3), np.eye(3))).all()


def test_the_gaussian_of_an_ensemble_has_its_sample_moments():
    ensemble = np.random.default_rng(2).standard_normal((2, 6, 3))
    mean, covariance = ensemble_gaussian(ensemble)
    np.testing.assert_allclose(mean[1], ensemble[1].mean(0))
    np.testing.assert_allclose(covariance[1], np.cov(ensemble[1], rowvar=False))
