"""An experiment is its system, observed as its file says."""

import json

import numpy as np
import pytest
import torch

from mnmef.data.twin import simulate_split, simulate_training
from mnmef.experiments.description import describe
from mnmef.experiments.experiment import Experiment
from mnmef.experiments.files import read_experiment, shipped_experiments, titles
from mnmef.experiments.load import experiment_of, load_experiment
from mnmef.systems.from_dapper import describe_module, load_hmm


def states(experiment, count=4):
    return torch.from_numpy(experiment.initial_states(count, np.random.default_rng(0)))


def test_shipped_experiments_are_those_of_section_5_of_the_paper():
    found = {}
    for name in shipped_experiments("paper"):
        e = load_experiment(name)
        found[name] = (e.state_size, e.observed[:2], e.observation_size, e.system.step_size, e.steps_per_cycle, e.bound)
    assert found == {
        "ks": (128, (0, 8), 16, 0.25, 4, 10.0),
        "lorenz63": (3, (0,), 1, 0.03, 5, 60.0),
        "lorenz96": (40, (0, 4), 10, 0.03, 5, 20.0),
    }


def test_titles_are_in_the_order_of_figures():
    assert list(titles())[:3] == ["lorenz63", "lorenz96", "ks"]
    assert titles() == {name: load_experiment(name).title for name in titles()}


@pytest.mark.parametrize("name", shipped_experiments("paper"))
def test_a_cycle_is_the_steps_of_the_system_up_to_the_next_observation(name):
    experiment = load_experiment(name)
    state = stepped = states(experiment)
    for _ in range(experiment.steps_per_cycle):
        stepped = experiment.system.step(stepped)
    torch.testing.assert_close(experiment.propagate(state), stepped, rtol=1e-10, atol=1e-10)
    assert experiment.cycle_length == experiment.system.step_size * experiment.steps_per_cycle


@pytest.mark.parametrize("name", shipped_experiments("paper"))
def test_dynamics_in_single_precision_keep_the_dtype_and_agree_to_single_precision(name):
    fast, exact = load_experiment(name, model_dtype=torch.float32), load_experiment(name)
    state = states(exact)
    assert fast.propagate(state).dtype == torch.float64
    torch.testing.assert_close(fast.propagate(state), exact.propagate(state), rtol=1e-4, atol=1e-4)
    assert not torch.equal(fast.propagate(state), exact.propagate(state))


@pytest.mark.parametrize("name", ["lorenz96", "ks", "kolmogorov"])
def test_distances_are_cyclic_and_equal_dappers(name):
    from dapper.tools.localization import pairwise_distances

    experiment = load_experiment(name)
    places = np.stack(np.unravel_index(np.arange(experiment.state_size), experiment.grid_shape), -1)
    theirs = pairwise_distances(places, places[list(experiment.observed)], experiment.grid_shape)
    np.testing.assert_allclose(experiment.distances(), theirs, rtol=0.0 if experiment.is_periodic else 1e-15, atol=0)


def test_a_plane_is_a_square_of_points():
    description = {**load_experiment("lorenz96").description, "grid": "plane"}
    with pytest.raises(ValueError, match="grid = plane needs a square of points, not 40"):
        Experiment.from_description(description)


def test_distances_of_the_kolmogorov_flow_are_those_of_the_periodic_plane():
    experiment = load_experiment("kolmogorov")
    distances = experiment.distances()
    assert distances.shape == (4096, 64)
    # The observations are 8 points apart, so that none is farther than half the diagonal from one.
    assert (distances.argmin(1)[list(experiment.observed)] == range(64)).all()
    assert distances.min(1).max() == pytest.approx(4 * 2**0.5)
    assert distances.max() == pytest.approx(32 * 2**0.5)


def test_lorenz_63_has_no_distances():
    with pytest.raises(ValueError, match="no spatial grid"):
        load_experiment("lorenz63").distances()


def test_other_options_of_the_system_change_the_system_alone():
    experiment = load_experiment("lorenz96", torch.float32)
    other = experiment.with_system({"forcing": 9.0, "state_size": 80})
    assert (other.system.forcing, other.state_size, other.observed) == (9.0, 80, tuple(range(0, 80, 4)))
    assert (other.name, other.bound, other.model_dtype) == ("lorenz96", 20.0, torch.float32)
    assert (experiment.system.forcing, experiment.state_size) == (8.0, 40)
    with pytest.raises(ValueError, match=r"every = 4: must divide the number of components, 42"):
        experiment.with_system({"state_size": 42})


@pytest.mark.parametrize("name", shipped_experiments("paper"))
def test_data_say_which_experiment_they_are_of(name):
    experiment = load_experiment(name)
    splits = simulate_split(experiment, "tune", 1, 1, [1.0], 2, seed=0), simulate_training(experiment, 1, 1, seed=0)
    for split in splits:
        again = experiment_of(split, torch.float32)
        assert again.description == experiment.description == json.loads(split.attrs["description"])
        assert again.model_dtype == torch.float32
        assert torch.equal(again.propagate(states(again).float()), experiment.propagate(states(experiment).float()))


def test_an_experiment_of_its_own_needs_no_file():
    description = describe("lorenz63") | {"observation": {"components": [0, 2]}, "steps_per_cycle": 2}
    experiment = Experiment.from_description(description)
    assert (experiment.observed, experiment.observation_size) == ((0, 2), 2)
    assert experiment.cycle_length == pytest.approx(0.06)


def test_an_unknown_experiment_is_named_with_the_nearest_known_one():
    with pytest.raises(ValueError, match=r"'lorenz69'.*'lorenz9?6"):
        load_experiment("lorenz69")
    with pytest.raises(ValueError, match=r"'kss'.*'ks'"):
        read_experiment("kss")


def of_module(name, **given):
    described = {"name": "of_module", "bound": 20.0, "first_spread": 1.0, "system": {"name": f"dapper:{name}"}}
    return Experiment.from_description({**described, **describe_module(name, has_observation=False), **given})


def test_the_operator_noise_and_distances_of_a_module_of_dapper_are_its_own():
    experiment, operator = of_module("Lorenz96.anderson2009"), load_hmm("Lorenz96.anderson2009").Obs(0)
    states = np.random.default_rng(1).standard_normal((2, 3, 40))
    seen = experiment.observe(torch.from_numpy(states)).numpy()
    np.testing.assert_allclose(seen.reshape(6, 20), operator(states.reshape(6, 40)), rtol=0, atol=1e-12)
    assert experiment.observe(torch.from_numpy(states).float()).dtype == torch.float32
    for place, site in ((0, 16.2), (19, 23.8)):
        assert experiment.distances()[[16, 24], place] == pytest.approx([abs(16 - site), abs(24 - site)])
    np.testing.assert_allclose(of_module("Lorenz63.sakov2012").observation.covariance(), [2.0, 2.0, 2.0])
    assert of_module("Lorenz96.todter2015").observation.distribution == "laplace"


def test_dapper_as_the_operator_needs_a_system_of_dapper():
    other = {**describe("lorenz96"), "observation": {"function": "dapper"}}
    with pytest.raises(ValueError, match="the system is no module of DAPPER"):
        Experiment.from_description(other)
