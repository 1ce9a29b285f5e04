"""Baselines beyond the paper are DAPPER's, or what a closed form says."""

import numpy as np
import pytest
import torch

from mnmef.core.seeds import torch_generator
from mnmef.experiments.experiment import Experiment
from mnmef.experiments.load import load_experiment
from mnmef.filters.base import ensemble_mean
from mnmef.filters.classical import Setting, make_classical
from mnmef.filters.dapper_bridge import assimilation_error, dapper_method, hidden_markov_model
from mnmef.filters.options import Options
from mnmef.filters.particle import ParticleFilter, spread_root
from mnmef.filters.spreading import Respread, Rotation
from mnmef.filters.static import Static
from mnmef.observations import Observation
from mnmef.studies.kalman import kalman_filter
from mnmef.systems.linear_gaussian import LinearGaussian

SIGMA = 0.8


def twin(name, members, cycles, seed=0):
    """First ensemble (N, Nx), truth (K + 1, Nx) and observations (K, d)."""
    experiment, rng = load_experiment(name), np.random.default_rng(seed)
    states = [torch.from_numpy(experiment.initial_states(1, rng))]
    for _ in range(40 + cycles):
        states.append(experiment.propagate(states[-1]))
    truth = torch.cat(states[-cycles - 1 :])
    first = truth[0] + experiment.first_spread * torch.from_numpy(rng.standard_normal((members, experiment.state_size)))
    noise = SIGMA * torch.from_numpy(rng.standard_normal((cycles, experiment.observation_size)))
    return experiment, first, truth, experiment.observe(truth[1:]) + noise


def run(filter_, experiment, first, observations):
    """Analysis means (K, Nx), and what was carried last."""
    carry, means = filter_.start(first[None]), []
    for observation in observations:
        result = filter_.cycle(carry, observation[None], experiment)
        carry = result.carry
        means.append(result.analysis[0].mean(0).numpy())
    return np.array(means), carry


def run_dappers(xp, experiment, first, observations, truth=None):
    """Analysis means (K, Nx) of DAPPER."""
    model = hidden_markov_model(experiment, SIGMA, first.numpy(), len(observations))
    if truth is None:
        assert assimilation_error(xp, model, observations.numpy(), 1) is None
    else:
        xp.assimilate(model, truth, observations.numpy())
    return xp.stats.mu.a


@pytest.mark.parametrize("name", ["lorenz63", "lorenz96"])
@pytest.mark.parametrize("members", [3, 7, 24])
@pytest.mark.parametrize(
    ("method", "options"), [("denkf", {}), ("enkf_n", {}), ("enkf_n", {"hyperprior": 2.0}), ("esrf", {})]
)
def test_deterministic_filters_are_dappers_over_several_cycles(name, members, method, options):
    experiment, first, _, observations = twin(name, members, 5)
    setting, options = Setting(1.03), Options(**options)
    theirs = run_dappers(dapper_method(method, members, setting, options=options), experiment, first, observations)
    ours, _ = run(make_classical(method, experiment, SIGMA, 1.03, options=options), experiment, first, observations)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", ["lorenz63", "lorenz96"])
@pytest.mark.parametrize(("members", "lag", "certainty"), [(6, 1, 1.0), (20, 2, 2.0), (45, 1, 1.5)])
def test_a_smoother_of_finite_size_is_dappers(name, members, lag, certainty):
    experiment, first, _, observations = twin(name, members, 3)
    options = Options(hyperprior=certainty)
    xp = dapper_method("ienks", members, Setting(), lag, options)
    theirs = run_dappers(xp, experiment, first, observations)
    filter_ = make_classical("ienks", experiment, SIGMA, 1.0, lag=lag, options=options)
    ours, _ = run(filter_, experiment, first, observations)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", ["lorenz63", "lorenz96"])
