"""Assimilation of observations without a truth."""

import numpy as np
import pytest
import torch

from mnmef.assimilation.assimilate import assimilate, climatological_states
from mnmef.assimilation.cycling import noise_source, run_filter
from mnmef.data.twin import simulate_truth
from mnmef.filters.classical import make_classical
from mnmef.learning.checkpoints import load_checkpoint
from mnmef.systems import make_system

CYCLES = 60


@pytest.fixture(scope="module")
def experiment():
    system = make_system("lorenz96")
    rng = np.random.default_rng(5)
    truth = simulate_truth(system, 1, CYCLES, rng)[0, 1:]
    return system, truth, truth[:, list(system.observed)] + rng.standard_normal((CYCLES, system.observation_size))


@pytest.mark.parametrize("method", ["letkf", "enkf_localized"])
def test_means_and_deviations_are_those_of_the_run_that_knows_the_truth(experiment, method):
    system, truth, observations = experiment
    filter_ = make_classical(method, system, 1.0, 1.1, 4.0)
    first = climatological_states(system, 8)
    result = assimilate(filter_, system, observations, first_ensemble=first, seed=3)
    record = run_filter(
        filter_,
        system,
        torch.from_numpy(first).double()[None],
        torch.from_numpy(observations)[None],
        torch.from_numpy(truth).double()[None],
        noise_source(3, filter_.name, 8, (1, 8, system.observation_size)),
        traced=1,
    )
    np.testing.assert_array_equal(result["mean"], record.mean[0])
    np.testing.assert_array_equal(result["deviation"], record.deviation[0])
    assert result.sizes == {"cycle": CYCLES, "state": 40}


def test_a_shipped_filter_finds_the_truth_from_the_climate_alone(experiment, root):
    system, truth, observations = experiment
    weights = root / "resources" / "weights" / "lorenz96_1.0" / "conv.safetensors"
    filter_ = load_checkpoint(weights, system="lorenz96", sigma_y=1.0)
    result = assimilate(filter_, system, observations, members=10)
    error = np.sqrt(((result["mean"].values - truth) ** 2).mean(1))
    climate = climatological_states(system, 50).std(0).mean()
    assert error[-20:].mean() < climate / 2


def test_climatological_states_are_independent_and_have_the_spread_of_the_climate():
    system = make_system("lorenz96")
    states = climatological_states(system, 200, seed=1)
    assert states.shape == (200, 40)
    # Mean 2.3 and standard deviation 3.6 are those of Lorenz '96 with forcing 8 (Lorenz and Emanuel 1998).
    assert abs(states.mean() - 2.3) < 0.15
    assert abs(states.std() - 3.6) < 0.15
    assert abs(np.corrcoef(states[:-1].ravel(), states[1:].ravel())[0, 1]) < 0.05


def test_arrays_of_the_wrong_shape_and_observations_that_are_no_numbers_are_refused(experiment):
    system, _, observations = experiment
    filter_ = make_classical("esrf", system, 1.0, 1.1)
    with pytest.raises(ValueError, match=r"observations must be an array \(cycles, observed components\)"):
        assimilate(filter_, system, observations[0])
    with pytest.raises(ValueError, match="has 10 observed components, but observations have 9"):
        assimilate(filter_, system, observations[:, :9])
    with pytest.raises(ValueError, match="first_ensemble must be an array"):
        assimilate(filter_, system, observations, first_ensemble=np.zeros(40))
    missing = observations.copy()
    missing[3, 2] = np.nan
    with pytest.raises(ValueError, match="non-finite"):
        assimilate(filter_, system, missing)
