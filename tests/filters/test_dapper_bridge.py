"""DAPPER behind our interface."""

import contextlib
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mnmef.data.twin import simulate_split
from mnmef.experiments.files import shipped_experiments
from mnmef.experiments.load import experiment_of, load_experiment
from mnmef.filters.classical import Setting
from mnmef.filters.dapper_bridge import (
    DAPPER_METHODS,
    assimilation_error,
    dapper_method,
    dapper_step,
    hidden_markov_model,
    run_dapper,
)


@pytest.fixture(scope="module")
def splits():
    return {
        name: simulate_split(load_experiment(name), "tune", 1, 6, [1.0], 8, seed=6)
        for name in shipped_experiments("paper")
    }


def run(split, method, function=run_dapper, cycles=None, inflation=1.0, localization_radius=None, **options):
    first, observation = split["first_ensemble"].values[0], split["observation"].values[0, 0, :cycles]
    return function(
        method, experiment_of(split), 1.0, first, observation, Setting(inflation, localization_radius), **options
    )


@contextlib.contextmanager
def recorded_analyses(xp, ensembles):
    """Copy every analysis ensemble that `xp` hands to its statistics into `ensembles` (K, N, Nx).

    DAPPER makes the statistics object when the run starts and offers no hook, so its class is wrapped during the run.
    """
    from dapper.stats import Stats

    original = Stats.assess

    def assess(stats, k, ko=None, kind=None, *args, **kwargs):
        # Filters name no kind for what follows an analysis; smoothers say "a", and "s" for what they have smoothed.
        if stats.xp is xp and ko is not None and (kind is None or "a" in kind):
            ensembles[ko] = kwargs["E"]
        original(stats, k, ko, kind, *args, **kwargs)

    Stats.assess = assess
    try:
        yield
    finally:
        Stats.assess = original


def run_with_ensembles(method, experiment, sigma_y, first, observations, setting, *, lag=2, seed=1):
    """As `run_dapper`, with the analysis ensembles, which DAPPER does not keep, and the text of the failure or None."""
    model = hidden_markov_model(experiment, sigma_y, first.astype(float), len(observations))
    xp = dapper_method(method, len(first), setting, lag)
    ensembles = np.full((len(observations), *first.shape), np.nan)
    with recorded_analyses(xp, ensembles):
        failure = assimilation_error(xp, model, observations, seed)
    if failure is None and not np.isfinite(ensembles).all():
        failure = "the ensemble became non-finite"
    if failure is not None:
        ensembles[:] = np.nan
    return SimpleNamespace(mean=ensembles.mean(1), ensemble=ensembles, failure=failure)


METHODS = [
    (experiment, method, {"localization_radius": 3.0} if method == "letkf" else {})
    for experiment in shipped_experiments("paper")
    for method in DAPPER_METHODS
    if method != "letkf" or experiment != "lorenz63"
]


@pytest.mark.parametrize("name", shipped_experiments("paper"))
def test_the_model_steps_are_ours(name):
    experiment = load_experiment(name)
    state = experiment.initial_states(3, np.random.default_rng(0))
    system = experiment.system
    theirs = dapper_step(system)(state, 0.0, system.step_size)
    np.testing.assert_allclose(theirs, system.step(torch.from_numpy(state)).numpy(), rtol=0, atol=1e-11)


@pytest.mark.parametrize(
    ("name", "options"), [("lorenz63", {"rho": 30.0}), ("lorenz96", {"forcing": 9.0}), ("ks", {"state_size": 64})]
)
def test_a_model_with_parameters_that_dapper_does_not_have_is_refused(name, options):
    with pytest.raises(ValueError, match=f"DAPPER has no model of .*{next(iter(options))}"):
        dapper_step(load_experiment(name).with_system(options).system)


@pytest.mark.parametrize(("experiment", "method", "options"), METHODS)
def test_recorded_ensembles_have_the_means_that_dapper_reports(splits, experiment, method, options):
    means = run(splits[experiment], method, inflation=1.1, seed=3, **options)
    recorded = run(splits[experiment], method, run_with_ensembles, inflation=1.1, seed=3, **options)
    assert recorded.failure is None
    assert recorded.ensemble.shape == (6, 8, load_experiment(experiment).state_size)
    np.testing.assert_allclose(recorded.mean, means, rtol=0, atol=1e-10)
    # A filter does not see the future: a shorter run is the beginning of a longer one.
    single = run(splits[experiment], method, cycles=1, inflation=1.1, seed=3, **options)
    np.testing.assert_allclose(single, means[:1], rtol=0, atol=1e-10)


def test_recorded_ensembles_are_those_after_inflation(splits):
    plain, inflated = (
        run(splits["lorenz96"], "esrf", run_with_ensembles, cycles=1, inflation=f).ensemble[0] for f in (1.0, 1.3)
    )
    expected = plain.mean(0) + 1.3 * (plain - plain.mean(0))
    np.testing.assert_allclose(inflated, expected, rtol=0, atol=1e-10)


def test_recording_leaves_dapper_as_it_was(splits):
    from dapper.stats import Stats

    before = Stats.assess
    run(splits["lorenz63"], "enkf", run_with_ensembles, inflation=1e200)
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
    run_dapper("letkf", load_experiment("lorenz96"), 1.0, first, observations, Setting(1.0, 2.0))
    np.testing.assert_array_equal(first, copies[0])
    np.testing.assert_array_equal(observations, copies[1])


@pytest.mark.parametrize(("experiment", "method", "options"), METHODS)
def test_a_run_that_breaks_down_is_nan_throughout_and_says_why(splits, experiment, method, options):
    assert np.isnan(run(splits[experiment], method, inflation=1e200, **options)).all()
    recorded = run(splits[experiment], method, run_with_ensembles, inflation=1e200, **options)
    assert np.isnan(recorded.ensemble).all()
    assert np.isnan(recorded.mean).all()
    assert recorded.failure


def test_a_run_prints_nothing():
    program = """
import numpy as np
from mnmef.filters.classical import Setting
from mnmef.filters.dapper_bridge import run_dapper
from mnmef.experiments.load import experiment_of, load_experiment
experiment = load_experiment("lorenz63")
first = 5 + np.random.default_rng(1).standard_normal((5, 3))
for inflation in (1.0, 1e200):
    run_dapper("ienkf_sqrt", experiment, 1.0, first, np.ones((5, 1)), Setting(inflation))
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
    options = dict(options)
    first, observations = np.random.default_rng(0).standard_normal((4, 40)), np.zeros((5, 10))
    first, observations = options.pop("first", first), options.pop("observations", observations)
    setting = Setting(options.pop("inflation", 1.0), options.pop("localization_radius", None))
    with pytest.raises(ValueError, match=message):
        run_dapper(method, load_experiment("lorenz96"), 1.0, first, observations, setting, **options)