def test_filters_of_a_static_gain_are_dappers(name):
    from dapper.da_methods import Climatology, OptInterp
    from dapper.tools.matrices import CovMat

    experiment, first, truth, observations = twin(name, 2, 30)
    fine = [truth[:1]]  # DAPPER takes the climate from all steps of the truth
    for _ in range(30 * experiment.steps_per_cycle):
        fine.append(experiment.system.advance(fine[-1], 1))
    climate = torch.cat(fine)
    methods = {"climatology": Climatology(), "optimal_interpolation": OptInterp()}
    methods["var3d"] = dapper_method("var3d", 2, Setting(), options=Options(background=0.1))
    for kind, xp in methods.items():
        model = hidden_markov_model(experiment, SIGMA, first.numpy(), 30)
        model.Obs(0).linear = lambda _: np.eye(experiment.state_size)[list(experiment.observed)]
        model.X0.mu, model.X0.C = first.mean(0).numpy(), CovMat(np.ones(experiment.state_size))
        xp.assimilate(model, climate.numpy(), observations.numpy())
        filter_ = Static(kind, experiment, SIGMA, climate, 0.1)
        ours, _ = run(filter_, experiment, first, observations)
        np.testing.assert_allclose(ours, xp.stats.mu.a, rtol=0, atol=1e-8, err_msg=kind)


def test_the_ensemble_of_a_static_filter_has_the_variance_of_its_error():
    experiment, first, *_ = twin("lorenz96", 2, 1)
    rng = np.random.default_rng(1)
    climate = torch.from_numpy(rng.standard_normal((20000, 40)) * 3.0)
    filter_ = Static("optimal_interpolation", experiment, SIGMA, climate)
    truth = torch.from_numpy(rng.standard_normal((4000, 40)) * 3.0)
    observations = experiment.observe(truth) + SIGMA * torch.from_numpy(rng.standard_normal((4000, 10)))
    analysis = filter_.cycle(filter_.start(first.expand(4000, 2, 40)), observations, experiment).analysis
    error = (analysis.mean(-2) - truth).square().mean(0)
    np.testing.assert_allclose(analysis.var(-2).mean(0).numpy(), error.numpy(), rtol=0.1)


@pytest.mark.parametrize(("jitter", "resampling"), [(0.0, 1.0), (0.7, 1.0), (1.2, 0.2)])
def test_the_particle_filter_is_dappers_given_the_same_draws(monkeypatch, jitter, resampling):
    from dapper.da_methods import particle

    members, cycles, options = 300, 6, Options(jitter=jitter, resampling=resampling, seed=3)
    experiment, first, truth, observations = twin("lorenz63", members, cycles)
    first = truth[0] + 30.0 * (first - truth[0])
    generator = torch_generator(3, "particle")
    first_draws, draws = [], []
    for _ in range(cycles):
        first_draws.append(torch.rand(1, generator=generator, dtype=torch.float64).item())
        draws.append(torch.randn(members, 3, generator=generator, dtype=torch.float64).numpy())

    class Draws:
        """DAPPER's generator, which knows the cycle and which particles are moved."""

        cycle, moved, drawn = -1, None, []

        def random(self):
            self.drawn.append(self.cycle)
            return first_draws[self.cycle]

        def standard_normal(self, shape):
            assert shape == (self.moved.sum(), 3)
            return draws[self.cycle][self.moved]

    fake, reweight, mask = Draws(), particle.reweight, particle.mask_unique_of_sorted

    def weigh(*args, **options):
        fake.cycle += 1
        return reweight(*args, **options)

    def remember(idx):
        fake.moved = mask(idx)
        return fake.moved

    monkeypatch.setattr(particle, "rng", fake)
    monkeypatch.setattr(particle, "reweight", weigh)
    monkeypatch.setattr(particle, "mask_unique_of_sorted", remember)
    # Any root of the covariance will do: DAPPER's is not triangular.
    monkeypatch.setattr(particle, "chol_reduce", lambda c12: np.linalg.cholesky(c12.T @ c12 + 1e-300).T)
    if jitter == 0.0:
        monkeypatch.setattr(particle, "chol_reduce", lambda c12: np.zeros((3, 3)))
    xp = dapper_method("particle", members, Setting(), options=options)
    model = hidden_markov_model(experiment, SIGMA, first.numpy(), cycles)
    xp.assimilate(model, np.zeros((model.tseq.K + 1, 3)), observations.numpy(), store_u=True)
    _, (particles, logarithms) = run(ParticleFilter(SIGMA, options), experiment, first, observations)
    weights = (logarithms - logarithms.logsumexp(-2, keepdim=True)).exp()
    np.testing.assert_allclose((weights * particles).sum(-2)[0].numpy(), xp.stats.mu.u[-1], rtol=0, atol=1e-8)
    assert len(fake.drawn) == cycles or (resampling < 1.0 and 0 < len(fake.drawn) < cycles)


