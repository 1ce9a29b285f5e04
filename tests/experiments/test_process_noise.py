"""Process noise and stochastic models: by seed, the same for all settings, right against a closed form and DAPPER."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mnmef.assimilation.assimilate import assimilate
from mnmef.assimilation.cycling import run_filter
from mnmef.assimilation.twin import run_on_twin
from mnmef.core.seeds import seed_sequence
from mnmef.data.twin import simulate_truth
from mnmef.experiments.experiment import Experiment
from mnmef.experiments.process_noise import ProcessNoise
from mnmef.filters.classical import Setting, make_classical
from mnmef.filters.dapper_bridge import assimilation_error, dapper_method, hidden_markov_model
from mnmef.filters.learned import initial_filter
from mnmef.filters.options import Options
from mnmef.learning.options import TrainingOptions
from mnmef.learning.training import train
from mnmef.observations import Observation
from mnmef.systems.base import System

DESCRIPTION = {
    "name": "noisy",
    "title": "Noisy",
    "system": {"name": "lorenz96", "state_size": 8, "step_size": 0.05},
    "observation": {"every": 2},
    "steps_per_cycle": 2,
    "bound": 20.0,
    "first_spread": 1.0,
    "burn_in_time": 1.0,
    "grid": "periodic",
    "process_noise": {"per_step": 0.3},
}
NOISY = Experiment.from_description(DESCRIPTION)
SILENT = Experiment.from_description({**DESCRIPTION, "process_noise": None})


def states(*shape):
    return torch.from_numpy(np.random.default_rng(1).standard_normal((*shape, 8)))


@pytest.mark.parametrize(("when", "expected"), [("per_step", 2 * 0.3**2), ("per_cycle", 0.3**2)])
def test_noise_has_the_variance_of_its_steps_and_is_apart_for_every_member(when, expected):
    """About a model that stays where it is."""
    still = Experiment.from_description({**DESCRIPTION, "process_noise": {when: 0.3}})
    still.system = Still()
    start = states(50, 40)
    found = (still.with_seed(0).propagate(start) - start).numpy()
    assert found.var() == pytest.approx(expected, rel=0.05)
    assert np.abs(np.corrcoef(found.reshape(2000, 8).T) - np.eye(8)).max() < 0.1


class Still(System):
    """A model that does nothing."""

    state_size, step_size = 8, 0.05

    def step(self, state):
        return state


def test_the_same_seed_gives_the_same_bits_and_another_one_others():
    start = states(2, 5)
    first, again = NOISY.with_seed(3, "a"), NOISY.with_seed(3, "a")
    one, two = first.propagate(start), first.propagate(start)
    assert torch.equal(again.propagate(start), one)
    assert not torch.equal(one, two)
    assert torch.equal(NOISY.with_seed(3, "a", after=1).propagate(start), two)
    assert not torch.equal(NOISY.with_seed(3, "b").propagate(start), one)
    assert not torch.equal(NOISY.with_seed(4, "a").propagate(start), one)
    with pytest.raises(ValueError, match=r"Noisy has process noise .*with_seed"):
        NOISY.propagate(start)


def test_settings_share_their_noise_so_that_a_score_does_not_depend_on_the_others():
    start = states(2, 5)
    together = NOISY.with_seed(0).propagate(start.expand(3, 2, 5, 8))
    for part in together:
        assert torch.equal(part, NOISY.with_seed(0).propagate(start))


def test_without_noise_nothing_is_drawn():
    start = states(2, 5)
    assert SILENT.with_seed(0) is SILENT
    assert torch.equal(NOISY.without_noise().propagate(start), SILENT.propagate(start))
    quiet = Experiment.from_description({**DESCRIPTION, "process_noise": {"per_step": [0.0] * 8}})
    torch.testing.assert_close(quiet.with_seed(0).propagate(start), SILENT.propagate(start), rtol=1e-14, atol=1e-14)


def test_a_truth_has_noise_of_its_generator():
    first, again = (simulate_truth(NOISY, 2, 3, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    silent = simulate_truth(SILENT, 2, 3, np.random.default_rng(5))
    assert not np.allclose(first, silent)
    gap = first[:, 1:] - SILENT.propagate(torch.from_numpy(first[:, :-1]).double()).numpy()
    assert gap.std() == pytest.approx(0.3 * 2**0.5, rel=0.35)


class Walk(System):
    """A linear model, `v <- 0.9 v`."""

    name, title, state_size, step_size = "walk", "Walk", 2, 1.0

    def step(self, state):
        return 0.9 * state


def test_a_large_ensemble_has_the_covariance_of_the_kalman_filter_with_q():
    """Scalar Riccati recursion of each component: P <- (0.81 P + Q), then P R / (P + R)."""
    noise = ProcessNoise({"per_cycle": 0.5}, 2)
    walk = Experiment("walk", "Walk", Walk(), Observation(2, [0, 1]), 1, bound=9.0, process_noise=noise)
    first = torch.from_numpy(np.random.default_rng(2).standard_normal((8, 4000, 2)))
    observations = torch.from_numpy(np.random.default_rng(3).standard_normal((8, 6, 2)))
    truth = torch.zeros(8, 6, 2, dtype=torch.float64)
    record = run_on_twin(
        make_classical("esrf", walk, 1.0, 1.0), walk, (first, observations, truth), seed=1, stream="esrf", traced=8
    )
    variance, means = 1.0, np.zeros((8, 2))
    for k in range(6):
        variance, means = 0.81 * variance + 0.25, 0.9 * means
        gain = variance / (variance + 1.0)
        means = means + gain * (observations[:, k].numpy() - means)
        variance = (1 - gain) * variance
        assert float(record.deviation[:, k].square().mean()) == pytest.approx(variance, rel=0.02)
        np.testing.assert_allclose(record.mean[:, k].numpy(), means, atol=0.08)


def test_one_run_of_the_square_root_filter_is_dappers_given_the_same_noise():
    """DAPPER adds noise at every step, with the variance of a model time unit."""
    cycles, members, seed = 4, 6, 7
    first, observations = states(members).numpy(), np.random.default_rng(4).standard_normal((cycles, 4))
    ours = (
        run_filter(
            make_classical("esrf", NOISY, 1.0, 1.02),
            NOISY.with_seed(seed, "x"),
            torch.from_numpy(first)[None],
            torch.from_numpy(observations)[None],
            torch.zeros(1, cycles, 8, dtype=torch.float64),
            traced=1,
        )
        .mean[0]
        .numpy()
    )
    draws = iter(
        [
            rng.standard_normal((1, members, 8))[0]
            for child in seed_sequence(seed, "process", "x").spawn(cycles)
            for rng in [np.random.default_rng(child)]
            for _ in range(2)
        ]
    )
    model = hidden_markov_model(NOISY, 1.0, first, cycles)
    np.testing.assert_allclose(np.diag(model.Dyn.noise.C.full), 0.3**2 / 0.05)
    model.Dyn.noise.sample = lambda count: 0.3 / 0.05**0.5 * next(draws)
    method = dapper_method("esrf", members, Setting(1.02))
    assert assimilation_error(method, model, observations, 1) is None
    np.testing.assert_allclose(ours, method.stats.mu.a, rtol=0, atol=1e-8)


def test_noise_of_a_cycle_is_none_of_dappers():
    experiment = Experiment.from_description({**DESCRIPTION, "process_noise": {"per_cycle": 0.3}})
    with pytest.raises(ValueError, match="adds process noise at every step, but Noisy has it per_cycle"):
        hidden_markov_model(experiment, 1.0, states(3).numpy(), 2)


@pytest.mark.parametrize("method", ["ienkf_sqrt", "ienkf_pertobs", "ienks"])
def test_a_filter_that_runs_the_model_again_is_refused(method):
    with pytest.raises(ValueError, match=f"{method} runs the model in its analysis"):
        make_classical(method, NOISY, 1.0, 1.0)


@pytest.mark.parametrize("method", ["enkf", "particle", "rotated"])
@pytest.mark.parametrize("is_stochastic", [False, True])
def test_a_restart_goes_on_with_the_noise(method, is_stochastic):
    name, options = ("esrf", Options(rotation=True)) if method == "rotated" else (method, Options())
    experiment = replace(NOISY, system=Drifting(), process_noise=None) if is_stochastic else NOISY
    filter_ = make_classical(name, experiment, 1.0, 1.0, options=options)
    first, observations = states(5).numpy(), np.random.default_rng(4).standard_normal((6, 4))
    whole = assimilate(filter_, experiment, observations, first_ensemble=first, seed=2)
    for cut in range(1, 6):
        half = assimilate(filter_, experiment, observations[:cut], first_ensemble=first, seed=2)
        rest = assimilate(filter_, experiment, observations[cut:], first_ensemble=half, seed=2)
        np.testing.assert_array_equal(rest["last_ensemble"], whole["last_ensemble"])
    if method == "enkf":
        given = {"first_ensemble": half["last_ensemble"], "first_cycle": 5}
        rest = assimilate(filter_, experiment, observations[5:], **given, seed=2)
        np.testing.assert_array_equal(rest["last_ensemble"], whole["last_ensemble"])


class Drifting(Still):
    """A stochastic model."""

    is_stochastic = True

    def step(self, state, rng):
        return state + 0.3 * torch.from_numpy(rng.standard_normal(state.shape))


@pytest.mark.parametrize(
    "given",
    [{}, {"per_step": 0.1, "per_cycle": 0.1}, {"per_step": -0.1}, {"per_step": [0.1, 0.2]}, {"per_step": float("nan")}],
)
def test_what_is_no_noise_is_refused(given):
    with pytest.raises(ValueError, match="process_noise"):
        Experiment.from_description({**DESCRIPTION, "process_noise": given})


def test_a_training_sees_the_noise_and_has_the_same_bits_again():
    """Forecasts of a training, in two chunks, with gradients through two cycles and a target of a large ensemble."""
    truth = torch.from_numpy(simulate_truth(NOISY, 8, 8, np.random.default_rng(0)))
    options = TrainingOptions(
        ensemble_size=4,
        steps=3,
        window_cycles=4,
        batch=4,
        learning_rate=1e-3,
        gradient_cycles=2,
        target_members=5,
        chunks=2,
    )
    small = {"feature_size": 8, "width": 8, "heads": 2, "seeds": 2}
    weights = []
    for experiment in (NOISY, NOISY, SILENT):
        filter_ = initial_filter(experiment, 1.0, small, 0)
        train(filter_, truth, options)
        weights.append(torch.cat([p.detach().flatten() for p in filter_.parameters()]))
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


STOCHASTIC = """\
import numpy as np


