"""Observations: components and functions of a state, their noise, and what is missing."""

import numpy as np
import pytest
import torch
from scipy import stats

from mnmef.observations import Observation, make_observation


@pytest.mark.parametrize("components", [[0], [0, 3, 6], [1, 2, 5], [7]])
def test_observed_components_are_those_of_the_list_whatever_the_leading_dimensions(components):
    state = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(0))
    operator = make_observation({"components": components}, 8)
    assert operator.sites == tuple(components)
    assert operator.size == len(components)
    assert operator.index().tolist() == components
    assert torch.equal(operator.observe(state), torch.stack([state[..., i] for i in components], -1))


def test_every_kth_component_begins_with_the_first_and_is_a_view():
    state = torch.randn(5, 40)
    operator = make_observation({"every": 4}, 40)
    assert operator.sites == tuple(range(0, 40, 4))
    assert operator.observe(state).data_ptr() == state.data_ptr()
    assert torch.equal(operator.observe(state), state[:, ::4])


def test_unevenly_spaced_components_can_be_differentiated():
    state = torch.randn(8, requires_grad=True)
    make_observation({"components": [1, 2, 5]}, 8).observe(state).sum().backward()
    assert state.grad.tolist() == [0, 1, 1, 0, 0, 1, 0, 0]


@pytest.mark.parametrize("observed", [(), (0, 0), (2, 1), (-1, 2), (0, 8)])
def test_components_that_the_state_does_not_have_are_refused(observed):
    with pytest.raises(ValueError, match="ascending indices below 8, none twice"):
        Observation(8, observed)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"evry": 4}, r"'evry'.*'every'"),
        ({}, "give either every or components"),
        ({"every": 2, "components": [0]}, "give either every or components"),
        ({"every": 0}, "must be a whole number of at least 1"),
        ({"every": 2.0}, "must be a whole number of at least 1"),
        ({"every": [2, 0]}, "must be a whole number of at least 1, or a list of two"),
        ({"every": [2]}, "must be a whole number of at least 1, or a list of two"),
        ({"every": [2, 2]}, "40 components are no square grid"),
    ],
)
def test_what_describes_no_operator_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        make_observation(options, 40)


def test_a_size_that_the_observations_do_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"every = 4: must divide the number of components, 42"):
        make_observation({"every": 4}, 42)
    with pytest.raises(ValueError, match=r"every = \[2, 4\]: must divide the number of points of a side, 6"):
        make_observation({"every": [2, 4]}, 36)


@pytest.mark.parametrize("kind", [list, tuple])
def test_every_kth_row_and_lth_column_of_a_square_grid_is_observed(kind):
    state = torch.randn(5, 64)
    seen = make_observation({"every": kind((2, 4))}, 64).observe(state)
    assert torch.equal(seen, state.view(5, 8, 8)[:, ::2, ::4].reshape(5, 8))


@pytest.mark.parametrize(("name", "function"), [("arctan", np.arctan), ("square", np.square), ("abs", np.abs)])
def test_a_function_is_that_of_each_observed_component(name, function):
    state = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    observed = make_observation({"components": [1, 2, 5], "function": name}, 8).observe(state)
    np.testing.assert_allclose(observed.numpy(), function(state.numpy()[..., [1, 2, 5]]))


@pytest.fixture
def user(tmp_path):
    """A function that writes a file and makes an observation of 6 components by its `radiance`."""

    def make(text, **options):
        (tmp_path / "model.py").write_text("import numpy as np\nimport torch\n\n\n" + text)
        return make_observation({"function": f"{tmp_path}/model.py:radiance", **options}, 6)

    return make


WINDOWED = "def radiance(states):\n    return states[:, :3] + 2 * states[:, 3:]\n"


def test_an_operator_of_the_users_sees_the_whole_state_and_has_no_place_unless_one_is_given(user):
    state = torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(0))
    operator = user(WINDOWED)
    assert (operator.size, operator.sites) == (3, None)
    torch.testing.assert_close(operator.observe(state), state[..., :3] + 2 * state[..., 3:])
    assert operator.observe(state).dtype == torch.float32
    with pytest.raises(ValueError, match=r"no place on the grid.*observation\.sites"):
        operator.index()
    assert user(WINDOWED, sites=[0, 5, 5]).index().tolist() == [0, 5, 5]


def test_components_of_an_operator_of_the_users_are_those_of_its_values(user):
    state = torch.randn(4, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    field = user("def radiance(states):\n    return np.tanh(states + np.roll(states, 1, 1))\n", every=2)
    torch.testing.assert_close(field.observe(state), torch.tanh(state + state.roll(1, -1))[:, ::2])
    direct = user("def radiance(states):\n    return np.tanh(states[:, ::2])\n", every=2)
    torch.testing.assert_close(direct.observe(state), torch.tanh(state[:, ::2]))
    assert field.sites == direct.sites == (0, 2, 4)


def test_an_operator_in_torch_keeps_gradients(user):
    text = "class radiance(torch.nn.Module):\n    def forward(self, states):\n        return states.square()\n"
    state = torch.ones(2, 6, requires_grad=True)
    user(text, every=3).observe(state).sum().backward()
    assert state.grad.tolist() == [[2, 0, 0, 2, 0, 0]] * 2


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return states[0]", r"returned the shape (6,) for states (1, 6); right is (1, d)"),
        ("return list(states)", "returned list; it must return a NumPy array"),
        ("return np.multiply(states, 2, out=states)", "changed its input in place"),
        ("return states / nothing", "line 6: NameError"),
    ],
)
def test_an_operator_that_cannot_be_used_is_refused_by_name(user, body, said):
    with pytest.raises(ValueError, match=r"model\.py:radiance") as caught:
        user(f"def radiance(states):\n    {body}\n")
    assert said in str(caught.value)


