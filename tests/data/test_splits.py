"""Splits from truths that the user has stored."""

import re

import numpy as np
import pytest
import xarray as xr

from mnmef.core.seeds import numpy_generator
from mnmef.data.splits import make_split, stored_truths
from mnmef.data.twin import simulate_truth
from mnmef.experiments.load import load_experiment

SIZES = {
    "members": 4,
    "test": {"trajectories": 3, "cycles": 11},
    "tune": {"trajectories": 2, "cycles": 11},
    "train": {"windows": 4, "window_cycles": 3, "offset_cycles": 1},
}
SETTINGS = {"data": SIZES, "noise_levels": [1.0, 0.5], "seed": 7}


@pytest.fixture(scope="module")
def experiment():
    return load_experiment("lorenz63")


def test_truths_that_our_simulation_made_give_back_its_observations_and_first_ensembles_bit_by_bit(
    experiment, tmp_path
):
    simulated = make_split(experiment, "test", SETTINGS)
    start = simulate_truth(experiment, 3, 0, numpy_generator(7, "lorenz63", "test", "truth"))
    np.save(tmp_path / "truths.npy", np.concatenate([start, simulated["truth"].values], axis=1))
    stored = make_split(experiment, "test", SETTINGS | {"trajectories": str(tmp_path / "truths.npy")})
    xr.testing.assert_identical(stored, simulated)


def test_each_trajectory_is_in_one_split_and_training_has_segments_of_all_others(experiment, tmp_path):
    states = np.arange(8 * 12 * 3, dtype=float).reshape(8, 12, 3)
    xr.Dataset({"truth": (("trajectory", "time", "state"), states)}).to_netcdf(tmp_path / "truths.nc")
    given = SETTINGS | {"trajectories": str(tmp_path / "truths.nc")}
    test, tune, train = (make_split(experiment, split, given)["truth"].values for split in ("test", "tune", "train"))
    np.testing.assert_array_equal(test, states[:3, 1:])
    np.testing.assert_array_equal(tune, states[3:5, 1:])
    np.testing.assert_array_equal(train, [states[5, :5], states[6, :5], states[7, :5], states[5, 5:10]])


@pytest.mark.parametrize(
    ("change", "split", "said"),
    [
        (lambda states: states[:, :, :2], "test", "are of shape (8, 12, 2) and type float64; right are real numbers"),
        (lambda states: states[0], "test", "are of shape (12, 3)"),
        (lambda states: states[:4], "tune", "have 4 trajectories of 12 times; the tune split needs 5 trajectories"),
        (
            lambda states: states[:, :11],
            "test",
            "of 11 times; the test split needs 3 trajectories of 12 times",
        ),
        (
            lambda states: states[:6],
            "train",
            "needs 4 segments of 5 times (data.train) of",
        ),
        (lambda states: np.where(states == 40, np.nan, states), "test", "a state of the test split is not finite"),
    ],
)
def test_trajectories_that_do_not_fit_are_named(tmp_path, change, split, said):
    np.save(tmp_path / "truths.npy", change(np.arange(8 * 12 * 3, dtype=float).reshape(8, 12, 3)))
    with pytest.raises(ValueError, match=re.escape(said)) as caught:
        stored_truths(tmp_path / "truths.npy", split, SIZES, 3)
    assert "truths.npy" in str(caught.value)