class Lake:
    state_size, step_size, is_stochastic = 2, 0.1, True

    def step(self, state, rng):
        return 0.9 * state + 0.2 * rng.standard_normal(state.shape)

    def initial_states(self, count, rng):
        return rng.standard_normal((count, 2))
"""


def test_a_stochastic_model_draws_from_the_generator_that_it_is_given(tmp_path):
    (tmp_path / "model.py").write_text(STOCHASTIC)
    described = {**DESCRIPTION, "system": {"name": f"{tmp_path}/model.py:Lake"}, "observation": {"components": [0]}}
    experiment = Experiment.from_description({**described, "process_noise": None, "grid": None})
    start = states(2, 5)[..., :2]
    one, again = (experiment.with_seed(1).propagate(start) for _ in range(2))
    assert torch.equal(one, again)
    [child] = seed_sequence(1, "process").spawn(1)
    rng, expected = np.random.default_rng(child), start.numpy().reshape(-1, 2)
    for _ in range(2):
        expected = 0.9 * expected + 0.2 * rng.standard_normal(expected.shape)
    np.testing.assert_array_equal(one.numpy().reshape(-1, 2), expected)
    assert torch.equal(experiment.with_seed(1).propagate(start.expand(3, 2, 5, 2))[2], one)
    with pytest.raises(ValueError, match="where a deterministic one is needed"):
        experiment.without_noise()
