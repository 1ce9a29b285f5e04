"""Analyses of observations of any kind: functions of the state, unequal and correlated noise, missing values."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mnmef.assimilation.cycling import run_filter
from mnmef.core.names import METHODS
from mnmef.experiments.load import load_experiment
from mnmef.filters.classical import CLASSICAL_METHODS, LOCALIZED_METHODS, Setting, make_classical
from mnmef.filters.dapper_bridge import dapper_method, hidden_markov_model
from mnmef.filters.ienks import IEnKS
from mnmef.filters.mnmef import Mnmef
from mnmef.filters.mnmef_conv import ConvOptions, MnmefConv
from mnmef.observations import Observation

SIGMA, MEMBERS, COUNT = 0.7, 8, 3
SIZE = 10


def covariance(size):
    """A covariance with correlations that fall off with distance, and unequal variances."""
    lags, scale = np.abs(np.subtract.outer(np.arange(size), np.arange(size))), 0.5 + np.arange(size) / size
    return 0.6**lags * np.outer(scale, scale)


NOISES = {"equal": None, "unequal": 0.5 + np.arange(SIZE) / SIZE, "correlated": covariance(SIZE)}
FUNCTIONS = ("identity", "arctan", "square")


def observing(function="identity", noise=None, components=range(0, 40, 4)):
    """Lorenz '96 with another observation."""
    experiment = load_experiment("lorenz96")
    return replace(experiment, observation=Observation(40, components, function, noise=noise))


def twin(experiment, spread=1.0, seed=0):
    """Forecasts (T, N, Nx) about truths on the attractor, observations (T, d) and draws (T, N, d)."""
    rng = np.random.default_rng(seed)
    truth = torch.from_numpy(experiment.initial_states(COUNT, rng))
    for _ in range(60):
        truth = experiment.propagate(truth)
    forecast = truth.unsqueeze(1) + spread * torch.from_numpy(rng.standard_normal((COUNT, MEMBERS, 40)))
    seen = experiment.observe(truth)
    draws = torch.from_numpy(rng.standard_normal((COUNT, MEMBERS, seen.shape[-1])))
    return forecast, seen + SIGMA * torch.from_numpy(rng.standard_normal(seen.shape)), draws


def make(method, experiment, inflation=1.05):
    inflation = inflation if METHODS[method].inflates else 1.0
    return make_classical(method, experiment, SIGMA, inflation, 3.0 if method in LOCALIZED_METHODS else None)


def same_draws(draws, noise):
    """Draws (N, d) of ours that give the perturbations which DAPPER makes of `draws`, by another root of R."""
    return draws @ noise.C.Right @ noise.C.sym_sqrt_inv


kinds = pytest.mark.parametrize(
    ("function", "noise"), [(f, n) for f in FUNCTIONS for n in NOISES if (f, n) != ("identity", "equal")]
)


@kinds
@pytest.mark.parametrize("method", ["letkf", "esrf", "enkf"])
def test_every_member_of_an_analysis_is_dappers(method, function, noise):
    from dapper.da_methods.ensemble import EnKF_analysis, local_analyses, post_process
    from dapper.tools.seeding import set_seed

    experiment = observing(function, NOISES[noise])
    forecast, observation, draws = twin(experiment)
    e, y = forecast[0].numpy().copy(), observation[0].numpy()
    model = hidden_markov_model(experiment, SIGMA, e, 1)
    obs = model.Obs(0)
    if method == "letkf":
        theirs, _ = local_analyses(e.copy(), obs(e), obs.noise.C, y, *obs.localizer(3.0, "x2y"))
    else:
        drawn = set_seed(3).standard_normal(draws.shape[1:])
        draws = torch.from_numpy(same_draws(drawn, obs.noise))[None]
        set_seed(3)
        theirs = EnKF_analysis(e, obs(e), obs.noise, y, "PertObs" if method == "enkf" else "Sqrt")
    ours = make(method, experiment).analyze(forecast[:1], observation[:1], experiment, draws[:1])
    np.testing.assert_allclose(ours[0].numpy(), post_process(theirs, 1.05, False), rtol=0, atol=1e-8)


