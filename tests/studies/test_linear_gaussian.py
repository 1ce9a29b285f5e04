"""Figure C.13: the experiment is the one announced, exact draws approach the posterior, and divergence is seen."""

import numpy as np
import pytest
import torch

from mnmef.experiments.files import shipped_experiments
from mnmef.filters.learned import initial_filter
from mnmef.learning.options import TrainingOptions
from mnmef.learning.trainer import Trainer
from mnmef.report.figures.linear import REFERENCES
from mnmef.studies.linear_gaussian import (
    CLASSICAL,
    SAMPLING,
    LinearRun,
    PriorWindows,
    _as_dataset,
    run_linear_gaussian,
)
from mnmef.systems import SYSTEMS
from mnmef.systems.linear_gaussian import LinearGaussian

MODEL = {"feature_size": 8, "width": 8, "heads": 2, "seeds": 2}
TRAINING = {
    "windows": 8,
    "window_cycles": 6,
    "steps": 3,
    "batch": 4,
    "learning_rate": 1e-3,
    "gradient_clip": None,
}
SETTINGS = {
    "ensemble_size": 12,
    "state_size": 6,
    "sigma_v": 0.1,
    "sigma_y": 1.0,
    "weight_decay": 0.1,
    "trajectories": 6,
    "cycles": 15,
    "training": TRAINING,
}


def linear_run(filter_name, loss=None, **change):
    return LinearRun(filter_name, loss, MODEL, 0, **SETTINGS | change)


def test_the_system_turns_states_and_adds_noise_to_each():
    experiment = linear_run("enkf", state_size=10, sigma_v=0.3).experiment("test")
    np.testing.assert_allclose(np.abs(np.linalg.eigvals(experiment.system.transition)), 1.0)
    assert experiment.observed == (0, 2, 4, 6, 8)
    state = torch.ones(4000, 10, dtype=torch.float64)
    noise = experiment.propagate(state).numpy() - state.numpy() @ experiment.system.transition.T
    np.testing.assert_allclose(np.cov(noise, rowvar=False), 0.09 * np.eye(10), atol=0.01)
    silent = LinearGaussian(10, 0.0, np.random.default_rng(0))
    np.testing.assert_allclose(silent.advance(state, 1).norm(dim=-1), state.norm(dim=-1))


def test_a_system_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match="state_size must be even"):
        LinearGaussian(5, 0.1, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"sigma_v must not be negative, but is -0\.1"):
        LinearGaussian(4, -0.1, np.random.default_rng(0))


def test_it_is_no_system_of_the_other_figures():
    assert LinearGaussian.name not in SYSTEMS
    assert LinearGaussian.name not in shipped_experiments()


def test_draws_from_the_posterior_approach_it_as_the_root_of_their_number():
    few, many = (
        run_linear_gaussian(linear_run("sampling", ensemble_size=n))["wasserstein"].values.mean() for n in (50, 800)
    )
    assert few / many == pytest.approx(4.0, rel=0.2)


def test_an_enkf_with_many_members_is_nearly_exact_and_one_with_few_is_not():
    large, small = (
        run_linear_gaussian(linear_run("enkf", ensemble_size=n))["wasserstein"].values[:, -1].mean() for n in (3000, 5)
    )
    assert large < 0.15
    assert small > 3 * large


@pytest.mark.parametrize(
    ("filter_name", "loss", "decay"),
    [("mnmef", "nl2", 0.0), ("mnmef", "l2", 0.1), ("enkf", None, 0.0), ("sampling", None, 0.0)],
)
def test_a_run_is_the_same_twice(filter_name, loss, decay):
    run = linear_run(filter_name, loss, weight_decay=decay)
    first, second = (run_linear_gaussian(run) for _ in range(2))
    assert first.identical(second)
    assert first["wasserstein"].shape == (6, 15)


def test_weight_decay_and_loss_make_other_filters():
    # A loss of its own scale alone changes little: AdamW divides it out.
    runs = [
        run_linear_gaussian(linear_run("mnmef", loss, weight_decay=decay))["wasserstein"].values
        for loss, decay in (("nl2", 0.0), ("nl2", 0.1), ("l2", 0.0))
    ]
    assert not np.array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])


def test_first_ensembles_of_a_training_do_not_know_the_truth():
    experiment = linear_run("mnmef").experiment("train")
    options = TrainingOptions(ensemble_size=500, steps=1, window_cycles=6, batch=4, learning_rate=1e-3)
    truth = torch.full((8, 7, 6), 9.0)
    trainer = Trainer(initial_filter(experiment, 1.0, MODEL, 0), truth, options, PriorWindows)
    assert trainer.batch.ensemble.mean().abs() < 0.05
    assert trainer.batch.ensemble.std() == pytest.approx(1.0, abs=0.05)


def test_a_trajectory_has_diverged_from_where_it_stays_farther_away_than_the_prior():
    prior = np.ones((3, 5))
    distance = np.array([[2.0, 0.5, 2.0, 2.0, np.inf], [2.0, 2.0, 2.0, 2.0, 0.5], [0.5, 0.5, 0.5, 0.5, 2.0]])
    assert _as_dataset(distance, distance, prior)["diverged_at"].values.tolist() == [2, -1, 4]


def test_the_figure_knows_the_runs_without_training():
    for filter_name in REFERENCES:
        attributes = run_linear_gaussian(linear_run(filter_name)).attrs
        assert (attributes["filter"], attributes["loss"]) == (filter_name, "none")
    assert set(REFERENCES) == {SAMPLING, CLASSICAL}
