"""The filter with convolutions: its symmetries, any N and any grid, and where it starts from."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from mnmef.experiments.load import load_experiment
from mnmef.filters.base import observation_perturbations
from mnmef.filters.learned import make_learned
from mnmef.filters.mnmef import kalman_increment
from mnmef.filters.mnmef_conv import EPSILON, ConvOptions, MemberConvolution, MnmefConv

SMALL = ConvOptions(channels=6, layers=2, kernel=3, patch=2, reach=8)


@pytest.fixture(params=[("lorenz96", 1), ("lorenz96", 4), ("ks", 2)], ids=str)
def case(request):
    """A filter with random weights, and a forecast, an observation and noise for it."""
    name, patch = request.param
    experiment = load_experiment(name)
    torch.manual_seed(0)
    filter_ = MnmefConv(experiment, 1.0, replace(SMALL, patch=patch)).double()
    with torch.no_grad():
        for parameter in filter_.parameters():
            parameter.normal_(0.0, 0.3)
    rng = np.random.default_rng(0)
    forecast = torch.from_numpy(rng.standard_normal((3, 7, experiment.state_size)))
    observation = torch.from_numpy(rng.standard_normal((3, experiment.observation_size)))
    noise = torch.from_numpy(rng.standard_normal((3, 7, experiment.observation_size)))
    return filter_, experiment, forecast, observation, noise


def test_permuting_members_and_their_noise_permutes_the_analysis(case):
    filter_, experiment, forecast, observation, noise = case
    order = torch.randperm(7)
    analysis = filter_.analyze(forecast, observation, experiment, noise)
    permuted = filter_.analyze(forecast[:, order], observation, experiment, noise[:, order])
    torch.testing.assert_close(permuted, analysis[:, order])


def test_a_shift_of_the_grid_by_the_distance_of_observations_shifts_the_analysis(case):
    filter_, experiment, forecast, observation, noise = case
    gap = experiment.observed[1] - experiment.observed[0]
    analysis = filter_.analyze(forecast, observation, experiment, noise)
    shifted = filter_.analyze(forecast.roll(2 * gap, -1), observation.roll(2, -1), experiment, noise.roll(2, -1))
    torch.testing.assert_close(shifted, analysis.roll(2 * gap, -1))
    # A shift by another distance is no symmetry: other sites are observed.
    other = filter_.analyze(forecast.roll(1, -1), observation, experiment, noise)
    assert not torch.allclose(other, analysis.roll(1, -1))


def test_the_same_weights_take_any_number_of_members_and_any_length_of_the_grid():
    small = load_experiment("lorenz96")
    large = small.with_system({"state_size": 80})
    torch.manual_seed(0)
    filter_ = MnmefConv(small, 1.0, SMALL)
    other = MnmefConv(large, 1.0, SMALL)
    other.load_state_dict(filter_.state_dict())
    forecast, observation, noise = torch.randn(2, 4, 40), torch.randn(2, 10), torch.randn(2, 4, 10)
    analysis = filter_.analyze(forecast, observation, small, noise)
    twice = other.analyze(forecast.repeat(1, 1, 2), observation.repeat(1, 2), large, noise.repeat(1, 1, 2))
    # Two copies of a circle side by side: beyond the reach nothing is seen, so each copy is analyzed as if alone.
    torch.testing.assert_close(twice, analysis.repeat(1, 1, 2), rtol=1e-4, atol=1e-4)
    assert filter_.analyze(torch.randn(2, 9, 40), observation, small, torch.randn(2, 9, 10)).shape == (2, 9, 40)


def test_the_untrained_filter_is_an_enkf_with_weights_that_fall_off_with_distance(case):
    _, experiment, forecast, observation, noise = case
    filter_ = MnmefConv(experiment, 1.0, SMALL).double()
    with torch.no_grad():
        filter_.weigh.weight.zero_()
    weights = 2.0 * torch.sigmoid(filter_.weigh.bias.detach())
    assert (weights.diff() <= 0).all()
    assert float(weights[0]) == pytest.approx(1.0)
    distance = torch.from_numpy(experiment.distances())
    taper = torch.where(distance <= SMALL.reach, weights[distance.clamp(max=SMALL.reach)], 0.0)
    observed = experiment.observe(forecast)
    innovation = observation[:, None] - observed - observation_perturbations(noise, 1.0)
    localization = (taper.expand(3, -1, -1), taper[list(experiment.observed)].expand(3, -1, -1))
    v, h = (x - x.mean(-2, keepdim=True) for x in (forecast, observed))
    expected = forecast + kalman_increment(v, h, innovation, 1.0, localization)
    torch.testing.assert_close(
        filter_.analyze(forecast, observation, experiment, noise), expected.clamp(-experiment.bound, experiment.bound)
    )


def test_leading_dimensions_do_not_mix_and_every_parameter_has_a_gradient(case):
    filter_, experiment, forecast, observation, noise = case
    whole = filter_.analyze(forecast, observation, experiment, noise)
    torch.testing.assert_close(whole[1:2], filter_.analyze(forecast[1:2], observation[1:2], experiment, noise[1:2]))
    whole.square().sum().backward()
    for name, parameter in filter_.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().max()) > 0, name


@pytest.mark.parametrize(("inputs", "channels", "kernel"), [(5, 5, 3), (4, 6, 5), (6, 6, 1)])
def test_a_layer_is_the_sum_of_two_circular_convolutions_and_its_gradient_is_the_derivative(inputs, channels, kernel):
    torch.manual_seed(0)
    layer = MemberConvolution(inputs, channels, kernel).double()
    fields = torch.randn(7, 2, 3, inputs, dtype=torch.double, requires_grad=True)

    def convolve(weights, x):  # torch's own, which wants (batch, channels, sites)
        padded = functional.pad(x.movedim(0, -1), (kernel // 2, kernel // 2), mode="circular")
        return functional.conv1d(padded, weights.weight, weights.bias).movedim(-1, 0)

    statistics = torch.cat((fields.mean(2), (fields.var(2, correction=0) + EPSILON).sqrt()), -1)
    own = torch.stack([convolve(layer.own, fields[:, :, n]) for n in range(3)], 2)
    expected = functional.gelu(own + convolve(layer.pooled, statistics).unsqueeze(2))
    torch.testing.assert_close(layer(fields), expected + fields if inputs == channels else expected)
    assert torch.autograd.gradcheck(lambda x, *_: layer(x), (fields, *layer.parameters()))


def test_what_it_cannot_do_is_refused():
    with pytest.raises(ValueError, match="periodic grid, which Lorenz '63 does not have"):
        make_learned("mnmef_conv", load_experiment("lorenz63"), 1.0)
    with pytest.raises(ValueError, match="must be odd, not 4"):
        ConvOptions(kernel=4)
    with pytest.raises(ValueError, match=r"must divide the grid of Kuramoto.*128 points"):
        make_learned("mnmef_conv", load_experiment("ks"), 1.0, {"patch": 3})
    with pytest.raises(ValueError, match=r"options of mnmef_conv.*width"):
        make_learned("mnmef_conv", load_experiment("ks"), 1.0, {"width": 3})
    with pytest.raises(ValueError, match=r"'mnmef_con'.*'mnmef_conv'"):
        make_learned("mnmef_con", load_experiment("ks"), 1.0)
