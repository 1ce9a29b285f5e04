"""The systems are DAPPER's, step by step, and their integrators have the order they claim."""

import itertools

import numpy as np
import pytest
import torch

from mnmef.filters.dapper_bridge import dapper_step
from mnmef.systems import SYSTEMS, make_system
from mnmef.systems.base import runge_kutta_4
from mnmef.systems.lorenz96 import Lorenz96

STEPS = {"lorenz63": 5, "lorenz96": 5, "lorenz96_twoscale": 30, "ks": 4, "kolmogorov": 4}
"""Steps of each system: for those of the paper from one observation to the next."""
OPTIONS = {"kolmogorov": {"points": 16}}
"""Options with which a system is small enough for thousands of states."""
IN_DAPPER = [name for name in SYSTEMS if name != "kolmogorov"]
COMPILED = [name for name in SYSTEMS if make_system({"name": name}).has_compiled_steps]


def made(name):
    return make_system({"name": name, **OPTIONS.get(name, {})})


def states(system, count=4):
    return system.initial_states(count, np.random.default_rng(0))


def advance(system, state, precision=None):
    return system.advance(state, STEPS[system.name], precision)


def test_every_system_has_its_number_of_steps():
    assert set(STEPS) == set(SYSTEMS)


@pytest.mark.parametrize("name", IN_DAPPER)
def test_a_step_equals_dappers_on_the_same_state(name):
    system = made(name)
    start = states(system)
    theirs = np.array([dapper_step(system)(x, 0.0, system.step_size) for x in start])
    np.testing.assert_allclose(system.step(torch.from_numpy(start)).numpy(), theirs, rtol=1e-12, atol=1e-12)