@kinds
@pytest.mark.parametrize(("form", "lag"), [("Sqrt", 1), ("Sqrt", 2), ("PertObs", 1)])
def test_every_window_of_the_iterative_smoothers_is_dappers(form, lag, function, noise):
    from dapper.da_methods.variational import iEnKS_update
    from dapper.tools.seeding import set_seed

    class Recorder:
        def __init__(self):
            self.iters = {}

        def assess(self, k, ko, kind, **given):
            if kind == "a":
                self.analysis = given["E"]

    experiment = observing(function, NOISES[noise])
    first, _, _ = twin(experiment, spread=0.3)
    first = first[:1]
    model = hidden_markov_model(experiment, SIGMA, first[0].numpy(), 3)
    filter_ = IEnKS(SIGMA, 1.0, lag=lag, perturbed=form == "PertObs")
    carry, truth = filter_.start(first), first.mean(1)
    for k in range(3):
        truth = experiment.propagate(truth)
        observation = experiment.observe(truth) + SIGMA / 2
        recorder, root = Recorder(), model.Obs(0).noise.C.sym_sqrt_inv
        set_seed(k + 1)
        window = range(max(0, k - lag + 1), k + 1)
        settings = root, None, False, (10, 0)  # R^-1/2, no adaptive inflation, not MDA, iterations and their tolerance
        start = carry[0][0].numpy().copy()
        iEnKS_update(form, start, window, model, recorder, 1.0, observation[0].numpy(), (0, k, 0.0), *settings)
        draws = torch.from_numpy(set_seed(k + 1).standard_normal((MEMBERS, SIZE)))[None]
        result = filter_.cycle(carry, observation, experiment, draws)
        carry = result.carry
        np.testing.assert_allclose(result.analysis[0].numpy(), recorder.analysis, rtol=0, atol=1e-8)


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("method", CLASSICAL_METHODS)
def test_a_mask_equals_the_smaller_operator(method, function, noise):
    experiment, kept = observing(function, NOISES[noise]), [0, 1, 4, 7, 8]
    part = NOISES[noise]
    if part is not None:
        part = part[kept] if part.ndim == 1 else part[np.ix_(kept, kept)]
    smaller = observing(function, part, [4 * i for i in kept])
    # The stochastic iteration amplifies rounding where anomalies are many sigma_y, as those of squares soon are.
    first, _, draws = twin(experiment, spread=0.03)
    observation = experiment.observe(experiment.propagate(first.mean(1))) + SIGMA / 2
    masked = torch.full_like(observation, torch.nan)
    masked[:, kept] = observation[:, kept]
    whole, small = make(method, experiment), make(method, smaller)
    ours = whole.cycle(whole.start(first), masked, experiment, draws)
    theirs = small.cycle(small.start(first), observation[:, kept], smaller, draws[..., kept])
    torch.testing.assert_close(ours.analysis, theirs.analysis, rtol=0, atol=1e-12)


@pytest.mark.parametrize("function", ["identity", "arctan"])
@pytest.mark.parametrize("method", ["esrf", "letkf", "ienkf_sqrt", "ienks"])
def test_a_network_that_changes_with_time_is_dappers(method, function):
    import dapper.mods as mods
    from dapper.tools.localization import nd_Id_localization

    experiment, cycles, kept = observing(function), 6, lambda k: np.flatnonzero((np.arange(SIZE) + k) % 3)
    first, _, _ = twin(experiment, spread=0.3)
    first, truth, observations = first[:1], [first[:1].mean(1)], np.full((cycles, SIZE), np.nan)
    for k in range(cycles):
        truth.append(experiment.propagate(truth[-1]))
        observations[k, kept(k)] = experiment.observe(truth[-1])[0, kept(k)] + SIGMA / 2

    def operator(k):
        smaller = observing(function, components=[4 * int(i) for i in kept(k)])
        there = np.array(smaller.observed)
        return mods.Operator(
            M=len(there),
            model=lambda e: smaller.observe(torch.from_numpy(e)).numpy(),
            noise=SIGMA**2,
            localizer=nd_Id_localization((40,), (1,), there),
        )

    constant = hidden_markov_model(experiment, SIGMA, first[0].numpy(), cycles)
    model = mods.HiddenMarkovModel(constant.Dyn, {"time_dependent": operator}, constant.tseq, constant.X0)
    xp = dapper_method(method, MEMBERS, Setting(1.05, 3.0 if method == "letkf" else None))
    seen = np.empty(cycles, dtype=object)
    seen[:] = [observations[k, kept(k)] for k in range(cycles)]
    xp.assimilate(model, np.zeros((constant.tseq.K + 1, 40)), seen)
    filter_, unknown = make(method, experiment), torch.zeros(1, cycles, 40, dtype=torch.float64)
    ours = run_filter(filter_, experiment, first, torch.from_numpy(observations)[None], unknown, traced=1).mean
    np.testing.assert_allclose(ours[0].numpy(), np.array(xp.stats.mu.a), rtol=0, atol=1e-8)


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("method", [m for m in CLASSICAL_METHODS if METHODS[m].inflates])
def test_each_ensemble_of_a_batch_has_its_own_mask(method, noise):
    experiment = observing("arctan", NOISES[noise])
    first, observation, draws = twin(experiment, spread=0.3)
    observation[0, 3:] = observation[1, :8] = observation[2] = torch.nan
    filter_ = make(method, experiment)
    together = filter_.cycle(filter_.start(first), observation, experiment, draws).analysis
    for t in range(COUNT):
        alone = filter_.cycle(filter_.start(first[t]), observation[t], experiment, draws[t])
        torch.testing.assert_close(together[t], alone.analysis, rtol=0, atol=1e-12)
    torch.testing.assert_close(together[2], experiment.propagate(first[2]), rtol=0, atol=1e-13)