def test_many_particles_are_the_kalman_filter_on_a_linear_gaussian_system():
    system = LinearGaussian(4, 0.4, np.random.default_rng(2), torch.Generator().manual_seed(2))
    experiment = Experiment("linear", "linear", system, Observation(4, (0, 2)), steps_per_cycle=1, bound=100.0)
    rng, members, cycles = np.random.default_rng(4), 20000, 8
    state, observations = rng.standard_normal((1, 4)), []
    for _ in range(cycles):
        state = state @ system.transition.T + 0.4 * rng.standard_normal((1, 4))
        observations.append(state[:, [0, 2]] + SIGMA * rng.standard_normal((1, 2)))
    exact, covariances = kalman_filter(experiment, np.stack(observations, 1), SIGMA)
    # Process noise keeps particles apart, so that they need no regularization, which would widen them.
    first = torch.from_numpy(rng.standard_normal((members, 4)))
    filter_ = ParticleFilter(SIGMA, Options(jitter=0.0, resampling=0.5))
    carry = filter_.start(first[None])
    for k, observation in enumerate(observations):
        result = filter_.cycle(carry, torch.from_numpy(observation), experiment)
        carry = result.carry
        deviation = np.sqrt(np.diagonal(covariances[k]))
        # Some 2000 particles count at least, a mean lies within 5 / sqrt(2000) deviations.
        assert (np.abs(result.analysis[0].mean(0).numpy() - exact[0, k]) < 0.11 * deviation).all()
        np.testing.assert_allclose(
            np.cov(result.analysis[0].numpy().T), covariances[k], atol=0.11 * deviation.max() ** 2
        )


@pytest.mark.parametrize("members", [3, 50])
def test_the_noise_of_particles_has_their_covariance_with_components_that_never_change(members):
    rng = np.random.default_rng(6)
    particles = torch.from_numpy(rng.standard_normal((2, members, 4)) @ rng.standard_normal((4, 4)))
    particles[..., 1], particles[..., 3] = 7.0, 2.0 * particles[..., 2]  # without spread, and no more than another
    weights = torch.from_numpy(rng.dirichlet(np.ones(members), 2))[..., None]
    root = spread_root(particles, weights)
    for found, states, weight in zip(root, particles.numpy(), weights.numpy(), strict=True):
        expected = np.cov(states.T, aweights=weight[:, 0])
        np.testing.assert_allclose((found.T @ found).numpy(), expected, atol=1e-12 * expected.max())


def test_rotations_keep_mean_and_covariance_and_are_uniform():
    rotation = Rotation(1)
    matrices = rotation.matrices(torch.Size([20000]), 5)
    eye = torch.eye(5, dtype=torch.float64)
    torch.testing.assert_close(matrices @ matrices.mT, eye.expand_as(matrices), atol=1e-12, rtol=0)
    torch.testing.assert_close(matrices.sum(-1), torch.ones(20000, 5, dtype=torch.float64), atol=1e-12, rtol=0)
    # Uniform about (1, ..., 1): the mean is 1 1' / N, and E[P_ij^2] = 1 / N^2 + (1 - 1 / N)^2 / (N - 1) = 1 / N.
    torch.testing.assert_close(matrices.mean(0), torch.full_like(eye, 0.2), atol=0.02, rtol=0)
    torch.testing.assert_close(matrices.square().mean(0), torch.full_like(eye, 0.2), atol=0.02, rtol=0)
    ensemble = torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rotated = rotation(ensemble)
    assert (rotated - ensemble).abs().max() > 0.1
    for before, after in zip(ensemble.numpy(), rotated.numpy(), strict=True):
        np.testing.assert_allclose(after.mean(0), before.mean(0), atol=1e-12)
        np.testing.assert_allclose(np.cov(after.T), np.cov(before.T), atol=1e-12)


