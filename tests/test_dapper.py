"""Our filters in DAPPER's loop: beside its own, and against our loop on the same truths, observations and draws.

The tests run with the version of DAPPER that Python finds. docs/dapper.md says how to run them with another.
"""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import mnmef.dapper as ours
from mnmef.assimilation.cycling import run_filter
from mnmef.assimilation.metrics import relative_rmse
from mnmef.data.twin import load_trial, simulate_split
from mnmef.experiments.description import describe
from mnmef.experiments.experiment import Experiment
from mnmef.experiments.load import experiment_of, load_experiment
from mnmef.filters.classical import make_classical
from mnmef.filters.dapper_bridge import hidden_markov_model
from mnmef.filters.learned import make_learned
from mnmef.learning.checkpoints import load_checkpoint
from mnmef.observations import Observation

WEIGHTS = Path(__file__).parents[1] / "resources" / "weights"
CONV = WEIGHTS / "lorenz96_1.0" / "mnmef_conv_pretrained.safetensors"
CHECKOUT = os.environ.get("MNMEF_DAPPER")
SEED = 3


@pytest.fixture
def dapper(monkeypatch):
    """DAPPER, without live plots."""
    import dapper
    import dapper.da_methods

    monkeypatch.setattr(dapper.tools.progressbar, "disable_progbar", True)
    return dapper


def module(name, cycles):
    """The HMM of a module of DAPPER, for some cycles."""
    import importlib

    model = importlib.import_module(f"dapper.mods.{name}").HMM.copy()
    model.tseq.Ko = cycles - 1
    model.tseq.BurnIn = 0
    return model


def launched(dapper, model, *xps):
    """Run methods in DAPPER's own way, from the same seed, and return their averages."""
    from dapper.xp_launch import xpList

    batch = xpList(list(xps))
    for xp in batch:
        xp.seed = SEED
    batch.launch(model, save_as=False, liveplots=False)
    return [xp.avrgs for xp in batch]


# Pairs of ours and DAPPER's, by a function of DAPPER's methods.
PAIRS = {
    "enkf": lambda da: (ours.EnKF(N=20, infl=1.06), da.EnKF("PertObs", N=20, infl=1.06)),
    "esrf": lambda da: (ours.ESRF(N=12, infl=1.02, rot=True), da.EnKF("Sqrt", N=12, infl=1.02, rot=True)),
    "letkf": lambda da: (ours.LETKF(N=7, infl=1.04, loc_rad=2), da.LETKF(N=7, infl=1.04, loc_rad=2)),
    "ienkf": lambda da: (ours.IEnKS("PertObs", N=20, infl=1.1), da.iEnKS("PertObs", N=20, infl=1.1)),
    "ienks": lambda da: (ours.IEnKS("Sqrt", N=20, Lag=3, infl=1.02), da.iEnKS("Sqrt", N=20, Lag=3, infl=1.02)),
}


# Batches of two components, of one beside unobserved ones; observations between components; Laplace noise; operators
# without localizer; process noise, which no smoother takes.
MODULES = {
    "Lorenz96.sakov2008": PAIRS,
    "Lorenz96.miyoshi2011": PAIRS,
    "Lorenz96.anderson2009": PAIRS,
    "Lorenz96.todter2015": ["enkf", "letkf"],
    "Lorenz96.spectral_obs": ["enkf", "ienks"],
    "Lorenz63.sakov2012": [pair for pair in PAIRS if pair != "letkf"],
    "LA.raanes2015": ["enkf", "esrf"],
}


@pytest.mark.parametrize(("name", "pair"), [(name, pair) for name, pairs in MODULES.items() for pair in pairs])
def test_the_averages_are_dappers(dapper, name, pair):
    model = module(name, 10)
    mine, theirs = launched(dapper, model, *PAIRS[pair](dapper.da_methods))
    for key in ("err", "spread"):
        for kind in "fa":
            found, right = (getattr(getattr(each, key).rms, kind).val for each in (mine, theirs))
            assert found == pytest.approx(right, rel=1e-8)


def test_dappers_table_tells_ours_from_its_own(dapper):
    from dapper.xp_launch import xpList

    xps = xpList()
    xps += PAIRS["letkf"](dapper.da_methods)
    xps += ours.Learned(CONV, N=7)
    text = str(xps)
    assert xps.da_methods == ["mnmef.LETKF", "LETKF", "mnmef.Learned"]
    assert CONV.stem in text
    assert str(CONV.parent) not in text


EXPERIMENT = load_experiment("lorenz96")


def split_of(trajectories, cycles, experiment=EXPERIMENT):
    return simulate_split(experiment, "test", trajectories, cycles, [1.0], 10, seed=8)


