"""The filter of local analyses: where it starts from, its symmetries, missing observations, any N, any D, gradients."""

import math

import numpy as np
import pytest
import torch

from mnmef.experiments.load import load_experiment
from mnmef.filters.letkf import LETKF
from mnmef.filters.localization import domain_taper
from mnmef.filters.mnmef_local import FIELDS, LocalOptions, MnmefLocal
from mnmef.filters.options import Options
from mnmef.filters.spreading import Respread
from mnmef.filters.windows import Window

SMALL = LocalOptions(channels=5, layers=2, kernel=3, reach=4, near=2)
FULL = load_experiment("lorenz96_full")
SPARSE = load_experiment("lorenz96")
PLANE = load_experiment("kolmogorov").with_system({"points": 16})
PLANE = PLANE.from_description({**PLANE.description, "observation": {"every": [4, 4]}})
IN_PLANE = {"every": 4, "reach": 4, "near": 1}


def make(experiment, sigma_y=1.3, trained=True, **changes):
    """A filter with random weights, or untrained, in double precision."""
    torch.manual_seed(0)
    filter_ = MnmefLocal(experiment, sigma_y, LocalOptions(**{**vars(SMALL), **changes})).double()
    if trained:
        with torch.no_grad():
            for parameter in filter_.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
    return filter_


def draw(experiment, members=6, seed=0):
    """A forecast (2, N, Nx) and an observation (2, d)."""
    rng = np.random.default_rng(seed)
    forecast = 3 + rng.standard_normal((2, members, experiment.state_size))
    return torch.from_numpy(forecast), torch.from_numpy(3 + rng.standard_normal((2, experiment.observation_size)))


def first_taper(distance, options):
    """The Gaussian of the options at whole distances, with logits interpolated between them."""
    whole = np.arange(distance.max() + 2)
    gaussian = np.clip(np.exp(-0.5 * (whole / options.radius) ** 2), 1e-3, 1 - 1e-3)
    return 1 / (1 + np.exp(-np.interp(distance, whole, np.log(gaussian / (1 - gaussian)))))


def closed_form(v, y, experiment, sigma_y, options, start=None):
    """Analysis (N, Nx) by a gain with `R / taper` for each component, of which anomalies get half; or the start of the
    cycle, corrected in the same way without inflation.
    """
    corrected, inflation = (v, options.first_inflation) if start is None else (start, 1.0)
    anomaly, h_anomaly = corrected - corrected.mean(0), (v - v.mean(0))[:, list(experiment.observed)]
    analysis = np.empty_like(v)
    window = Window(experiment.grid_shape, options.reach, options.every)
    points = torch.arange(experiment.state_size)
    for i, distance in enumerate(experiment.distances()):
        near = np.flatnonzero(np.isin(experiment.observed, window.gather(points[:, None])[i]))
        taper = first_taper(distance[near], options)
        covariance = h_anomaly[:, near].T @ h_anomaly[:, near] / (len(v) - 1) + np.diag(sigma_y**2 / taper)
        gain = np.linalg.solve(covariance, h_anomaly[:, near].T @ anomaly[:, i] / (len(v) - 1))
        shift = gain @ (y - v.mean(0)[list(experiment.observed)])[near]
        half = anomaly[:, i] - 0.5 * h_anomaly[:, near] @ gain
        analysis[:, i] = corrected[:, i].mean() + shift + inflation * half
    return analysis


@pytest.mark.parametrize(
    ("experiment", "options"),
    [
        (FULL, {"reach": 2}),
        (FULL, {"reach": 6}),
        (SPARSE, {"reach": 2}),
        (SPARSE, {"reach": 6}),
        (SPARSE, {"reach": 12, "every": 4}),
        (PLANE, IN_PLANE),
    ],
    ids=["full-2", "full-6", "sparse-2", "sparse-6", "sparse-every4", "plane"],
)
def test_untrained_it_is_the_localized_filter_with_half_the_gain_for_anomalies(experiment, options):
    filter_ = make(experiment, trained=False, radius=3.0, **options)
    forecast, observation = draw(experiment, members=10)
    with torch.no_grad():
        # Taper and inflation are those of the options at ten members.
        analysis = filter_.analyze(forecast, observation, experiment).numpy()
    for v, y, found in zip(forecast.numpy(), observation.numpy(), analysis, strict=True):
        np.testing.assert_allclose(found, closed_form(v, y, experiment, 1.3, filter_.options), rtol=2e-6)


