"""The learned filter for few variables: where it starts from, symmetries, missing observations, noise, moves."""

import numpy as np
import pytest
import torch

from mnmef.experiments.load import load_experiment
from mnmef.filters.mnmef_members import MembersOptions, MnmefMembers

EXPERIMENT = load_experiment("lorenz63")
FULL = load_experiment("lorenz63_full")


def make(experiment=EXPERIMENT, sigma_y=1.3, trained=True):
    """A filter with random weights, or untrained, in double precision."""
    torch.manual_seed(0)
    filter_ = MnmefMembers(experiment, sigma_y, MembersOptions(width=7)).double()
    if trained:
        with torch.no_grad():
            for parameter in filter_.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
    return filter_


def draw(experiment=EXPERIMENT, members=6):
    """A forecast (2, N, Nx) and an observation (2, d)."""
    rng = np.random.default_rng(0)
    forecast = 3 + rng.standard_normal((2, members, experiment.state_size))
    return torch.from_numpy(forecast), torch.from_numpy(3 + rng.standard_normal((2, experiment.observation_size)))


@pytest.mark.parametrize("experiment", [EXPERIMENT, FULL], ids=["one observed", "all observed"])
def test_untrained_it_is_the_filter_with_half_the_gain_for_anomalies(experiment):
    filter_, (forecast, observation) = make(experiment, trained=False), draw(experiment, members=10)
    with torch.no_grad():
        analysis = filter_.analyze(forecast, observation, experiment).numpy()
    places = list(experiment.observed)
    for v, y, found in zip(forecast.numpy(), observation.numpy(), analysis, strict=True):
        anomaly = v - v.mean(0)
        covariance = anomaly.T @ anomaly / (len(v) - 1)
        inner = covariance[np.ix_(places, places)] + 1.3**2 * np.eye(len(places))
        gain = covariance[:, places] @ np.linalg.inv(inner)
        mean = v.mean(0) + gain @ (y - v.mean(0)[places])
        right = mean + 1.02 * (anomaly - 0.5 * anomaly[:, places] @ gain.T)
        np.testing.assert_allclose(found, right, rtol=1e-6)


@pytest.mark.parametrize("members", [2, 5, 40])
def test_permuting_members_permutes_the_analysis_at_any_n(members):
    filter_, (forecast, observation) = make(), draw(members=members)
    order = torch.randperm(members)
    analysis = filter_.analyze(forecast, observation, EXPERIMENT)
    assert analysis.isfinite().all()
    permuted = filter_.analyze(forecast[:, order], observation, EXPERIMENT)
    torch.testing.assert_close(permuted, analysis[:, order])


def test_members_are_moved_in_a_way_that_no_linear_map_of_anomalies_is():
    # Of members on a line, a linear map of the anomalies makes members on a line.
    filter_, (_, observation) = make(), draw()
    line = torch.linspace(-1, 1, 6, dtype=torch.float64)[:, None] * torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64)
    analysis = filter_.analyze((3 + line).expand(2, -1, -1), observation, EXPERIMENT)
    singular = torch.linalg.svdvals(analysis[0] - analysis[0].mean(0))
    assert singular[1] > 1e-6 * singular[0]


def test_what_is_missing_has_no_value():
    filter_, (forecast, observation) = make(FULL), draw(FULL)
    observation[:, 1] = torch.nan
    analysis = filter_.analyze(forecast, observation, FULL)
    assert analysis.isfinite().all()
    # The gain is that of the other observations: untrained, it is the filter that has only these.
    untrained, fewer = make(FULL, trained=False), FULL.description | {"observation": {"components": [0, 2]}}
    fewer = FULL.from_description(fewer)
    other = make(fewer, trained=False).analyze(forecast, observation[:, [0, 2]], fewer)
    torch.testing.assert_close(untrained.analyze(forecast, observation, FULL), other)


def test_a_noise_level_for_each_ensemble_is_that_of_filters_made_for_them():
    filter_, (forecast, observation) = make(), draw()
    both = filter_.at_noise(torch.tensor([0.7, 1.2])).analyze(forecast, observation, EXPERIMENT)
    for i, sigma_y in enumerate((0.7, 1.2)):
        alone = filter_.at_noise(sigma_y).analyze(forecast[i], observation[i], EXPERIMENT)
        torch.testing.assert_close(alone, both[i], rtol=1e-6, atol=0)
    assert filter_.sigma_y == 1.3


def test_a_width_below_one_is_refused():
    with pytest.raises(ValueError, match="width of mnmef_members must be at least 1, not 0"):
        MembersOptions(width=0)