def in_dappers_loop(dapper, xp, split, trajectory):
    """Analysis means (K, Nx) of a method in DAPPER's loop on a trajectory of a split, from a seed of its own."""
    first, seen, truth = (x[trajectory].numpy() for x in load_trial(split, 1.0, xp.N, torch.float64))
    model = hidden_markov_model(experiment_of(split), 1.0, first, len(seen))
    truths = np.zeros((model.tseq.K + 1, model.Nx))
    truths[model.tseq.kko] = truth
    dapper.set_seed(trajectory + 1)
    xp.assimilate(model, truths, seen, liveplots=False)
    return np.array(xp.stats.mu.a)


def in_our_loop(filter_, split, traced=0):
    """The record of `run_filter` in double precision, with the draws of trajectory t from DAPPER's seed t + 1."""
    rngs = [np.random.default_rng(seed + 1) for seed in range(split.sizes["trajectory"])]
    size = (10, split.sizes["observed"])
    with torch.no_grad():
        return run_filter(
            filter_,
            experiment_of(split),
            *load_trial(split, 1.0, 10, torch.float64),
            lambda: torch.from_numpy(np.stack([rng.standard_normal(size) for rng in rngs])),
            traced=traced,
        )


def method_and_filter(name, experiment=EXPERIMENT, inflation=1.04, radius=1.0):
    """A method in DAPPER's loop, and the filter for ours."""
    if name == "letkf":
        filter_ = make_classical("letkf", experiment, 1.0, inflation, radius)
        return ours.LETKF(N=10, infl=inflation, loc_rad=radius), filter_
    if name == "mnmef_local":  # each observation in two passes
        filter_ = make_learned("mnmef_local", experiment, 1.0, {"passes": 2, "first_inflation": 1.1})
        return ours.Learned(filter_, N=10), filter_.double()
    return ours.Learned(CONV, N=10), load_checkpoint(CONV).double()


@pytest.mark.parametrize("name", ["mnmef_conv", "mnmef_local", "letkf"])
def test_twenty_cycles_in_dappers_loop_are_those_of_ours(dapper, name):
    split, (xp, filter_) = split_of(2, 20), method_and_filter(name)
    record = in_our_loop(filter_, split, traced=2)
    for each in range(2):
        theirs = in_dappers_loop(dapper, xp, split, each)
        np.testing.assert_allclose(theirs, record.mean[each].numpy(), rtol=0, atol=1e-5)


# The LETKF where all is observed: with every fourth, two runs that differ by rounding have nothing in
# common after 200 cycles, and their scores over eight trajectories differ by more than 2 %.
@pytest.mark.slow
@pytest.mark.parametrize("name", ["mnmef_conv", "letkf"])
def test_the_score_over_eight_trajectories_is_that_of_our_loop(dapper, name):
    experiment, burn_in = EXPERIMENT, 50
    if name == "letkf":
        experiment = Experiment.from_description({**describe("lorenz96"), "observation": {"every": 1}})
    split, (xp, filter_) = split_of(8, 300, experiment), method_and_filter(name, experiment, 1.1, 4.0)
    record, truth = in_our_loop(filter_, split), split["truth"].values
    errors = np.stack([in_dappers_loop(dapper, xp, split, each) for each in range(8)]) - truth
    norm = np.linalg.norm(truth, axis=-1)[:, burn_in:]
    theirs = relative_rmse(np.linalg.norm(errors, axis=-1)[:, burn_in:], norm).mean()
    assert theirs == pytest.approx(relative_rmse(record.error_norm.numpy()[:, burn_in:], norm).mean(), rel=0.02)


def test_a_filter_object_stays_as_it_is(dapper):
    filter_ = load_checkpoint(CONV)
    in_dappers_loop(dapper, ours.Learned(filter_, N=10), split_of(1, 2), 0)
    assert {parameter.dtype for parameter in filter_.parameters()} == {torch.float32}


def test_a_classical_filter_object_is_one_too(dapper):
    split = split_of(1, 4)
    xps = [
        ours.ESRF(N=10, infl=1.1),
        ours.Learned(make_classical("esrf", EXPERIMENT, 1.0, 1.0), N=10, infl=1.1),
    ]
    means = [in_dappers_loop(dapper, xp, split, 0) for xp in xps]
    np.testing.assert_allclose(means[0], means[1], rtol=0, atol=1e-12)


def observed_by(dapper, model, *operators):
    """The model with operators of DAPPER that take turns."""

    def at(ko):
        return operators[ko % len(operators)]

    dependent = dapper.mods.TimeDependentOperator
    model.Obs = dependent(time_dependent=at) if dapper.__version__ < "1.8" else dependent(at)
    return model


