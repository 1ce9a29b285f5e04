"""Observation operators pick the components that they are told to."""

import pytest
import torch

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
    ],
)
def test_what_describes_no_operator_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        make_observation(options, 40)


def test_a_size_that_the_observations_do_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"every = 4: must divide the number of components, 42"):
        make_observation({"every": 4}, 42)