@pytest.mark.parametrize("method", [m for m in CLASSICAL_METHODS if METHODS[m].inflates or m == "particle"])
def test_a_run_without_observations_is_a_forecast(method):
    experiment = observing()
    first, _, draws = twin(experiment, spread=0.3)
    nothing = torch.full((COUNT, 4, SIZE), torch.nan, dtype=torch.float64)
    ensembles = []
    run_filter(
        make(method, experiment),
        experiment,
        first,
        nothing,
        torch.zeros(COUNT, 4, 40, dtype=torch.float64),
        lambda: draws,
        on_cycle=lambda k, result, truth: ensembles.append(result.analysis),
    )
    expected = first
    for analysis in ensembles:
        expected = experiment.propagate(expected)
        torch.testing.assert_close(analysis, expected, rtol=0, atol=1e-11)


def random_weights(make, experiment):
    """A learned filter with random weights."""
    torch.manual_seed(0)
    filter_ = make(experiment, SIGMA).double()
    with torch.no_grad():
        for parameter in filter_.parameters():
            parameter.normal_(0.0, 0.1)
    return filter_


def conv(experiment, sigma_y):
    return MnmefConv(experiment, sigma_y, ConvOptions(channels=6, layers=2, patch=2, reach=8))


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("make", [Mnmef, conv])
def test_what_is_missing_has_no_weight_in_a_learned_analysis_and_nothing_missing_keeps_it(make, noise):
    experiment = observing("identity", NOISES[noise])
    first, observation, draws = twin(experiment)
    filter_ = random_weights(make, experiment)
    full = filter_.cycle(first, observation, experiment, draws).analysis
    masked = observation.clone()
    masked[0, 3:] = masked[1] = torch.nan
    result = filter_.cycle(first, masked, experiment, draws)
    assert bool(result.analysis.isfinite().all())
    torch.testing.assert_close(result.analysis[2], full[2], rtol=0, atol=1e-12)
    assert not torch.allclose(result.analysis[0], full[0])
    assert torch.equal(result.analysis[1], result.forecast[1])
    # The perturbations of missing observations are of no influence.
    draws[0, :, 3:] += torch.from_numpy(np.random.default_rng(1).standard_normal((MEMBERS, SIZE - 3)))
    again = filter_.cycle(first, masked, experiment, draws).analysis
    torch.testing.assert_close(again[0], result.analysis[0], rtol=0, atol=1e-12)


def test_the_untrained_filter_with_convolutions_and_a_mask_is_the_one_on_fewer_components():
    experiment, kept = observing(), [0, 1, 4, 7, 8]
    smaller = observing("identity", None, [4 * i for i in kept])
    first, observation, draws = twin(experiment)
    masked = torch.full_like(observation, torch.nan)
    masked[:, kept] = observation[:, kept]
    torch.manual_seed(0)
    whole = conv(experiment, SIGMA).double()
    small = conv(smaller, SIGMA).double()
    small.load_state_dict(whole.state_dict())
    ours = whole.analyze(first, masked, experiment, draws)
    theirs = small.analyze(first, observation[:, kept], smaller, draws[..., kept])
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