def test_an_operator_that_depends_on_time_is_followed(dapper):
    mods, model = dapper.mods, module("Lorenz96.sakov2008", 8)
    picked = [mods.partial_Id_Obs(40, np.arange(start, 40, 4)) for start in range(4)]
    observed_by(dapper, model, *(mods.Operator(**each, noise=1.0 + place) for place, each in enumerate(picked)))
    mine, theirs = launched(dapper, model, *PAIRS["enkf"](dapper.da_methods))
    assert mine.err.rms.a.val == pytest.approx(theirs.err.rms.a.val, rel=1e-8)


@pytest.mark.parametrize("pair", ["enkf", "esrf", "ienkf", "ienks"])
def test_an_operator_that_is_not_linear_and_correlated_noise_are_dappers(dapper, pair):
    mods, model = dapper.mods, module("Lorenz63.sakov2012", 10)
    covariance = mods.GaussRV(C=np.array([[2.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 8.0]]))
    observed_by(dapper, model, mods.Operator(M=3, model=lambda x: 20 * np.arctan(x / 20), noise=covariance))
    mine, theirs = launched(dapper, model, *PAIRS[pair](dapper.da_methods))
    assert mine.err.rms.a.val == pytest.approx(theirs.err.rms.a.val, rel=1e-8)


def test_what_is_missing_is_not_observed_and_a_time_without_observations_is_a_forecast(dapper):
    """The same as an operator that does not see it; DAPPER's own methods cannot have it."""
    mods, model = dapper.mods, module("Lorenz96.sakov2008", 6)
    truth, seen = model.simulate()
    half = mods.Operator(**mods.partial_Id_Obs(40, np.arange(0, 40, 2)), noise=1.0)
    smaller = observed_by(dapper, module("Lorenz96.sakov2008", 6), half)
    gaps = np.array([np.where(np.arange(40) % 2, np.nan, np.asarray(each, float)) for each in seen])
    gaps[3] = np.nan
    means = []
    for each, observations in ((model, gaps), (smaller, gaps[:, ::2])):
        xp = ours.ESRF(N=8, infl=1.1)
        dapper.set_seed(SEED)
        xp.assimilate(each, truth, observations)
        means.append(np.array(xp.stats.mu.a))
        np.testing.assert_array_equal(xp.stats.mu.a[3], xp.stats.mu.f[3])
    np.testing.assert_allclose(means[0], means[1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("made", [ours.LETKF(N=3, loc_rad=2.0), ours.IEnKS("Sqrt", N=3), ours.Learned(CONV, N=3)])
def test_a_method_is_pickled_for_runs_side_by_side(made):
    again = pickle.loads(pickle.dumps(made))
    assert (type(again), vars(again)) == (type(made), vars(made))


@pytest.mark.parametrize(
    ("name", "xp", "said"),
    [
        ("Lorenz96.bocquet2010", ours.LETKF(N=4, loc_rad=2), "has no localizer"),
        ("Lorenz96.sakov2008", ours.Learned(CONV, N=4), r"trained with observed = \[0, 4, .*has observed = \[0, 1, "),
        ("Lorenz63.sakov2012", ours.Learned(CONV, N=4), "trained with components = 40, .* has components = 3"),
        ("LA.raanes2015", ours.IEnKS("Sqrt", N=4), "process noise"),
    ],
)
def test_what_a_filter_cannot_serve_is_refused(dapper, name, xp, said):
    model = module(name, 2)
    truth, seen = model.simulate()
    with pytest.raises(ValueError, match=said):
        xp.assimilate(model, truth, seen)


@pytest.mark.parametrize("key", ["sigma_y", "interval", "noise", "function"])
def test_other_observations_and_another_interval_are_refused_by_name(dapper, key):
    experiment = load_experiment("lorenz96")
    if key == "interval":
        experiment.steps_per_cycle = 3
    if key == "noise":
        experiment.observation = Observation(40, range(0, 40, 4), noise=[1.0] * 9 + [2.0])
    filter_ = load_checkpoint(CONV)
    if key == "function":
        filter_.experiment.observation.function = "arctan"
    model = hidden_markov_model(experiment, 2.0 if key == "sigma_y" else 1.0, np.eye(4, 40), 2)
    with pytest.raises(ValueError, match=f"trained with {key} = "):
        ours.Learned(filter_, N=4).assimilate(model, np.zeros((model.tseq.K + 1, 40)), np.zeros((2, 10)))


@pytest.mark.skipif(
    not CHECKOUT, reason="MNMEF_DAPPER names no checkout of another version of DAPPER, such as 1.8: see docs/dapper.md"
)
def test_another_version_of_dapper_does_the_same(root):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "tests/test_dapper.py", "tests/systems/test_from_dapper.py"],
        env={**os.environ, "PYTHONPATH": CHECKOUT, "MNMEF_DAPPER": ""},
        cwd=root,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