@pytest.mark.parametrize("members", [4, 10, 40])
@pytest.mark.parametrize(("experiment", "options"), [(FULL, {}), (SPARSE, {"every": 4})], ids=["full", "sparse"])
def test_untrained_with_the_square_root_and_the_taper_of_letkf_it_is_letkf(experiment, options, members):
    radius = 3.0
    options = {"reach": 12, "square_root": True, "first_inflation": 1.0} | options
    filter_, taper = make(experiment, trained=False, **options), domain_taper(experiment, radius)
    at_distance = [taper[experiment.distances() == d].max(initial=1e-30) for d in range(filter_.taper.shape[1])]
    with torch.no_grad():
        filter_.taper[:] = torch.tensor([at_distance, [0.5] * len(at_distance)]).clamp(max=1 - 1e-16).logit()
        forecast, observation = draw(experiment, members)
        analysis = filter_.analyze(forecast, observation, experiment)
    expected = LETKF(experiment, 1.3, radius=radius).analyze(forecast, observation, experiment)
    torch.testing.assert_close(analysis, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("passes", [2, 3])
def test_several_passes_correct_the_start_first_each_with_so_many_times_the_noise_variance(passes):
    filter_ = make(FULL, trained=False, radius=3.0, passes=passes)
    start, observation = draw(FULL, members=10)
    with torch.no_grad():
        result = filter_.cycle(start, observation, FULL)
    sigma_y = 1.3 * passes**0.5
    assert torch.equal(result.forecast, FULL.propagate(start))
    for v, y, found in zip(start, observation.numpy(), result.analysis.numpy(), strict=True):
        for _ in range(passes - 1):
            forecast = FULL.propagate(v).numpy()
            v = torch.from_numpy(closed_form(forecast, y, FULL, sigma_y, filter_.options, start=v.numpy()))
        right = closed_form(FULL.propagate(v).numpy(), y, FULL, sigma_y, filter_.options)
        np.testing.assert_allclose(found, right, rtol=1e-5)


@pytest.mark.parametrize("sigma_y", [10.0, 100.0])
def test_several_passes_with_a_linear_model_are_one_where_half_the_gain_is_the_root(monkeypatch, sigma_y):
    # Observations on all of 41 points, all in reach, without taper; the model turns the line by a point.
    monkeypatch.setattr(type(FULL), "propagate", lambda self, state: state.roll(1, -1))
    whole, analyses = FULL.with_system({"state_size": 41}), []
    start, observation = draw(whole, members=8)
    for passes in (1, 2, 4):
        filter_ = make(whole, sigma_y, trained=False, reach=20, first_inflation=1.0, passes=passes)
        for name, parameter in filter_.named_parameters():
            if "taper" in name:
                parameter.data = torch.stack((torch.full_like(parameter[0], 30.0), torch.zeros_like(parameter[1])))
        with torch.no_grad():
            analyses.append(filter_.cycle(start, observation, whole).analysis)
    once, *others = (analysis - start.roll(1, -1) for analysis in analyses)
    # Half the gain leaves out the square of the share of the variance that an analysis takes away.
    for several in others:
        assert float((several - once).norm() / once.norm()) < 2 / sigma_y**2


def test_a_filter_around_it_has_the_passes_too():
    filter_, (start, observation) = make(FULL, passes=2), draw(FULL)
    around = Respread(filter_, Options(rotation=False))
    with torch.no_grad():
        found, right = (each.cycle(start, observation, FULL).analysis for each in (around, filter_))
    assert torch.equal(found, right)


def test_where_nothing_is_observed_several_passes_are_a_forecast():
    filter_ = make(FULL, passes=2)
    start, observation = draw(FULL)
    with torch.no_grad():
        result = filter_.cycle(start, torch.full_like(observation, torch.nan), FULL)
    assert torch.equal(result.analysis, FULL.propagate(start))


def test_begun_with_one_pass_the_weights_are_those_and_the_early_taper_is_the_first():
    once, twice = make(FULL), make(FULL, passes=2, trained=False)
    early = twice.early_taper.clone()
    twice.begin_with(once)
    assert all(torch.equal(twice.state_dict()[name], values) for name, values in once.state_dict().items())
    assert torch.equal(twice.early_taper, early)


@pytest.mark.parametrize("members", [2, 5, 40])
def test_permuting_members_permutes_the_analysis_at_any_n(members):
    filter_, (forecast, observation) = make(FULL), draw(FULL, members)
    order = torch.randperm(members)
    analysis = filter_.analyze(forecast, observation, FULL)
    assert analysis.shape == forecast.shape
    torch.testing.assert_close(filter_.analyze(forecast[:, order], observation, FULL), analysis[:, order])


@pytest.mark.parametrize(("experiment", "gap"), [(FULL, 1), (SPARSE, 4)], ids=["full", "sparse"])
def test_a_shift_of_the_grid_by_the_distance_of_observations_shifts_the_analysis(experiment, gap):
    filter_, (forecast, observation) = make(experiment), draw(experiment)
    analysis = filter_.analyze(forecast, observation, experiment)
    shifted = filter_.analyze(forecast.roll(3 * gap, -1), observation.roll(3, -1), experiment)
    torch.testing.assert_close(shifted, analysis.roll(3 * gap, -1))


def test_shifts_of_the_plane_by_the_distance_of_observations_shift_the_analysis():
    filter_, (forecast, observation) = make(PLANE, **IN_PLANE), draw(PLANE)
    filter_.places.data.copy_(torch.randn_like(filter_.places))
    analysis = filter_.analyze(forecast, observation, PLANE)
    shifted = filter_.analyze(turned(forecast, 16, 4, 8), turned(observation, 4, 1, 2), PLANE)
    torch.testing.assert_close(shifted, turned(analysis, 16, 4, 8))
    others = filter_.analyze(turned(forecast, 16, 1, 0), observation, PLANE)
    assert not torch.allclose(others, turned(analysis, 16, 1, 0))


def turned(values, points, down, right):
    """Fields (..., points^2) of a periodic square, moved."""
    return values.unflatten(-1, (points, points)).roll((down, right), (-2, -1)).flatten(-2)


def test_on_copies_of_a_grid_side_by_side_each_has_the_analysis_of_one():
    long = FULL.with_system({"state_size": 120})
    forecast, observation = draw(FULL)
    weights = make(FULL).state_dict()
    other = make(long)
    other.load_state_dict(weights)
    analysis = make(FULL).analyze(forecast, observation, FULL)
    tiled = other.analyze(forecast.tile(3), observation.tile(3), long)
    torch.testing.assert_close(tiled, analysis.tile(3))


def test_a_missing_observation_is_one_that_the_network_of_observations_does_not_have():
    every_second = load_experiment("lorenz96_full")
    every_second = every_second.from_description({**every_second.description, "observation": {"every": 2}})
    filter_, (forecast, observation) = make(FULL), draw(FULL)
    fewer = make(every_second).analyze(forecast, observation[:, ::2], every_second)
    observation[:, 1::2] = torch.nan
    torch.testing.assert_close(filter_.analyze(forecast, observation, FULL), fewer)


def test_members_and_observations_in_units_of_sigma_y_decide_the_changes():
    # All inputs but mean and level are in units of sigma_y, and without weights on these the unit plays no part.
    narrow, wide = make(FULL, 1.0), make(FULL, 2.0)
    for filter_ in (narrow, wide):
        filter_.layers[0].weight.data[:, [0, FIELDS - 1]] = 0
    forecast, observation = draw(FULL)
    analysis = narrow.analyze(forecast - 3, observation - 3, FULL)
    torch.testing.assert_close(wide.analyze(2 * (forecast - 3), 2 * (observation - 3), FULL), 2 * analysis)


def test_a_noise_level_for_each_ensemble_is_that_of_filters_made_for_them():
    filter_, (forecast, observation) = make(FULL), draw(FULL)
    both = filter_.at_noise(torch.tensor([0.7, 1.2])).analyze(forecast, observation, FULL)
    for i, sigma_y in enumerate((0.7, 1.2)):
        alone = filter_.at_noise(sigma_y).analyze(forecast[i], observation[i], FULL)
        torch.testing.assert_close(alone, both[i], rtol=1e-6, atol=1e-6)
    assert filter_.sigma_y == 1.3


def test_more_members_see_farther_at_first_by_a_power_of_their_number():
    filter_ = make(FULL, trained=False, reach=16, radius=5.0, growth=0.5)
    tapers = (torch.sigmoid(filter_.taper[0] + filter_.taper[1] * math.log(n / 10)) for n in (5, 10, 20, 40))
    far = [float((taper > math.exp(-1.0)).sum()) - 1.0 for taper in tapers]
    assert far[1] == math.floor(5.0 * 2**0.5)
    assert far[3] == math.floor(5.0 * 4**0.5 * 2**0.5)
    assert far == sorted(set(far))


def test_begun_with_a_shorter_reach_it_is_the_shorter_filter_where_the_taper_ends_there():
    shorter, longer = make(FULL), make(FULL, reach=7, trained=False)
    forecast, observation = draw(FULL)
    longer.begin_with(shorter)
    assert torch.equal(longer.taper[:, :5], shorter.taper)
    with torch.no_grad():
        right = shorter.analyze(forecast, observation, FULL)
        assert not torch.equal(longer.analyze(forecast, observation, FULL), right)
        longer.taper[0, 5:] = -1e4
        same = longer.analyze(forecast, observation, FULL)
    torch.testing.assert_close(same, right, rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match="not shrink from 7"):
        shorter.begin_with(longer)


@pytest.mark.parametrize(
    ("experiment", "options", "members"),
    [
        (FULL, {}, 4),
        (FULL, {}, 12),
        (FULL, {"passes": 2}, 4),
        (FULL, {"square_root": True}, 4),
        (FULL, {"square_root": True}, 12),
        (PLANE, {**IN_PLANE, "square_root": True}, 6),
        (SPARSE, {"every": 4, "reach": 8}, 4),
        (PLANE, IN_PLANE, 6),
        (PLANE, IN_PLANE, 12),
    ],
    ids=["full-4", "full-12", "twice-4", "root-4", "root-12", "plane-root-6", "sparse-every4", "plane-6", "plane-12"],
)
def test_the_gradient_through_two_cycles_is_the_quotient_of_differences(experiment, options, members):
    filter_, (forecast, observation) = make(experiment, **options), draw(experiment, members)
    observation[0, 5] = torch.nan
    forecast.requires_grad_(True)
    inputs = [forecast, *filter_.parameters()]
    torch.manual_seed(1)
    directions = [torch.randn_like(tensor) for tensor in inputs]

    def loss():
        first = filter_.analyze(forecast, observation, experiment)
        second = filter_.refine(first, experiment.system.advance(first, 1), observation, experiment)
        return filter_.analyze(second, observation, experiment).sin().sum()

    gradients = torch.autograd.grad(loss(), inputs)
    step = 1e-6
    for tensor, gradient, direction in zip(inputs, gradients, directions, strict=True):
        with torch.no_grad():
            tensor.add_(step * direction)
            above = loss()
            tensor.sub_(2 * step * direction)
            below = loss()
            tensor.add_(step * direction)
        torch.testing.assert_close((gradient * direction).sum(), (above - below) / (2 * step), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("make_it", "named"),
    [
        (lambda: MnmefLocal(load_experiment("lorenz63"), 1.0), "periodic grid.*Lorenz '63"),
        (lambda: MnmefLocal(FULL, 1.0, LocalOptions(reach=20)), "below half the 40 grid points.*20"),
        (lambda: MnmefLocal(SPARSE, 1.0, LocalOptions(every=3)), "every.*must divide the 40 grid points.*not 3"),
        (lambda: MnmefLocal(FULL, 1.0, LocalOptions(every=2)), "every.*distances of observations.*not 2"),
        (lambda: make(PLANE, **IN_PLANE).begin_with(make(PLANE, **{**IN_PLANE, "reach": 2})), "leave it at 2"),
        (lambda: LocalOptions(kernel=4), "odd, not 4"),
        (lambda: LocalOptions(layers=0), "layers.*at least 1, not 0"),
        (lambda: LocalOptions(near=11), "near.*from 0 to its reach, 10, not 11"),
    ],
)
def test_what_it_cannot_be_is_refused_by_name(make_it, named):
    with pytest.raises(ValueError, match=named):
        make_it()