def test_a_setting_of_dapper_that_changes_its_forcing_for_all_does_not_change_ours(monkeypatch):
    monkeypatch.setattr("dapper.mods.Lorenz96.Force", 8.17)
    test_a_step_equals_dappers_on_the_same_state("lorenz96")


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_cycle_is_its_steps_one_after_the_other(name):
    system = made(name)
    state = torch.from_numpy(states(system))
    stepped = state
    for _ in range(STEPS[name]):
        stepped = system.step(stepped)
    torch.testing.assert_close(advance(system, state), stepped, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", SYSTEMS)
def test_leading_dimensions_do_not_mix_the_dtype_is_kept_and_the_input_is_not_changed(name):
    system = made(name)
    state = torch.from_numpy(states(system, 6)).float().reshape(2, 3, -1)
    copy = state.clone()
    result = advance(system, state)
    assert result.dtype == torch.float32
    assert torch.equal(state, copy)
    torch.testing.assert_close(result[1, 2], advance(system, state[1, 2]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", SYSTEMS)
def test_dynamics_in_single_precision_keep_the_dtype_and_agree_to_single_precision(name):
    system = made(name)
    state = torch.from_numpy(states(system))
    fast, exact = advance(system, state, torch.float32), advance(system, state)
    assert fast.dtype == torch.float64
    torch.testing.assert_close(fast, exact, rtol=1e-4, atol=1e-4)
    assert not torch.equal(fast, exact)


def test_runge_kutta_has_order_four():
    state = torch.tensor([1.0, 0.0], dtype=torch.float64)  # rotation: x' = -y, y' = x
    errors = []
    for steps in (8, 16, 32):
        x = state
        for _ in range(steps):
            x = runge_kutta_4(lambda z: torch.stack((-z[1], z[0])), x, 1.0 / steps)
        errors.append(float((x - torch.tensor([np.cos(1.0), np.sin(1.0)])).norm()))
    orders = [np.log2(a / b) for a, b in itertools.pairwise(errors)]
    assert min(orders) == pytest.approx(4.0, abs=0.1)


@pytest.mark.parametrize("name", ["lorenz96", "ks"])
def test_shifting_the_state_on_the_circle_commutes_with_the_dynamics(name):
    system = made(name)
    state = torch.from_numpy(states(system))
    torch.testing.assert_close(advance(system, state.roll(7, -1)), advance(system, state).roll(7, -1))


def test_an_unknown_system_is_named_with_the_nearest_known_one():
    with pytest.raises(ValueError, match=r"'lorenz69'.*'lorenz9?6"):
        make_system({"name": "lorenz69"})


def test_an_option_that_a_system_does_not_have_is_named():
    with pytest.raises(ValueError, match=r"options of system ks: .*'forcing'"):
        make_system({"name": "ks", "forcing": 9.0})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "lorenz96", "state_size": 3}, "state_size must be at least 4.*not 3"),
        ({"name": "ks", "state_size": 100}, "state_size must be a power of two from 8 on, not 100"),
        ({"name": "kolmogorov", "points": 48}, "points must be a power of two from 8 on, not 48"),
        ({"name": "kolmogorov", "points": 16, "wave_number": 6}, "wave_number must be from 1 to 5, .* not 6"),
    ],
)
def test_a_size_that_the_dynamics_do_not_fit_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        make_system(options)


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_cycle_can_be_differentiated(name):
    system = made(name)
    state = torch.from_numpy(states(system, 2))
    direction = torch.randn(state.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    variable = state.clone().requires_grad_()
    (gradient,) = torch.autograd.grad((advance(system, variable) * direction).sum(), variable)
    step = 1e-6 * direction
    change = ((advance(system, state + step) - advance(system, state - step)) * direction).sum()
    torch.testing.assert_close((gradient * step).sum(), change / 2, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_cycle_of_many_states_is_that_of_each_alone(name):
    # More states than are advanced at a time.
    system = made(name)
    few = torch.from_numpy(states(system, 3))
    many = few.repeat(1100, 1)[:3001]
    torch.testing.assert_close(
        advance(system, many), advance(system, few).repeat(1100, 1)[:3001], rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("name", COMPILED)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("count", [1, 127, 130])
def test_the_compiled_cycle_is_the_one_by_array_operations(name, dtype, count):
    system = made(name)
    state = torch.from_numpy(states(system, count)).to(dtype)
    tolerance = 1e-12 if dtype == torch.float64 else 1e-4
    torch.testing.assert_close(
        advance(system, state), system._advance(state, STEPS[system.name]), rtol=tolerance, atol=tolerance
    )


@pytest.mark.parametrize("size", [8, 16, 44, 80])
@pytest.mark.parametrize("count", [1, 17])
def test_the_compiled_cycle_serves_any_length_of_the_circle(size, count):
    system = Lorenz96(size)
    state = torch.from_numpy(states(system, count))
    torch.testing.assert_close(
        advance(system, state), system._advance(state, STEPS[system.name]), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_state_that_blows_up_does_not_touch_the_others_at_all(name):
    system = made(name)
    state = torch.from_numpy(states(system, 200))
    alone = advance(system, state)
    state[3] = torch.nan
    state[70] *= 1e200
    together = advance(system, state)
    others = torch.ones(200, dtype=torch.bool)
    others[[3, 70]] = False
    assert not together[~others].isfinite().any(-1).any()
    assert torch.equal(together[others], alone[others])


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_result_of_a_state_does_not_depend_on_its_place_in_the_batch(name):
    # So that scores do not depend on how settings and trajectories are put into chunks.
    system = made(name)
    state = torch.from_numpy(states(system, 150))
    assert torch.equal(advance(system, state, torch.float32)[37:], advance(system, state[37:], torch.float32))


@pytest.mark.parametrize(
    "section",
    [
        {"name": "lorenz63", "rho": float("inf")},
        {"name": "lorenz96", "forcing": float("nan")},
        {"name": "lorenz96", "step_size": -0.03},
        {"name": "ks", "length": 0.0},
        {"name": "kolmogorov", "step_size": 0.0},
        {"name": "kolmogorov", "reynolds": -40.0},
    ],
)
def test_a_constant_that_is_no_number_of_its_kind_is_refused_by_name(section):
    option, value = list(section.items())[-1]
    with pytest.raises(ValueError, match=rf"{option} of .* must be a (finite|positive) number, not {value}"):
        make_system(section)
