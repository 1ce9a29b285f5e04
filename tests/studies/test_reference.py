"""The reference: larger first ensembles, and the choice on one split that is scored on the other."""

import numpy as np
import pytest

from mnmef.data.twin import simulate_split
from mnmef.experiments.load import load_experiment
from mnmef.studies.reference import ReferencePlan, run_reference, settings_to_try, with_members

PLAN = ReferencePlan(60, ["esrf", "letkf"], inflations=[1.0, 1.5], radii=[6.0], trajectories=2, cycles=10)


@pytest.fixture(scope="module")
def splits():
    return [simulate_split(load_experiment("lorenz96"), name, 3, 12, [1.0], 20, seed=0) for name in ("tune", "test")]


def test_members_are_added_around_those_that_are_stored(splits):
    larger = with_members(splits[0], 2000, seed=0)
    values = larger["first_ensemble"].values
    assert values.shape == (3, 2000, 40)
    np.testing.assert_array_equal(values[:, :20], splits[0]["first_ensemble"].values)
    center = values[:, :20].mean(1)
    # As spread as the first ones, and nowhere else than they are.
    np.testing.assert_allclose(values[:, 20:].std(1), 1.0, atol=0.1)
    np.testing.assert_allclose(values[:, 20:].mean(1), center, atol=0.15)
    assert with_members(splits[0], 10, seed=0) is splits[0]


def test_methods_without_localization_have_no_radius_and_without_radii_none_is_localized():
    assert settings_to_try("esrf", [1.0, 1.1], [3.0]) == [(1.0, None), (1.1, None)]
    assert settings_to_try("letkf", [1.0], [3.0, 6.0]) == [(1.0, 3.0), (1.0, 6.0)]
    assert settings_to_try("letkf", [1.0], []) == []


def test_the_best_setting_of_the_tuning_split_is_scored_on_the_test_split(splits):
    scores, best = run_reference(*splits, 1.0, PLAN, seed=0)
    assert len(scores) == 4
    assert not scores.map(lambda value: isinstance(value, list)).any(axis=None)  # a table for a file
    winner = scores.loc[scores["rrmse"].idxmin()]
    row = best.iloc[0]
    for column in ("method", "inflation", "ensemble_size"):
        assert row[column] == winner[column]
    assert row["tuning_rrmse"] == winner["rrmse"] != row["rrmse"]
    assert row["n_trajectories"] == 3
    assert 0.0 < row["rrmse"] < 0.5
