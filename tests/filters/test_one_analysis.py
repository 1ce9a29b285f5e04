"""Single analyses of the batched filters and of DAPPER, member by member."""

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mnmef.core.names import METHODS
from mnmef.experiments.load import load_experiment
from mnmef.filters.classical import CLASSICAL_METHODS, LOCALIZED_METHODS, make_classical
from mnmef.filters.dapper_bridge import hidden_markov_model
from mnmef.filters.ienks import IEnKS

STATIC = ("var3d", "optimal_interpolation", "climatology")
"""Methods whose analyses do not grow with the number of members."""


def ensembles(experiment, members, spread, seed=0, count=1):
    """Random forecasts (T, N, Nx) and observations (T, d)."""
    rng = np.random.default_rng(seed)
    forecast = 2.0 + spread * rng.standard_normal((count, members, experiment.state_size))
    observation = 2.0 + rng.standard_normal((count, experiment.observation_size))
    return torch.from_numpy(forecast), torch.from_numpy(observation)


@pytest.mark.parametrize(
    ("name", "radius"),
    [("lorenz96", r) for r in (0.3, 1.0, 2.6, 12.0)] + [("ks", 3.0), ("ks", 11.0), ("lorenz96_full", 6.0)],
)
@pytest.mark.parametrize("spread", [1e-3, 0.7, 40.0])
@pytest.mark.parametrize("members", [2, 6, 30])
def test_every_member_of_the_letkf_is_dappers(name, radius, members, spread):
    from dapper.da_methods.ensemble import local_analyses
    from dapper.tools.matrices import CovMat

    experiment, sigma = load_experiment(name), 0.7
    forecast, observation = ensembles(experiment, members, spread)
    model = hidden_markov_model(experiment, sigma, forecast[0].numpy(), 1)
    batches, taperer = model.Obs(0).localizer(radius, "x2y")
    noise = CovMat(sigma**2 * np.ones(experiment.observation_size), kind="diag")
    e = forecast[0].numpy().copy()
    theirs, _ = local_analyses(
        e, experiment.observe(forecast)[0].numpy(), noise, observation[0].numpy(), batches, taperer
    )
    ours = make_classical("letkf", experiment, sigma, 1.0, radius).analyze(forecast, observation, experiment)
    np.testing.assert_allclose(ours[0].numpy(), theirs, rtol=0, atol=1e-10 * max(1.0, spread))


@pytest.mark.parametrize("name", ["lorenz63", "lorenz96", "ks", "lorenz96_full"])
@pytest.mark.parametrize("spread", [1e-3, 0.7, 40.0])
@pytest.mark.parametrize("members", [2, 6, 30, 150])
def test_every_member_of_the_square_root_filter_is_dappers(name, members, spread):
    from dapper.da_methods.ensemble import EnKF_analysis, post_process
    from dapper.tools.randvars import GaussRV

    experiment, sigma = load_experiment(name), 0.7
    forecast, observation = ensembles(experiment, members, spread)
    noise = GaussRV(C=sigma**2, M=experiment.observation_size)
    e, observed = forecast[0].numpy().copy(), experiment.observe(forecast)[0].numpy()
    theirs = post_process(EnKF_analysis(e, observed, noise, observation[0].numpy(), "Sqrt"), 1.07, False)
    ours = make_classical("esrf", experiment, sigma, 1.07).analyze(forecast, observation, experiment)
    np.testing.assert_allclose(ours[0].numpy(), theirs, rtol=0, atol=1e-10 * max(1.0, spread))


class Recorder:
    """What DAPPER's smoother reports to its statistics: here only the analysis ensemble is kept."""

    def __init__(self):
        self.iters = {}

    def assess(self, k, ko, kind, **given):
        if kind == "a":
            self.analysis = given["E"]


@pytest.mark.parametrize("name", ["lorenz63", "lorenz96"])
@pytest.mark.parametrize("members", [5, 20, 50])
@pytest.mark.parametrize(("form", "lag"), [("Sqrt", 1), ("Sqrt", 2), ("PertObs", 1)])
def test_every_window_of_the_iterative_smoothers_is_dappers_member_by_member(name, members, form, lag):
    # Where the iteration does not converge it amplifies rounding until, some windows later, two runs of DAPPER itself
    # differ; so each of 20 windows starts DAPPER from our own ensemble, and it is the windows that are compared.
    from dapper.da_methods.variational import iEnKS_update
    from dapper.tools.seeding import set_seed

    experiment, cycles = load_experiment(name), 20
    rng = np.random.default_rng(members)
    truth = torch.from_numpy(experiment.initial_states(1, rng))
    for _ in range(60):
        truth = experiment.propagate(truth)
    first = truth + experiment.first_spread * torch.from_numpy(rng.standard_normal((members, experiment.state_size)))
    model = hidden_markov_model(experiment, 1.0, first.numpy(), cycles)
    filter_ = IEnKS(1.0, 1.0, lag=lag, perturbed=form == "PertObs")
    carry = filter_.start(first[None])
    for k in range(cycles):
        truth = experiment.propagate(truth)
        observation = experiment.observe(truth) + torch.from_numpy(rng.standard_normal(experiment.observation_size))
        recorder, window, root = Recorder(), range(max(0, k - lag + 1), k + 1), np.eye(experiment.observation_size)
        set_seed(k + 1)
        settings = root, None, False, (10, 0)  # R^-1/2, no adaptive inflation, not MDA, iterations and their tolerance
        start = carry[0][0].numpy().copy()
        smoothed = iEnKS_update(
            form, start, window, model, recorder, 1.0, observation[0].numpy(), (0, k, 0.0), *settings
        )
        if k >= lag - 1:
            smoothed = experiment.propagate(torch.from_numpy(smoothed)).numpy()
        draws = set_seed(k + 1).standard_normal((members, experiment.observation_size))
        result = filter_.cycle(carry, observation, experiment, torch.from_numpy(draws)[None])
        carry = result.carry
        np.testing.assert_allclose(result.analysis[0].numpy(), recorder.analysis, rtol=0, atol=1e-8)
        np.testing.assert_allclose(carry[0][0].numpy(), smoothed, rtol=0, atol=1e-8)