@pytest.mark.parametrize("method", ["esrf", "ienkf_sqrt", "ienks", "enkf_n", "denkf"])
def test_a_rotation_changes_members_and_not_the_first_analysis_mean(method):
    experiment, first, _, observations = twin("lorenz96", 8, 2)
    plain, rotated = (
        run(
            make_classical(method, experiment, SIGMA, 1.1, options=Options(rotation=rotates)),
            experiment,
            first,
            observations,
        )
        for rotates in (False, True)
    )
    np.testing.assert_allclose(rotated[0][0], plain[0][0], atol=1e-10)
    assert np.abs(rotated[0][1] - plain[0][1]).max() > 1e-6


def test_relaxation_to_the_prior_is_that_of_its_authors():
    experiment, first, _, observations = twin("lorenz96", 8, 1)
    plain = make_classical("esrf", experiment, SIGMA, 1.0)
    analysis = plain.analyze(first, observations[0], experiment).numpy()
    mean, anomalies, prior = analysis.mean(0), analysis - analysis.mean(0), (first - ensemble_mean(first)).numpy()
    spread = anomalies * (1 + 0.6 * (prior.std(0, ddof=1) - anomalies.std(0, ddof=1)) / anomalies.std(0, ddof=1))
    for options, expected in (
        (Options(prior_perturbations=0.6), 0.4 * anomalies + 0.6 * prior),
        (Options(prior_spread=0.6), spread),
    ):
        relaxed = make_classical("esrf", experiment, SIGMA, 1.0, options=options)
        np.testing.assert_allclose(
            relaxed.analyze(first, observations[0], experiment).numpy(), mean + expected, rtol=0, atol=1e-12
        )
    whole = Respread(plain, Options(prior_spread=1.0)).analyze(first, observations[0], experiment)
    np.testing.assert_allclose(whole.std(0).numpy(), first.std(0).numpy(), rtol=1e-12)


def test_relaxation_to_the_spread_leaves_a_component_without_any_as_it_is():
    experiment, first, _, observations = twin("lorenz96", 8, 1)
    first[:, 5] = 3.0  # as at a boundary
    relaxed = Respread(make_classical("esrf", experiment, SIGMA, 1.0), Options(prior_spread=0.6))
    analysis = relaxed.analyze(first, observations[0], experiment)
    assert bool(analysis.isfinite().all())
    assert bool((analysis[:, 5] == 3.0).all())


@pytest.mark.parametrize(
    ("method", "inflation", "options", "message"),
    [
        ("ienks", 1.0, {"prior_spread": 0.5}, "do not start from its analysis"),
        ("particle", 1.0, {"rotation": True}, "do not start from its analysis"),
        ("climatology", 1.1, {}, "climatology has no anomalies to inflate"),
        ("ienkf_pertobs", 1.0, {"hyperprior": 1.0}, "needs the square-root form"),
        ("esrf", 1.0, {"prior_spread": 1.5}, "prior_spread must lie between 0 and 1, not 1.5"),
        ("enkf_n", 1.0, {"hyperprior": 0.0}, "hyperprior must be positive"),
        ("particle", 1.0, {"resampling": 2.0}, "resampling lie between 0 and 1"),
    ],
)
def test_options_out_of_range_or_of_no_use_are_refused(method, inflation, options, message):
    with pytest.raises(ValueError, match=message):
        make_classical(method, load_experiment("lorenz96"), 1.0, inflation, options=Options(**options))
