"""The systems are DAPPER's, step by step, and their integrators have the order they claim."""

import itertools

import numpy as np
import pytest
import torch

from mnmef.filters.dapper_bridge import dapper_step
from mnmef.systems import SYSTEMS, make_system
from mnmef.systems.base import runge_kutta_4
from mnmef.systems.lorenz96 import Lorenz96


def states(system, count=4):
    return system.initial_states(count, np.random.default_rng(0))


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_step_equals_dappers_on_the_same_state(name):
    system = make_system(name)
    start = states(system)
    theirs = np.array([dapper_step(name)(x, 0.0, system.step_size) for x in start])
    np.testing.assert_allclose(system.step(torch.from_numpy(start)).numpy(), theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_cycle_is_its_steps_one_after_the_other(name):
    system = make_system(name)
    state = torch.from_numpy(states(system))
    stepped = state
    for _ in range(system.steps_per_cycle):
        stepped = system.step(stepped)
    torch.testing.assert_close(system.propagate(state), stepped, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", SYSTEMS)
def test_leading_dimensions_do_not_mix_the_dtype_is_kept_and_the_input_is_not_changed(name):
    system = make_system(name)
    state = torch.from_numpy(states(system, 6)).float().reshape(2, 3, -1)
    copy = state.clone()
    result = system.propagate(state)
    assert result.dtype == torch.float32
    assert torch.equal(state, copy)
    torch.testing.assert_close(result[1, 2], system.propagate(state[1, 2]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", SYSTEMS)
def test_dynamics_in_single_precision_keep_the_dtype_and_agree_to_single_precision(name):
    fast, exact = make_system(name, model_dtype=torch.float32), make_system(name)
    state = torch.from_numpy(states(exact))
    assert fast.propagate(state).dtype == torch.float64
    torch.testing.assert_close(fast.propagate(state), exact.propagate(state), rtol=1e-4, atol=1e-4)
    assert not torch.equal(fast.propagate(state), exact.propagate(state))


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
    system = make_system(name)
    state = torch.from_numpy(states(system))
    torch.testing.assert_close(system.propagate(state.roll(7, -1)), system.propagate(state).roll(7, -1))


@pytest.mark.parametrize("name", ["lorenz96", "ks"])
def test_distances_are_cyclic_and_equal_dappers(name):
    from dapper.tools.localization import pairwise_distances

    system = make_system(name)
    size = system.state_size
    theirs = pairwise_distances(np.arange(size)[:, None], np.array(system.observed)[:, None], (size,))
    np.testing.assert_array_equal(system.distances(), theirs)


def test_lorenz_63_has_no_distances():
    with pytest.raises(ValueError, match="no spatial grid"):
        make_system("lorenz63").distances()


def test_an_unknown_system_is_named_with_the_nearest_known_one():
    with pytest.raises(ValueError, match=r"'lorenz69'.*'lorenz9?6"):
        make_system("lorenz69")


def test_a_size_that_the_observations_do_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"multiple of 4.*not 42"):
        Lorenz96(42)


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_cycle_can_be_differentiated(name):
    system = make_system(name)
    state = torch.from_numpy(states(system, 2))
    direction = torch.randn(state.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    variable = state.clone().requires_grad_()
    (gradient,) = torch.autograd.grad((system.propagate(variable) * direction).sum(), variable)
    step = 1e-6 * direction
    change = ((system.propagate(state + step) - system.propagate(state - step)) * direction).sum()
    torch.testing.assert_close((gradient * step).sum(), change / 2, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_cycle_of_many_states_is_that_of_each_alone(name):
    # More states than are advanced at a time.
    system = make_system(name)
    few = torch.from_numpy(states(system, 3))
    many = few.repeat(1100, 1)[:3001]
    torch.testing.assert_close(
        system.propagate(many), system.propagate(few).repeat(1100, 1)[:3001], rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("count", [1, 127, 130])
def test_the_compiled_cycle_is_the_one_by_array_operations(name, dtype, count):
    system = make_system(name)
    state = torch.from_numpy(states(system, count)).to(dtype)
    tolerance = 1e-12 if dtype == torch.float64 else 1e-4
    torch.testing.assert_close(system.propagate(state), system._run_cycle(state), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("size", [8, 16, 44, 80])
@pytest.mark.parametrize("count", [1, 17])
def test_the_compiled_cycle_serves_any_length_of_the_circle(size, count):
    system = Lorenz96(size)
    state = torch.from_numpy(states(system, count))
    torch.testing.assert_close(system.propagate(state), system._run_cycle(state), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_state_that_blows_up_does_not_touch_the_others_at_all(name):
    system = make_system(name)
    state = torch.from_numpy(states(system, 200))
    alone = system.propagate(state)
    state[3] = torch.nan
    state[70] *= 1e200
    together = system.propagate(state)
    others = torch.ones(200, dtype=torch.bool)
    others[[3, 70]] = False
    assert not together[~others].isfinite().any(-1).any()
    assert torch.equal(together[others], alone[others])


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_result_of_a_state_does_not_depend_on_its_place_in_the_batch(name):
    # So that scores do not depend on how settings and trajectories are put into chunks.
    system = make_system(name, model_dtype=torch.float32)
    state = torch.from_numpy(states(system, 150))
    assert torch.equal(system.propagate(state)[37:], system.propagate(state[37:]))
