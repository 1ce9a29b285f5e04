"""The local gain is the dense one, at a cost linear in the length of the grid."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mnmef.experiments.load import load_experiment
from mnmef.filters import mnmef_conv_local
from mnmef.filters.mnmef_conv import ConvOptions, MnmefConv
from mnmef.filters.mnmef_conv_local import MnmefConvLocal, solve_sparse, spacing_of
from mnmef.observations import Components

SMALL = ConvOptions(channels=6, layers=2, kernel=3, patch=2, reach=8)


def lorenz96(size):
    return load_experiment("lorenz96").with_system({"state_size": size})


def random_filter(experiment, options):
    torch.manual_seed(0)
    filter_ = MnmefConv(experiment, 0.8, options).double()
    with torch.no_grad():
        for parameter in filter_.parameters():
            parameter.normal_(0.0, 0.3)
    return filter_


def random_case(experiment, members=7, batch=3):
    rng = np.random.default_rng(1)
    shapes = ((batch, members, experiment.state_size), (batch, experiment.observation_size))
    shapes = (*shapes, (batch, members, experiment.observation_size))
    return tuple(torch.from_numpy(rng.standard_normal(shape)) for shape in shapes)


def dense_twin(filter_, experiment):
    dense = MnmefConv(experiment, filter_.sigma_y, filter_.options).double()
    dense.load_state_dict(filter_.state_dict())
    return dense


# Reaches below, at and beyond half the circle of 40 points, multiples of the distance of observations or not.
@pytest.mark.parametrize("reach", [3, 8, 10, 19, 20, 21, 26])
@pytest.mark.parametrize("size", [36, 40, 80])
def test_the_local_analysis_is_the_dense_one(size, reach):
    filter_ = random_filter(lorenz96(40), replace(SMALL, reach=reach))
    experiment = lorenz96(size)
    forecast, observation, noise = random_case(experiment)
    with torch.no_grad():
        expected = dense_twin(filter_, experiment).analyze(forecast, observation, experiment, noise)
        found = MnmefConvLocal(filter_, experiment).analyze(forecast, observation, experiment, noise)
    torch.testing.assert_close(found, expected, rtol=0.0, atol=1e-10)


def test_the_local_analysis_is_the_dense_one_on_kuramoto_sivashinsky():
    experiment = load_experiment("ks")
    filter_ = random_filter(experiment, replace(SMALL, patch=4, reach=32))
    forecast, observation, noise = random_case(experiment)
    with torch.no_grad():
        expected = filter_.analyze(forecast, observation, experiment, noise)
        found = MnmefConvLocal(filter_, experiment).analyze(forecast, observation, experiment, noise)
    torch.testing.assert_close(found, expected, rtol=0.0, atol=1e-10)


def test_leading_dimensions_and_single_precision_are_kept():
    experiment = lorenz96(80)
    local = MnmefConvLocal(random_filter(lorenz96(40), SMALL), experiment)
    forecast, observation, noise = random_case(experiment, batch=4)
    whole = local.analyze(forecast, observation, experiment, noise).detach()
    folded = local.analyze(
        forecast.view(2, 2, 7, -1), observation.view(2, 2, -1), experiment, noise.view(2, 2, 7, -1)
    ).detach()
    torch.testing.assert_close(folded.flatten(0, 1), whole)
    single = local.float().analyze(forecast.float(), observation.float(), experiment, noise.float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double().detach(), whole, rtol=0.0, atol=1e-2)


def test_shifting_a_long_grid_shifts_the_analysis():
    experiment = lorenz96(400)
    local = MnmefConvLocal(random_filter(lorenz96(40), replace(SMALL, reach=20)), experiment)
    forecast, observation, noise = random_case(experiment)
    with torch.no_grad():
        analysis = local.analyze(forecast, observation, experiment, noise)
        shifted = local.analyze(forecast.roll(12, -1), observation.roll(3, -1), experiment, noise.roll(3, -1))
    torch.testing.assert_close(shifted, analysis.roll(12, -1), rtol=0.0, atol=1e-10)


@pytest.mark.parametrize("segment", [7, 50, 200])
def test_segments_of_the_grid_give_what_the_whole_grid_gives(monkeypatch, segment):
    experiment = lorenz96(400)
    filter_ = random_filter(lorenz96(40), SMALL)
    forecast, observation, noise = random_case(experiment)
    monkeypatch.setattr(mnmef_conv_local, "SEGMENT", segment)
    with torch.no_grad():
        expected = dense_twin(filter_, experiment).analyze(forecast, observation, experiment, noise)
        found = MnmefConvLocal(filter_, experiment).analyze(forecast, observation, experiment, noise)
    torch.testing.assert_close(found, expected, rtol=0.0, atol=1e-10)


def test_an_observation_reaches_no_farther_than_network_and_gain():
    # A long circle: the network's average over space alone carries anything farther, by the localization weights.
    experiment = lorenz96(400)
    filter_ = random_filter(lorenz96(40), SMALL)
    with torch.no_grad():
        filter_.weigh.weight.zero_()
        # No corrections: only the gain acts.
        for parameter in filter_.corrections.parameters():
            parameter.zero_()
    local = MnmefConvLocal(filter_, experiment)
    forecast, observation, noise = random_case(experiment)
    other = observation.clone()
    other[:, 50] += 1.0
    with torch.no_grad():
        change = local.analyze(forecast, other, experiment, noise) - local.analyze(
            forecast, observation, experiment, noise
        )
    largest = change.abs().amax((0, 1))
    assert largest[200] > 1e-3
    # The inverse of a band is full, but falls off geometrically.
    assert largest[:100].max() < 1e-6 * largest[200]


@pytest.mark.parametrize(("size", "band"), [(1, 0), (2, 1), (9, 4), (10, 5), (11, 2), (64, 5)])
def test_entries_of_a_cyclic_band_give_the_solution_of_the_full_matrix(size, band):
    rng = np.random.default_rng(0)
    rows = np.unique((np.arange(-band, band + 1)[:, None] + np.arange(size)) % size, axis=0)
    full, right = np.zeros((size, size)), rng.standard_normal((2, 3, size))
    np.put_along_axis(full, rows, rng.standard_normal(rows.shape), 0)
    full += full.T
    # Not definite: a solver without pivoting would fail.
    assert size < 3 or np.linalg.eigvalsh(full)[0] < 0 < np.linalg.eigvalsh(full)[-1]
    values = torch.from_numpy(np.stack([scale * np.take_along_axis(full, rows, 0) for scale in (1.0, 2.0)]))
    found = solve_sparse(values, torch.from_numpy(rows), torch.from_numpy(right))
    for solution, scale, sides in zip(found.numpy(), (1.0, 2.0), right, strict=True):
        np.testing.assert_allclose(solution, np.linalg.solve(scale * full, sides.T).T, rtol=1e-8, atol=1e-8)


def test_a_singular_or_broken_ensemble_keeps_its_forecast_and_spoils_no_other():
    rows = torch.arange(8)[None]
    for entry in (0.0, torch.nan):
        values = torch.stack([torch.full((1, 8), entry), torch.full((1, 8), 2.0)])
        found = solve_sparse(values, rows, torch.ones(2, 3, 8))
        assert torch.equal(found, torch.stack([torch.zeros(3, 8), torch.full((3, 8), 0.5)]))
    experiment = lorenz96(80)
    local = MnmefConvLocal(random_filter(lorenz96(40), SMALL), experiment)
    forecast, observation, noise = random_case(experiment)
    with torch.no_grad():
        whole = local.analyze(forecast, observation, experiment, noise)
        forecast[1, 0, 0] = torch.nan
        broken = local.analyze(forecast, observation, experiment, noise)
    torch.testing.assert_close(broken[[0, 2]], whole[[0, 2]])
    assert not broken[1].isfinite().all()


def test_another_pattern_of_observations_is_refused():
    experiment = replace(lorenz96(40), observation=Components(tuple(range(0, 40, 8)), 40))
    with pytest.raises(ValueError, match="every 4th grid point observed, not every 8th"):
        MnmefConvLocal(random_filter(lorenz96(40), SMALL), experiment)
    experiment = replace(experiment, observation=Components(tuple(range(1, 40, 4)), 40))
    with pytest.raises(ValueError, match="not observed at regular distances"):
        spacing_of(experiment)
