"""DAPPER behind our interface."""

import numpy as np
import pytest

from mnmef.dapper_bridge import run_dapper
from mnmef.data import simulate_split
from mnmef.systems import make_system


@pytest.fixture(scope="module")
def split():
    return simulate_split("lorenz63", "tune", 1, 12, [1.0], 8, seed=6)


def run(split, method, **options):
    first, observation = split["first_ensemble"].values[0], split["observation"].values[0, 0]
    return run_dapper(method, make_system("lorenz63"), 1.0, first, observation, **options)


def test_the_same_seed_gives_the_same_means_and_another_seed_others(split):
    a, b, c = (run(split, "enkf", seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(a, b)
    assert not np.allclose(a, c)
    assert a.shape == (12, 3)


def test_a_run_that_breaks_down_is_nan_throughout(split):
    assert np.isnan(run(split, "esrf", inflation=1e200)).all()


def test_a_method_that_dapper_does_not_have_is_named(split):
    with pytest.raises(ValueError, match="enkf_localized is ours alone"):
        run(split, "enkf_localized")
