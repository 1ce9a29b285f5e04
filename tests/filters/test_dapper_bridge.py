"""DAPPER behind our interface."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from mnmef.data.twin import simulate_split
from mnmef.filters.dapper_bridge import DAPPER_METHODS, dapper_step, run_dapper, run_dapper_with_ensembles
from mnmef.systems import SYSTEMS, make_system


@pytest.fixture(scope="module")
def splits():
    return {name: simulate_split(name, "tune", 1, 6, [1.0], 8, seed=6) for name in SYSTEMS}


def run(split, method, function=run_dapper, cycles=None, **options):
    first, observation = split["first_ensemble"].values[0], split["observation"].values[0, 0, :cycles]
    return function(method, make_system(split.attrs["system"]), 1.0, first, observation, **options)


METHODS = [
    (system, method, {"localization_radius": 3.0} if method == "letkf" else {})
    for system in SYSTEMS
    for method in DAPPER_METHODS
    if method != "letkf" or system != "lorenz63"
]


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_model_steps_are_ours(name):
    system = make_system(name)
    state = system.initial_states(3, np.random.default_rng(0))
    theirs = dapper_step(name)(state, 0.0, system.step_size)
    np.testing.assert_allclose(theirs, system.step(torch.from_numpy(state)).numpy(), rtol=0, atol=1e-11)


@pytest.mark.parametrize(("system", "method", "options"), METHODS)
def test_recorded_ensembles_have_the_means_that_dapper_reports(splits, system, method, options):
    means = run(splits[system], method, inflation=1.1, seed=3, **options)
    recorded = run(splits[system], method, run_dapper_with_ensembles, inflation=1.1, seed=3, **options)
    assert recorded.failure is None
    assert recorded.ensemble.shape == (6, 8, make_system(system).state_size)
    np.testing.assert_allclose(recorded.mean, means, rtol=0, atol=1e-10)
    # A filter does not see the future: a shorter run is the beginning of a longer one.
    single = run(splits[system], method, cycles=1, inflation=1.1, seed=3, **options)
    np.testing.assert_allclose(single, means[:1], rtol=0, atol=1e-10)


def test_recorded_ensembles_are_those_after_inflation(splits):
    plain, inflated = (
        run(splits["lorenz96"], "esrf", run_dapper_with_ensembles, cycles=1, inflation=f).ensemble[0]
        for f in (1.0, 1.3)
    )
    expected = plain.mean(0) + 1.3 * (plain - plain.mean(0))
    np.testing.assert_allclose(inflated, expected, rtol=0, atol=1e-10)


def test_recording_leaves_dapper_as_it_was(splits):
    from dapper.stats import Stats

    before = Stats.assess
    run(splits["lorenz63"], "enkf", run_dapper_with_ensembles, inflation=1e200)
    assert Stats.assess is before


def test_the_same_seed_gives_the_same_means_and_another_seed_others(splits):
    a, b, c = (run(splits["lorenz63"], "enkf", seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(a, b)
    assert not np.allclose(a, c)
    assert a.shape == (6, 3)


def test_the_input_is_not_changed(splits):
    first = splits["lorenz96"]["first_ensemble"].values[0].astype(float)
    observations = splits["lorenz96"]["observation"].values[0, 0].astype(float)
    copies = first.copy(), observations.copy()
    run_dapper("letkf", make_system("lorenz96"), 1.0, first, observations, localization_radius=2.0)
    np.testing.assert_array_equal(first, copies[0])
    np.testing.assert_array_equal(observations, copies[1])


@pytest.mark.parametrize(("system", "method", "options"), METHODS)
def test_a_run_that_breaks_down_is_nan_throughout_and_says_why(splits, system, method, options):
    assert np.isnan(run(splits[system], method, inflation=1e200, **options)).all()
    recorded = run(splits[system], method, run_dapper_with_ensembles, inflation=1e200, **options)
    assert np.isnan(recorded.ensemble).all()
    assert np.isnan(recorded.mean).all()
    assert recorded.failure


def test_a_run_prints_nothing():
    program = """
import numpy as np
from mnmef.filters.dapper_bridge import run_dapper
from mnmef.systems import make_system
system = make_system("lorenz63")
first = 5 + np.random.default_rng(1).standard_normal((5, 3))
for inflation in (1.0, 1e200):
    run_dapper("ienkf_sqrt", system, 1.0, first, np.ones((5, 1)), inflation=inflation)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == done.stderr == ""


def test_a_method_that_dapper_does_not_have_is_named(splits):
    with pytest.raises(ValueError, match="enkf_localized is ours alone"):
        run(splits["lorenz63"], "enkf_localized", localization_radius=2.0)
    with pytest.raises(ValueError, match=r"'enkff'.*Did you mean 'enkf'"):
        run(splits["lorenz63"], "enkff")


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("letkf", {}, "letkf needs a localization radius"),
        ("letkf", {"localization_radius": 0.0}, "radius must be positive"),
        ("esrf", {"localization_radius": 2.0}, "esrf does not use a localization radius"),
        ("esrf", {"inflation": 0.9}, "inflation at least 1"),
        ("esrf", {"seed": 0}, "seed must be at least 1"),
        ("esrf", {"first": np.zeros((1, 40))}, "must be .N >= 2, 40., not .1, 40."),
        ("esrf", {"first": np.zeros((4, 3))}, "must be .N >= 2, 40., not .4, 3."),
        ("esrf", {"first": np.full((4, 40), np.nan)}, "must be finite"),
        ("esrf", {"observations": np.zeros((5, 4))}, "must be .K >= 1, 10., not .5, 4."),
        ("esrf", {"observations": np.full((5, 10), np.inf)}, "must be finite"),
    ],
)
def test_wrong_input_is_an_error_and_no_divergence(method, options, message):
    arguments = {
        "first": np.random.default_rng(0).standard_normal((4, 40)),
        "observations": np.zeros((5, 10)),
    } | options
    with pytest.raises(ValueError, match=message):
        run_dapper(
            method, make_system("lorenz96"), 1.0, arguments.pop("first"), arguments.pop("observations"), **arguments
        )
