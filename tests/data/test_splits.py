"""Splits from truths that the user has stored."""

import re

import numpy as np
import pytest
import xarray as xr

from mnmef.core.seeds import numpy_generator
from mnmef.data.splits import make_split, stored_split
from mnmef.data.twin import simulate_truth
from mnmef.experiments.experiment import Experiment
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
def test_trajectories_that_do_not_fit_are_named(experiment, tmp_path, change, split, said):
    np.save(tmp_path / "truths.npy", change(np.arange(8 * 12 * 3, dtype=float).reshape(8, 12, 3)))
    with pytest.raises(ValueError, match=re.escape(said)) as caught:
        stored_split(tmp_path / "truths.npy", split, SIZES, experiment)
    assert "truths.npy" in str(caught.value)


ONE_LEVEL = SETTINGS | {"noise_levels": [1.0]}


def stored(folder, states, observations, dims=("trajectory", "time")):
    """Settings with a file of truths and their observations."""
    given = {"truth": ((*dims, "state"), states), "observation": ((*dims, "observed"), observations)}
    xr.Dataset(given).to_netcdf(folder / "own.nc")
    return ONE_LEVEL | {"trajectories": str(folder / "own.nc")}


def test_observations_stored_beside_truths_give_back_the_split_that_they_are_of_bit_by_bit(experiment, tmp_path):
    gappy = Experiment.from_description(
        experiment.description | {"observation": {**experiment.description["observation"], "missing": 0.3}}
    )
    simulated = make_split(gappy, "test", ONE_LEVEL)
    start = simulate_truth(experiment, 3, 0, numpy_generator(7, "lorenz63", "test", "truth"))
    states = np.concatenate([start, simulated["truth"].values], axis=1)
    unused = np.full((3, 1, 1), 77.0)
    observations = np.concatenate([unused, simulated["observation"].values[0]], axis=1)
    assert np.isnan(observations).any()
    expected = simulated.assign_attrs(description=make_split(experiment, "test", ONE_LEVEL).attrs["description"])
    xr.testing.assert_identical(make_split(experiment, "test", stored(tmp_path, states, observations)), expected)
    turned = (np.moveaxis(values, 0, 1) for values in (states, observations))
    xr.testing.assert_identical(
        make_split(experiment, "test", stored(tmp_path, *turned, dims=("time", "trajectory"))), expected
    )


def test_stored_observations_go_with_their_truths_into_every_split(experiment, tmp_path):
    states = np.arange(8 * 12 * 3, dtype=float).reshape(8, 12, 3)
    given = stored(tmp_path, states, 10 * states[..., :1])
    train = make_split(experiment, "train", given)
    np.testing.assert_array_equal(train["observation"], 10 * train["truth"][..., :1])
    for split in ("tune", "test"):
        made = make_split(experiment, split, given)
        np.testing.assert_array_equal(made["observation"][0], 10 * made["truth"][..., :1])


@pytest.mark.parametrize(
    ("change", "levels", "said"),
    [
        (
            lambda seen: seen[:, :11],
            [1.0],
            "observations in {} are of shape (8, 11, 1) and type float64; right are real",
        ),
        (
            lambda seen: seen[..., [0, 0]],
            [1.0],
            "are of shape (8, 12, 2) and type float64; right are real numbers (8, 12, 1)",
        ),
        (lambda seen: seen[..., 0], [1.0], "observations in {} are of shape (8, 12)"),
        (lambda seen: seen > 5, [1.0], "of shape (8, 12, 1) and type bool"),
        (
            lambda seen: np.where(seen == 36, np.inf, seen),
            [1.0],
            "observations in {}: one of the test split is infinite",
        ),
        (lambda seen: seen, [1.0, 0.5], "observations in {} are of one noise level: noise_levels = [1.0, 0.5] must be"),
    ],
)
def test_stored_observations_that_do_not_fit_are_named(experiment, tmp_path, change, levels, said):
    states = np.arange(8 * 12 * 3, dtype=float).reshape(8, 12, 3)
    seen = change(states[..., :1])
    axes = [("trajectory", "time", "observed")[: seen.ndim], ("trajectory", "time", "state")]
    axes[0] = tuple(f"{name}_seen" for name in axes[0])
    xr.Dataset({"observation": (axes[0], seen), "truth": (axes[1], states)}).to_netcdf(tmp_path / "own.nc")
    given = SETTINGS | {"noise_levels": levels, "trajectories": str(tmp_path / "own.nc")}
    with pytest.raises(ValueError, match=re.escape(said.format(tmp_path / "own.nc"))):
        make_split(experiment, "test", given)


def test_observations_without_truths_are_named(experiment, tmp_path):
    xr.Dataset({"observation": (("a", "b", "c"), np.zeros((8, 12, 1)))}).to_netcdf(tmp_path / "own.nc")
    with pytest.raises(ValueError, match=r"own\.nc: unknown variable 'truth'.*Known: observation"):
        make_split(experiment, "test", ONE_LEVEL | {"trajectories": str(tmp_path / "own.nc")})
