"""Splits of the twin experiments: reproducible, disjoint, and what they say they are."""

import numpy as np
import pytest
import torch

from mnmef.data.twin import load_trial, simulate_split, simulate_training
from mnmef.experiments.files import shipped_experiments
from mnmef.experiments.load import load_experiment


@pytest.fixture(scope="module")
def test_split():
    return simulate_split(load_experiment("lorenz96"), "test", 30, 60, [1.0, 0.7], 12, seed=1)


def test_the_same_seed_gives_the_same_bits_and_splits_are_disjoint(test_split):
    again = simulate_split(load_experiment("lorenz96"), "test", 30, 60, [1.0, 0.7], 12, seed=1)
    assert test_split.identical(again)
    tune = simulate_split(load_experiment("lorenz96"), "tune", 30, 60, [1.0, 0.7], 12, seed=1)
    assert not np.isclose(tune["truth"].values, test_split["truth"].values).all(-1).any()


@pytest.mark.parametrize("name", shipped_experiments("paper"))
def test_consecutive_truths_are_one_cycle_of_the_model_apart(name):
    experiment = load_experiment(name)
    truth = simulate_split(load_experiment(name), "tune", 3, 4, [1.0], 2, seed=2)["truth"].values
    stepped = experiment.propagate(torch.from_numpy(truth[:, :-1]).double()).numpy()
    np.testing.assert_allclose(stepped, truth[:, 1:], rtol=2e-4, atol=2e-4)


def test_observations_are_observed_components_plus_noise_of_the_stated_size(test_split):
    truth = test_split["truth"].values[..., test_split["observed"].values]
    for level in (1.0, 0.7):
        noise = test_split["observation"].sel(sigma_y=level).values - truth
        count = noise.size
        assert abs(noise.mean()) < 4 * level / count**0.5
        assert abs(noise.std() / level - 1) < 4 / (2 * count) ** 0.5


def test_first_members_scatter_about_the_truth_one_cycle_before_the_first_observation(test_split):
    experiment = load_experiment("lorenz96")
    first = torch.from_numpy(test_split["first_ensemble"].values).double()
    center = first.mean(1)
    spread = (first - center[:, None]).std().item()
    assert spread == pytest.approx(experiment.first_spread, rel=0.05)
    # The center, propagated one cycle, is as near the first truth as an error of 1 / sqrt(12) can have grown.
    distance = (experiment.propagate(center).float().numpy() - test_split["truth"].values[:, 0]).std()
    assert distance < 1.0


def test_fewer_members_are_the_first_ones_of_the_stored_ensemble(test_split):
    first, observations, truth = load_trial(test_split, 0.7, 5, torch.float64, trajectories=2, cycles=7)
    assert first.shape == (2, 5, 40)
    assert observations.shape == (2, 7, 10)
    assert truth.shape == (2, 7, 40)
    np.testing.assert_array_equal(first.numpy(), test_split["first_ensemble"].values[:2, :5])


def test_what_a_split_does_not_hold_is_an_error_that_lists_what_it_does(test_split):
    with pytest.raises(ValueError, match=r"0\.5.*1\.0, 0\.7"):
        load_trial(test_split, 0.5, 5, torch.float64)
    with pytest.raises(ValueError, match=r"13 of dimension member.*test split has 12"):
        load_trial(test_split, 1.0, 13, torch.float64)
    with pytest.raises(ValueError, match="'validation'"):
        simulate_split(load_experiment("lorenz96"), "validation", 1, 1, [1.0], 2, seed=0)


def test_training_truths_have_one_state_before_the_first_cycle():
    training = simulate_training(load_experiment("lorenz63"), 5, 7, seed=1)
    assert training["truth"].shape == (5, 8, 3)
    assert training["truth"].dtype == np.float32


def test_truths_lie_on_the_attractor(test_split):
    # Lorenz '96 at F = 8: climatological mean 2.34 and standard deviation 3.64 (Lorenz and Emanuel 1998).
    values = test_split["truth"].values
    assert values.mean() == pytest.approx(2.34, abs=0.15)
    assert values.std() == pytest.approx(3.64, abs=0.15)
