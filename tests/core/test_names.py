"""The registry of methods: own weights of each learned filter can be scored, and lines can be told apart."""

import pytest

from mnmef.core.names import LEARNED_FILTERS, METHODS, method_of, serves_grid


@pytest.mark.parametrize("filter_name", LEARNED_FILTERS)
@pytest.mark.parametrize("stage", ["pretrained", "own"])
def test_each_learned_filter_is_a_method_with_trained_and_with_own_weights(filter_name, stage):
    assert method_of(filter_name, stage).filter == filter_name


def test_no_two_methods_have_the_same_label_or_the_same_color_and_marker():
    labels = [method.label for method in METHODS.values()]
    looks = [(method.color, method.marker) for method in METHODS.values()]
    assert len(set(labels)) == len(labels)
    assert len(set(looks)) == len(looks)


@pytest.mark.parametrize("grid", ["periodic", None])
def test_on_each_grid_there_are_the_papers_filter_and_some_of_ours(grid):
    served = {name for name in LEARNED_FILTERS if serves_grid(name, grid)}
    assert served == {"mnmef"} | ({"mnmef_conv", "mnmef_local"} if grid else {"mnmef_members"})
