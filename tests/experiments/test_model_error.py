"""A truth of another system than the forecasts: a model error that the experiment's file declares."""

import numpy as np
import pytest
import torch

from mnmef.data.twin import simulate_split, simulate_training
from mnmef.experiments.description import describe
from mnmef.experiments.experiment import Experiment
from mnmef.experiments.load import load_experiment


def steps_of(truth, propagate):
    """Return states (W, L, Nx) one cycle after all but the last of `truth` (W, L + 1, Nx), and what followed there."""
    states = torch.from_numpy(truth).double()
    return propagate(states[:, :-1]), states[:, 1:]


@pytest.mark.parametrize("split", ["train", "test"])
def test_truths_have_the_options_that_the_file_gives_them_and_forecasts_their_own(split):
    experiment = load_experiment("lorenz96_forcing")
    assert (experiment.of_truth().system.forcing, experiment.system.forcing) == (8.0, 9.0)
    if split == "train":
        truth = simulate_training(experiment, 2, 3, seed=1)["truth"].values
    else:
        truth = simulate_split(experiment, "test", 2, 4, [1.0], 5, seed=1)["truth"].values
    right, followed = steps_of(truth, load_experiment("lorenz96").propagate)
    torch.testing.assert_close(right, followed, rtol=0, atol=1e-4)
    forecast, _ = steps_of(truth, experiment.propagate)
    assert (forecast - followed).abs().mean() == pytest.approx(
        0.15, rel=0.15
    )  # a forcing of 1 more, for 0.15 time units


def test_the_slow_variables_of_a_larger_system_are_the_truth():
    experiment = load_experiment("lorenz96_twoscale")
    larger = experiment.of_truth()
    assert (larger.state_size, larger.cycle_length) == (440, pytest.approx(experiment.cycle_length))
    split = simulate_split(experiment, "test", 1, 3, [1.0], 5, seed=1)
    assert split["truth"].shape == (1, 3, 40)
    assert split["first_ensemble"].shape == (1, 5, 40)
    assert np.abs(split["truth"].values).max() < experiment.bound


def test_an_experiment_without_it_is_its_own_truth():
    experiment = load_experiment("lorenz96")
    assert experiment.of_truth() is experiment


@pytest.mark.parametrize(
    ("truth", "more", "said"),
    [
        ({"state_size": 36}, {}, "has 36 components, and must have at least the 40 of forecasts"),
        ({"step_size": 0.04}, {}, "has step_size = 0.04, which must divide 0.15"),
        ({"forced": 8.0}, {}, "forced"),
        ({"name": "lorenz95"}, {}, "lorenz96"),
        ({"state_size": 44}, {"process_noise": {"per_step": 0.1}}, "no process noise"),
    ],
)
def test_a_truth_that_does_not_fit_is_named(truth, more, said):
    experiment = Experiment.from_description({**describe("lorenz96"), "truth": truth, **more})
    with pytest.raises(ValueError, match=said):
        experiment.of_truth()
