"""Assimilation of observations without a truth."""

import numpy as np
import pytest
import torch
import xarray as xr

from mnmef.assimilation.assimilate import assimilate, climatological_states
from mnmef.assimilation.cycling import noise_source, run_filter
from mnmef.data.twin import simulate_truth
from mnmef.experiments.load import load_experiment
from mnmef.filters.classical import make_classical
from mnmef.learning.checkpoints import load_checkpoint

CYCLES = 60


@pytest.fixture(scope="module")
def twin():
    experiment = load_experiment("lorenz96")
    rng = np.random.default_rng(5)
    truth = simulate_truth(experiment, 1, CYCLES, rng)[0, 1:]
    return (
        experiment,
        truth,
        truth[:, list(experiment.observed)] + rng.standard_normal((CYCLES, experiment.observation_size)),
    )


@pytest.mark.parametrize("method", ["letkf", "enkf_localized"])
def test_means_and_deviations_are_those_of_the_run_that_knows_the_truth(twin, method):
    experiment, truth, observations = twin
    filter_ = make_classical(method, experiment, 1.0, 1.1, 4.0)
    first = climatological_states(experiment, 8)
    result = assimilate(filter_, experiment, observations, first_ensemble=first, seed=3)
    record = run_filter(
        filter_,
        experiment,
        torch.from_numpy(first).double()[None],
        torch.from_numpy(observations)[None],
        torch.from_numpy(truth).double()[None],
        noise_source(3, filter_.name, 8, (1, 8, experiment.observation_size)),
        traced=1,
    )
    np.testing.assert_array_equal(result["mean"], record.mean[0])
    np.testing.assert_array_equal(result["deviation"], record.deviation[0])
    assert result.sizes == {"cycle": CYCLES, "state": 40}


def test_a_shipped_filter_finds_the_truth_from_the_climate_alone(twin, root):
    experiment, truth, observations = twin
    weights = root / "resources" / "weights" / "lorenz96_1.0" / "mnmef_conv_pretrained.safetensors"
    filter_ = load_checkpoint(weights, experiment="lorenz96", sigma_y=1.0)
    result = assimilate(filter_, experiment, observations, members=10)
    error = np.sqrt(((result["mean"].values - truth) ** 2).mean(1))
    climate = climatological_states(experiment, 50).std(0).mean()
    assert error[-20:].mean() < climate / 2


def test_climatological_states_are_independent_and_have_the_spread_of_the_climate():
    experiment = load_experiment("lorenz96")
    states = climatological_states(experiment, 200, seed=1)
    assert states.shape == (200, 40)
    # Mean 2.3 and standard deviation 3.6 are those of Lorenz '96 with forcing 8 (Lorenz and Emanuel 1998).
    assert abs(states.mean() - 2.3) < 0.15
    assert abs(states.std() - 3.6) < 0.15
    assert abs(np.corrcoef(states[:-1].ravel(), states[1:].ravel())[0, 1]) < 0.05


def test_arrays_of_the_wrong_shape_and_observations_that_are_no_numbers_are_refused(twin):
    experiment, _, observations = twin
    filter_ = make_classical("esrf", experiment, 1.0, 1.1)
    with pytest.raises(ValueError, match=r"observations must be an array \(cycles, observed components\)"):
        assimilate(filter_, experiment, observations[0])
    with pytest.raises(ValueError, match="has 10 observed components, but observations have 9"):
        assimilate(filter_, experiment, observations[:, :9])
    with pytest.raises(ValueError, match="first_ensemble must be an array"):
        assimilate(filter_, experiment, observations, first_ensemble=np.zeros(40))
    infinite = observations.copy()
    infinite[3, 2] = np.inf
    with pytest.raises(ValueError, match="infinite values"):
        assimilate(filter_, experiment, infinite)


def test_masked_arrays_xarray_and_nan_say_the_same_of_what_is_missing(twin):
    experiment, _, observations = twin
    filter_ = make_classical("letkf", experiment, 1.0, 1.1, 4.0)
    gaps = np.random.default_rng(0).random(observations.shape) < 0.3
    gaps[5] = True
    holed = np.where(gaps, np.nan, observations)
    forms = (holed, np.ma.masked_array(np.where(gaps, 1e20, observations), gaps), xr.DataArray(holed))
    first, *others = (assimilate(filter_, experiment, form, members=10) for form in forms)
    assert bool(first["mean"].notnull().all())
    assert not first.identical(assimilate(filter_, experiment, observations, members=10))
    for other in others:
        xr.testing.assert_identical(first, other)