def test_values_that_are_neither_all_nor_the_components_are_refused(user):
    operator = user(WINDOWED, components=[0, 3])
    with pytest.raises(ValueError, match=r"returned 3 values of a state; right are 2.* or 6"):
        operator.observe(torch.ones(1, 6))


def test_an_operator_whose_number_of_values_changes_is_refused(user):
    operator = user("def radiance(states):\n    return states[:, : len(states)]\n")
    with pytest.raises(ValueError, match="returned 3 values for each state, but 1 before"):
        operator.observe(torch.ones(3, 6))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"function": "arctn"}, "Did you mean 'arctan'"),
        ({"sites": [0, 6]}, "2 grid points below 6"),
        ({"sites": [0]}, "2 grid points below 6"),
        ({"noise": [1.0]}, r"the shape (1,); right is (2,) or (2, 2)"),
        ({"noise": [1.0, -1.0]}, "must be positive numbers"),
        ({"noise": [[1.0, 2.0], [2.0, 1.0]]}, "must be positive definite, but its least eigenvalue is -1"),
        ({"noise": [[1.0, 0.5], [0.0, 1.0]]}, "must be symmetric"),
        ({"distribution": "laplas"}, "Did you mean 'laplace'"),
        ({"missing": 1.0}, "must be a fraction of at least 0 and less than 1"),
        ({"available": "network"}, "must be a function in a file"),
    ],
)
def test_what_describes_no_observation_is_refused(options, said):
    with pytest.raises(ValueError, match="observation") as caught:
        make_observation({"every": 3, **options}, 6)
    assert said in str(caught.value)


COVARIANCE = np.array([[4.0, 1.0], [1.0, 1.0]])


@pytest.mark.parametrize("distribution", ["gaussian", "laplace"])
@pytest.mark.parametrize(("noise", "covariance"), [([2.0, 1.0], np.diag([4.0, 1.0])), (COVARIANCE, COVARIANCE)])
def test_noise_has_the_covariance_that_it_is_given(distribution, noise, covariance):
    draws = torch.from_numpy(np.random.default_rng(0).standard_normal((400_000, 2)))
    made = make_observation({"every": 3, "noise": noise, "distribution": distribution}, 6).noise_of(draws).numpy()
    np.testing.assert_allclose(np.cov(made.T), covariance, rtol=0, atol=0.05)


def test_laplace_noise_is_scipys_of_variance_one():
    draws = np.random.default_rng(0).standard_normal((50_000, 2))
    made = make_observation({"every": 3, "distribution": "laplace"}, 6).noise_of(torch.from_numpy(draws)).numpy()
    expected = stats.laplace.ppf(stats.norm.cdf(draws), scale=0.5**0.5)
    np.testing.assert_allclose(made, expected, rtol=1e-8, atol=1e-9)


def test_a_fraction_is_missing_at_random_by_the_generator():
    operator = make_observation({"every": 3, "missing": 0.3}, 6)
    truth, draws = np.zeros((50, 200, 6)), np.zeros((50, 200, 2))
    made = [operator.simulate(truth, [1.0, 0.7], draws, np.random.default_rng(1)) for _ in range(2)]
    np.testing.assert_array_equal(*made)
    gaps = np.isnan(made[0])
    assert (gaps[0] == gaps[1]).all()
    assert abs(gaps[0].mean() - 0.3) < 4 * (0.21 / gaps[0].size) ** 0.5


def test_a_network_that_changes_with_time_is_the_users(tmp_path):
    path = tmp_path / "network.py"
    path.write_text("import numpy as np\n\n\ndef moving(cycle, rng):\n    return np.arange(2) == cycle % 3\n")
    operator = make_observation({"every": 3, "available": f"{path}:moving"}, 6)
    gaps = np.isnan(operator.simulate(np.zeros((1, 4, 6)), [1.0], np.zeros((1, 4, 2)), np.random.default_rng(0)))
    assert (~gaps[0, 0]).tolist() == [[True, False], [False, True], [False, False], [True, False]]
    path.write_text("def moving(cycle, rng):\n    return [True, False]\n")
    with pytest.raises(ValueError, match=r"network\.py:moving returned list of shape \(2,\); right is"):
        make_observation({"every": 3, "available": f"{path}:moving"}, 6).gaps(1, [0], np.random.default_rng(0))
