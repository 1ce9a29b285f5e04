"""The learned filter: symmetries, limits in which it must be a known filter, and robustness."""

import dataclasses

import numpy as np
import pytest
import torch

from mnmef.experiments.load import load_experiment
from mnmef.filters.base import observation_perturbations
from mnmef.filters.mnmef import Mnmef, kalman_increment

DOUBLE = torch.float64


def trial(experiment, members, lead=(3,), seed=0):
    generator = torch.Generator().manual_seed(seed)
    forecast = torch.randn(*lead, members, experiment.state_size, generator=generator, dtype=DOUBLE)
    observation = torch.randn(*lead, experiment.observation_size, generator=generator, dtype=DOUBLE)
    noise = torch.randn(*lead, members, experiment.observation_size, generator=generator, dtype=DOUBLE)
    return forecast, observation, noise


def silence(head):
    """Make a head return zero whatever its input."""
    torch.nn.init.zeros_(head.rest[-1].weight)
    torch.nn.init.zeros_(head.rest[-1].bias)


@pytest.mark.parametrize("name", ["lorenz63", "lorenz96", "ks"])
@pytest.mark.parametrize("members", [2, 5, 40])
def test_permuting_members_and_their_noise_permutes_the_analysis(name, members):
    experiment = load_experiment(name)
    filter_ = Mnmef(experiment, 1.0).double()
    forecast, observation, noise = trial(experiment, members)
    order = torch.randperm(members)
    analysis = filter_.analyze(forecast, observation, experiment, noise)
    permuted = filter_.analyze(forecast[:, order], observation, experiment, noise[:, order])
    torch.testing.assert_close(permuted, analysis[:, order])


@pytest.mark.parametrize("name", ["lorenz63", "lorenz96"])
@pytest.mark.parametrize("members", [3, 8, 25])
def test_without_corrections_it_is_the_perturbed_observation_enkf(name, members):
    experiment = load_experiment(name)
    filter_ = Mnmef(experiment, 0.7).double()
    silence(filter_.gain_head)
    silence(filter_.inflation_head)
    if filter_.is_localized:
        silence(filter_.localization_head)  # 2 * sigmoid(0) = 1: no localization
    forecast, observation, noise = trial(experiment, members)
    analysis = filter_.analyze(forecast, observation, experiment, noise)
    for b in range(len(forecast)):
        e, y = forecast[b].numpy(), observation[b].numpy()
        h = e[:, list(experiment.observed)]
        covariance = np.cov(e.T, h.T)
        nx = experiment.state_size
        gain = covariance[:nx, nx:] @ np.linalg.inv(covariance[nx:, nx:] + 0.49 * np.eye(len(y)))
        r = observation_perturbations(noise[b], 0.7).numpy()
        np.testing.assert_allclose(analysis[b].detach().numpy(), e + (y - h - r) @ gain.T, rtol=1e-9, atol=1e-9)


def test_localization_weights_depend_on_cyclic_distance_alone_and_lie_between_0_and_2():
    experiment = load_experiment("lorenz96")
    filter_ = Mnmef(experiment, 1.0).double()
    forecast, observation, _ = trial(experiment, 6)
    feature = filter_.feature(forecast, experiment.observe(forecast))
    state_weights, observed_weights = filter_.localization(feature, observation)
    by_distance = filter_.distance_weights(feature, observation)
    distances = experiment.distances()
    for i in range(40):
        for j in range(10):
            assert torch.equal(state_weights[:, i, j], by_distance[:, distances[i, j]])
    assert torch.equal(observed_weights, state_weights[:, list(experiment.observed)])
    assert bool(((by_distance >= 0) & (by_distance <= 2)).all())


def test_leading_dimensions_are_only_a_batch():
    experiment = load_experiment("lorenz96")
    filter_ = Mnmef(experiment, 1.0).double()
    forecast, observation, noise = trial(experiment, 5, lead=(2, 3))
    together = filter_.analyze(forecast, observation, experiment, noise)
    for i in range(2):
        for j in range(3):
            alone = filter_.analyze(forecast[i, j], observation[i, j], experiment, noise[i, j])
            torch.testing.assert_close(together[i, j], alone)


def test_analysis_members_are_clamped():
    experiment = load_experiment("lorenz96")
    filter_ = Mnmef(experiment, 1.0).double()
    forecast, observation, noise = trial(experiment, 5)
    analysis = filter_.analyze(100 * forecast, observation, experiment, noise)
    assert float(analysis.detach().abs().max()) == 20.0


def test_switching_inflation_off_removes_exactly_the_learned_term():
    experiment = load_experiment("lorenz63")
    filter_ = Mnmef(experiment, 1.0).double()
    forecast, observation, noise = trial(experiment, 5)
    with_inflation = filter_.analyze(forecast, observation, experiment, noise)
    filter_.options = dataclasses.replace(filter_.options, inflation=False)
    without = filter_.analyze(forecast, observation, experiment, noise)
    feature = filter_.feature(forecast, experiment.observe(forecast))
    torch.testing.assert_close(with_inflation - without, filter_.inflation_head(feature, forecast))


def test_the_input_is_not_changed_and_float32_is_kept():
    experiment = load_experiment("lorenz96")
    filter_ = Mnmef(experiment, 1.0)
    forecast, observation, noise = (t.float() for t in trial(experiment, 5))
    copy = forecast.clone()
    assert filter_.analyze(forecast, observation, experiment, noise).dtype == torch.float32
    assert torch.equal(forecast, copy)


def test_one_singular_system_costs_its_own_increment_only():
    generator = torch.Generator().manual_seed(3)
    members, nx, ny = 4, 3, 2
    v = torch.randn(3, members, nx, generator=generator, dtype=DOUBLE, requires_grad=True)
    h = torch.randn(3, members, ny, generator=generator, dtype=DOUBLE)
    innovation = torch.randn(3, members, ny, generator=generator, dtype=DOUBLE)
    ones = torch.ones(3, nx, ny, dtype=DOUBLE)
    weights = torch.ones(3, ny, ny, dtype=DOUBLE)
    # Negative "weights" that cancel R on one batch element make its experiment exactly singular.
    weights[1] = 0.0
    weights[1, 0, 0] = -(members - 1) / (h[1].mT @ h[1])[0, 0]
    result = kalman_increment(v, h, innovation, 1.0, (ones, weights))
    result.square().sum().backward()
    assert torch.equal(result[1], torch.zeros_like(result[1]))
    assert bool(v.grad.isfinite().all())
    healthy = kalman_increment(v[[0, 2]], h[[0, 2]], innovation[[0, 2]], 1.0, (ones[[0, 2]], weights[[0, 2]]))
    torch.testing.assert_close(result[[0, 2]], healthy)


def test_missing_noise_and_a_foreign_system_are_errors_that_say_so():
    experiment = load_experiment("lorenz96")
    filter_ = Mnmef(experiment, 1.0).double()
    forecast, observation, noise = trial(experiment, 5)
    with pytest.raises(ValueError, match="noise"):
        filter_.analyze(forecast, observation, experiment)
    with pytest.raises(ValueError, match="made for lorenz96"):
        filter_.analyze(forecast[..., :3], observation[..., :1], load_experiment("lorenz63"), noise)