@pytest.mark.parametrize("method", [m for m in CLASSICAL_METHODS if m not in STATIC])
def test_the_work_of_an_analysis_grows_linearly_with_the_number_of_members(method, monkeypatch):
    monkeypatch.setattr("mnmef.filters.gauss_newton.HAS_NUMBA", False)  # what is compiled is not counted
    experiment = load_experiment("lorenz96")

    def work(members):
        first, observation = ensembles(experiment, members, 1.0)
        filter_ = make_classical(method, experiment, 1.0, 1.0, 3.0 if method in LOCALIZED_METHODS else None)
        with FlopCounterMode(display=False) as counter:
            filter_.cycle(
                filter_.start(first), observation, experiment, torch.ones(1, members, 10, dtype=torch.float64)
            )
        return counter.get_total_flops()

    # Up to as many particles as variables, the root of their covariance has as many rows as there are particles.
    few = 60 if method == "particle" else 20
    assert work(4 * few) - work(2 * few) == 2 * (work(2 * few) - work(few)) > 0


@pytest.mark.parametrize("method", [m for m in CLASSICAL_METHODS if m != "particle"])  # has draws of its own
def test_a_single_ensemble_without_leading_dimensions_is_analyzed_as_in_a_batch(method):
    experiment = load_experiment("lorenz96")
    first, observation = ensembles(experiment, 7, 1.0, count=2)
    noise = torch.randn(2, 7, 10, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    inflation = 1.1 if METHODS[method].inflates else 1.0
    filter_ = make_classical(method, experiment, 1.0, inflation, 3.0 if method in LOCALIZED_METHODS else None)
    batch = filter_.cycle(filter_.start(first), observation, experiment, noise).analysis
    single = filter_.cycle(filter_.start(first[1]), observation[1], experiment, noise[1]).analysis
    torch.testing.assert_close(single, batch[1])


@pytest.mark.parametrize("method", ["enkf", "enkf_localized", "ienkf_pertobs"])
def test_perturbing_filters_ask_for_their_noise(method):
    experiment = load_experiment("lorenz96")
    first, observation = ensembles(experiment, 5, 1.0)
    filter_ = make_classical(method, experiment, 1.0, 1.0, 3.0 if method in LOCALIZED_METHODS else None)
    with pytest.raises(ValueError, match="needs standard normal noise"):
        filter_.cycle(filter_.start(first), observation, experiment)


def test_settings_that_do_not_match_each_other_or_the_ensemble_are_named():
    experiment = load_experiment("lorenz96")
    with pytest.raises(ValueError, match="every setting needs an inflation and a radius, but there are 2 and 3"):
        make_classical("letkf", experiment, 1.0, np.ones(2), np.ones(3))
    first, observation = ensembles(experiment, 5, 1.0, count=4)
    with pytest.raises(ValueError, match=r"2 radii need ensembles \(2, T, N, Nx\), not \(4, 5, 40\)"):
        make_classical("letkf", experiment, 1.0, np.ones(2), np.ones(2)).analyze(first, observation, experiment)


@pytest.mark.gpu
@pytest.mark.parametrize("method", [m for m in CLASSICAL_METHODS if METHODS[m].inflates])
def test_a_cycle_on_the_gpu_equals_one_on_the_cpu(method):
    experiment = load_experiment("lorenz96")
    first, observation = ensembles(experiment, 12, 1.0, count=3)
    noise = torch.randn(3, 12, 10, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    radii = np.array([2.0, 5.0]) if method in LOCALIZED_METHODS else None
    filter_ = make_classical(method, experiment, 1.0, np.array([1.0, 1.1]), radii)
    start = first.expand(2, *first.shape)
    here = filter_.cycle(filter_.start(start), observation, experiment, noise).analysis
    there = filter_.cycle(filter_.start(start.cuda()), observation.cuda(), experiment, noise.cuda()).analysis
    torch.testing.assert_close(there.cpu(), here, rtol=1e-8, atol=1e-8)
