"""Forecast models of DAPPER's modules."""

import importlib
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mnmef.systems import make_system
from mnmef.systems.from_dapper import describe_module, load_hmm, localizer_distances

NAMES = ["Lorenz63.sakov2012", "Lorenz84.harder", "Lorenz96.spantini2019", "Lorenz05.settings01", "KS.bocquet2019"]


@pytest.mark.parametrize("name", NAMES)
def test_steps_are_those_of_the_module_for_each_member_alone(name):
    system, hmm = make_system({"name": f"dapper:{name}"}), load_hmm(name)
    states = system.initial_states(3, np.random.default_rng(1))
    found = system.advance(torch.from_numpy(states).reshape(1, 3, -1), 4)[0].numpy()
    for start, end in zip(states, found, strict=True):
        state, dt = start.copy(), hmm.tseq.dt
        for step in range(4):
            state = hmm.Dyn(state, step * dt, dt)
        np.testing.assert_allclose(end, state, rtol=1e-12, atol=1e-12)
    assert (system.state_size, system.step_size) == (hmm.Nx, hmm.tseq.dt)


def test_first_states_are_of_x0_and_of_the_given_generator_alone():
    system = make_system({"name": "dapper:Lorenz96.sakov2008"})
    bits = importlib.import_module("dapper.tools.seeding").rng.bit_generator
    before = bits.state
    first, again, other = (system.initial_states(2000, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert bits.state == before
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    np.testing.assert_allclose(first.mean(0), np.eye(40)[0], atol=5e-3)
    np.testing.assert_allclose(first.var(0), 1e-3, rtol=0.2)


@pytest.mark.parametrize(
    ("name", "cycle", "grid", "observation"),
    [
        ("Lorenz96.sakov2008", 1, "periodic", {"components": list(range(40))}),
        ("Lorenz96.spantini2019", 20, "periodic", {"components": list(range(0, 40, 2)), "noise": [0.5**0.5] * 20}),
        ("KS.bocquet2019", 2, "periodic", {"components": list(range(128))}),
        ("Lorenz63.wiljes2017", 12, None, {"components": [0], "noise": [8**0.5]}),
        ("LA.small", 5, None, {"components": [0, 25, 50, 75], "noise": [0.1] * 4}),
        ("Lorenz96.anderson2009", 1, "dapper", {"function": "dapper"}),
        ("Lorenz96.todter2015", 2, "periodic", {"components": list(range(0, 80, 2)), "distribution": "laplace"}),
    ],
)
def test_a_module_says_what_is_observed_when_and_where(name, cycle, grid, observation):
    described = describe_module(name, has_observation=False)
    assert (described["steps_per_cycle"], described["grid"]) == (cycle, grid)
    assert described["observation"] == observation
    without = describe_module(name, has_observation=True)
    assert without["grid"] == (grid if grid == "periodic" else None)
    assert "observation" not in without


def test_the_process_noise_of_a_module_is_the_experiments(monkeypatch):
    # The module sets the forcing of all that DAPPER has of this system: afterwards it is what it was.
    monkeypatch.setattr("dapper.mods.Lorenz96.Force", 8.0)
    described = describe_module("Lorenz96.pinheiro2019", has_observation=True)
    hmm = load_hmm("Lorenz96.pinheiro2019")
    assert described["process_noise"]["per_step"] ** 2 == pytest.approx(hmm.tseq.dt * hmm.Dyn.noise.C.diag[0])


def test_distances_are_those_that_the_localizer_was_made_of():
    name = "Lorenz96.anderson2009"
    sites = importlib.import_module(f"dapper.mods.{name}").obs_sites
    gap = np.abs(np.arange(40)[:, None] - sites)
    found = localizer_distances(load_hmm(name).Obs(0), 40)
    np.testing.assert_allclose(found, np.minimum(gap, 40 - gap), rtol=0, atol=1e-9)


@pytest.mark.parametrize("unit", [1.0, 50.0, 1.1e5])
@pytest.mark.parametrize("by_batch", [False, True])
def test_distances_are_in_the_units_of_the_localizer(unit, by_batch):
    right = unit * np.abs(np.arange(40.0)[:, None] - np.arange(0, 40, 4))
    setup = importlib.import_module("dapper.tools.localization").localization_setup
    localizer = setup(lambda: right.T, np.arange(40)[:, None])
    found = localizer_distances(SimpleNamespace(M=10, localizer=localizer), 40, by_batch=by_batch)
    np.testing.assert_allclose(found, right, rtol=1e-9, atol=1e-9 * unit)


def test_distances_of_a_batch_are_the_mean_over_its_components():
    operator = load_hmm("Lorenz96.sakov2008").Obs(0)
    alone, batched = localizer_distances(operator, 40), localizer_distances(operator, 40, by_batch=True)
    np.testing.assert_allclose(batched, alone.reshape(20, 2, 40).mean(1).repeat(2, 0), rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("Lorenz96.sakov2009", {}, "unknown module of DAPPER 'Lorenz96.sakov2009'. Did you mean 'Lorenz96.sakov2008'"),
        ("Lorenz97", {}, "unknown module of DAPPER 'Lorenz97'. Did you mean 'Lorenz"),
        ("Lorenz96.extras", {}, "the module Lorenz96.extras of DAPPER has no HMM"),
        ("QG.sakov2008", {}, "system dapper:QG.sakov2008 cannot be imported: ModuleNotFoundError"),
        ("LA.raanes2015", {}, "correlated process noise"),
        ("Lorenz96.sakov2008", {"forcing": 9.0}, "has no options, but forcing"),
    ],
)
def test_what_is_no_model_is_refused_by_name(name, options, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        make_system({"name": f"dapper:{name}", **options})
