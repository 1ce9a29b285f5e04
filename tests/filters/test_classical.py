"""The batched filters are DAPPER's: same truth, observations and first ensemble, same analyses."""

import numpy as np
import pytest
import torch

from mnmef.assimilation.cycling import run_filter
from mnmef.core.names import CLASSICAL_METHODS, LOCALIZED_METHODS, METHODS
from mnmef.data.twin import load_trial, simulate_split
from mnmef.experiments.load import experiment_of, load_experiment
from mnmef.filters.classical import Setting, make_classical
from mnmef.filters.dapper_bridge import run_dapper

CYCLES = 21
SIGMA = 1.0
DETERMINISTIC = ("esrf", "letkf", "ienkf_sqrt", "ienks")
RADII = {"lorenz96": (0.001, 1.0, 3.0, 9.0), "ks": (2.0, 9.0)}
INFLATED = [name for name in CLASSICAL_METHODS if METHODS[name].inflates]


@pytest.fixture(scope="module")
def splits():
    return {
        name: simulate_split(load_experiment(name), "tune", 2, CYCLES, [SIGMA], 40, seed=5)
        for name in ("lorenz63", "lorenz96", "ks")
    }


def batched_means(split, method, members, inflation, radius, noise=None):
    """Analysis means (T, K, Nx) of the batched engine in float64."""
    experiment = experiment_of(split)
    first, observations, truth = load_trial(split, SIGMA, members, torch.float64)
    filter_ = make_classical(method, experiment, SIGMA, inflation, radius)
    return run_filter(filter_, experiment, first, observations, truth, noise, traced=len(first)).mean.numpy()


def cases():
    for experiment in ("lorenz63", "lorenz96", "ks"):
        for method in DETERMINISTIC:
            if method == "letkf":
                if experiment == "lorenz63":
                    continue
                yield from ((experiment, method, n, 1.04, r) for n in (4, 20) for r in RADII[experiment])
            else:
                sizes = {
                    "lorenz63": (4, 10, 40),
                    "lorenz96": (4, 10) if "ienk" in method else (4, 10, 40),
                    "ks": (4, 20),
                }
                yield from (
                    (experiment, method, n, inflation, None) for n in sizes[experiment] for inflation in (1.0, 1.1)
                )


@pytest.mark.parametrize(("experiment", "method", "members", "inflation", "radius"), list(cases()))
def test_deterministic_analyses_equal_those_of_dapper(splits, experiment, method, members, inflation, radius):
    split = splits[experiment]
    ours = batched_means(split, method, members, inflation, radius)
    first, observations, _ = load_trial(split, SIGMA, members, torch.float64)
    trajectory = 1
    theirs = run_dapper(
        method,
        load_experiment(experiment),
        SIGMA,
        first[trajectory].numpy(),
        observations[trajectory].numpy(),
        Setting(inflation, radius),
    )
    np.testing.assert_allclose(ours[trajectory], theirs, rtol=0, atol=1e-8)


@pytest.mark.parametrize(("method", "cycles"), [("ienkf_sqrt", CYCLES), ("ienks", 4)])
def test_iterative_analyses_equal_those_of_dapper_as_long_as_its_iteration_is_stable(splits, method, cycles):
    # With N > d on Lorenz '96 the Gauss-Newton iteration over two cycles need not converge, and then amplifies rounding
    # from window to window until two runs of DAPPER itself differ. Hence few cycles of it here; 20 single windows are
    # compared in test_one_analysis.py.
    first, observations, _ = load_trial(splits["lorenz96"], SIGMA, 40, torch.float64)
    ours = batched_means(splits["lorenz96"], method, 40, 1.02, None)[1]
    theirs = run_dapper(
        method, load_experiment("lorenz96"), SIGMA, first[1].numpy(), observations[1].numpy(), Setting(1.02)
    )
    np.testing.assert_allclose(ours[:cycles], theirs[:cycles], rtol=0, atol=1e-8)


@pytest.mark.slow
def test_the_stochastic_iterative_filter_agrees_with_dapper_on_average_where_its_iteration_is_unstable():
    count, members = 24, 15
    split = simulate_split(load_experiment("lorenz96"), "tune", count, 60, [SIGMA], members, seed=8)
    experiment = load_experiment("lorenz96")
    first, observations, truth = load_trial(split, SIGMA, members, torch.float64)
    generator = torch.Generator().manual_seed(2)
    filter_ = make_classical("ienkf_pertobs", experiment, SIGMA, 1.04)
    record = run_filter(
        filter_,
        experiment,
        first,
        observations,
        truth,
        lambda: torch.randn(count, members, 10, generator=generator).double(),
    )
    ours = record.rmse.mean(-1).numpy()
    theirs = np.empty(count)
    for t in range(count):
        means = run_dapper(
            "ienkf_pertobs", experiment, SIGMA, first[t].numpy(), observations[t].numpy(), Setting(1.04), seed=t + 1
        )
        theirs[t] = np.sqrt(((means - truth[t].numpy()) ** 2).mean(-1)).mean()
    difference = ours - theirs
    assert abs(difference.mean()) < 3 * difference.std(ddof=1) / count**0.5


def dapper_draws(method, members, size, seed):
    """A noise source that returns the standard normal draws which DAPPER makes with `seed`, one (1, N, d) per cycle."""
    # Both of DAPPER's stochastic updates draw one (N, d) block per cycle, and nothing else, from a NumPy generator.
    generator = np.random.default_rng(seed)
    return lambda: torch.from_numpy(generator.standard_normal((members, size)))[None]


@pytest.mark.parametrize("method", ["enkf", "ienkf_pertobs"])
@pytest.mark.parametrize(("experiment", "members"), [("lorenz63", 5), ("lorenz63", 20), ("lorenz96", 5), ("ks", 8)])
def test_stochastic_analyses_equal_those_of_dapper_for_the_same_draws(splits, experiment, method, members):
    model = load_experiment(experiment)
    split = splits[experiment].isel(trajectory=slice(1))
    noise = dapper_draws(method, members, model.observation_size, seed=11)
    ours = batched_means(split, method, members, 1.02, None, noise)
    first, observations, _ = load_trial(split, SIGMA, members, torch.float64)
    theirs = run_dapper(method, model, SIGMA, first[0].numpy(), observations[0].numpy(), Setting(1.02), seed=11)
    np.testing.assert_allclose(ours[0], theirs, rtol=0, atol=1e-8)


def test_localized_enkf_with_an_infinite_radius_is_the_enkf_and_its_gain_the_textbook_one():
    experiment = load_experiment("lorenz96")
    generator = torch.Generator().manual_seed(0)
    forecast = torch.randn(2, 12, 40, generator=generator, dtype=torch.float64)
    observation = torch.randn(2, 10, generator=generator, dtype=torch.float64)
    noise = torch.randn(2, 12, 10, generator=generator, dtype=torch.float64)
    plain = make_classical("enkf", experiment, SIGMA, 1.0).analyze(forecast, observation, experiment, noise)
    wide = make_classical("enkf_localized", experiment, SIGMA, 1.0, 1e9).analyze(
        forecast, observation, experiment, noise
    )
    torch.testing.assert_close(wide, plain)

    radius = 3.0
    local = make_classical("enkf_localized", experiment, SIGMA, 1.0, radius).analyze(
        forecast, observation, experiment, noise
    )
    from dapper.tools.localization import dist2coeff

    taper = dist2coeff(experiment.distances().astype(float), radius)
    covariance = np.cov(forecast[0].numpy().T)
    seen = list(experiment.observed)
    gain = (covariance[:, seen] * taper) @ np.linalg.inv(covariance[np.ix_(seen, seen)] * taper[seen] + np.eye(10))
    draws = noise[0].numpy()
    draws = (draws - draws.mean(0)) * (12 / 11) ** 0.5
    innovation = observation[0].numpy() - forecast[0].numpy()[:, seen] - draws
    np.testing.assert_allclose(local[0].numpy(), forecast[0].numpy() + innovation @ gain.T, atol=1e-10)


@pytest.mark.parametrize("method", INFLATED)
def test_a_batch_of_settings_equals_the_settings_one_by_one(splits, method):
    experiment = load_experiment("lorenz96")
    first, observations, truth = load_trial(splits["lorenz96"], SIGMA, 8, torch.float64, cycles=6)
    inflations = np.array([1.0, 1.05, 1.3])
    radii = np.array([4.0, 1.0, 4.0]) if method in LOCALIZED_METHODS else None

    def noise():
        generator = torch.Generator().manual_seed(1)
        return lambda: torch.randn(len(first), 8, 10, generator=generator, dtype=torch.float64)

    together = make_classical(method, experiment, SIGMA, inflations, radii)
    batch = run_filter(together, experiment, first.expand(3, *first.shape), observations, truth, noise())
    for i in range(3):
        alone = make_classical(method, experiment, SIGMA, inflations[i], None if radii is None else radii[i])
        single = run_filter(alone, experiment, first, observations, truth, noise())
        torch.testing.assert_close(batch.error_norm[i], single.error_norm, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("method", INFLATED)
def test_a_diverging_setting_neither_stops_nor_changes_the_others(splits, method):
    experiment = load_experiment("lorenz96")
    first, observations, truth = load_trial(splits["lorenz96"], SIGMA, 6, torch.float64, cycles=8)
    radii = np.array([3.0, 3.0]) if method in LOCALIZED_METHODS else None

    def scores(inflations):
        generator = torch.Generator().manual_seed(1)

        def noise():
            return torch.randn(len(first), 6, 10, generator=generator, dtype=torch.float64)

        filter_ = make_classical(method, experiment, SIGMA, np.array(inflations), radii)
        return run_filter(filter_, experiment, first.expand(2, *first.shape), observations, truth, noise)

    sound, broken = scores([1.02, 1.02]), scores([1.02, 1e30])
    assert (broken.diverged_at[1] >= 0).all()
    assert (broken.diverged_at[0] == sound.diverged_at[0]).all()
    torch.testing.assert_close(broken.error_norm[0], sound.error_norm[0], equal_nan=True)


@pytest.mark.parametrize("method", CLASSICAL_METHODS)
def test_float32_is_kept_and_the_input_is_not_changed(splits, method):
    experiment = load_experiment("lorenz96")
    first, observations, _ = load_trial(splits["lorenz96"], SIGMA, 6, torch.float32)
    copy = first.clone()
    inflation, radius = 1.1 if METHODS[method].inflates else 1.0, 2.0 if method in LOCALIZED_METHODS else None
    filter_ = make_classical(method, experiment, SIGMA, inflation, radius)
    result = filter_.cycle(filter_.start(first), observations[:, 0], experiment, torch.randn(2, 6, 10))
    assert result.analysis.dtype == torch.float32
    assert torch.equal(first, copy)


def test_members_far_from_every_observation_keep_their_forecast():
    experiment = load_experiment("lorenz96")
    forecast = torch.randn(1, 6, 40, dtype=torch.float64)
    analysis = make_classical("letkf", experiment, SIGMA, 1.0, 0.4).analyze(
        forecast, torch.zeros(1, 10).double(), experiment
    )
    reached = np.zeros(40, dtype=bool)
    reached[list(experiment.observed)] = True  # 2 * 1.82 * 0.4 grid points reach the next component, but not beyond
    reached |= np.roll(reached, 1) | np.roll(reached, -1)
    changed = ~torch.isclose(analysis, forecast).all(1)[0].numpy()
    assert (changed == reached).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("letkff", 1.0, None), "'letkff'.*'letkf'"),
        (("letkf", 1.0, 0.0), "radius must be positive, not 0.0"),
        (("letkf", 1.0, -2.0), "radius must be positive, not -2.0"),
        (("enkf_localized", 1.0, None), "needs a localization radius"),
        (("esrf", 1.0, 3.0), "does not use a localization radius"),
        (("esrf", 0.9, None), "inflation must be a finite factor of at least 1, not 0.9"),
        (("esrf", float("nan"), None), "inflation must be a finite factor"),
    ],
)
def test_wrong_settings_are_named(arguments, message):
    method, inflation, radius = arguments
    with pytest.raises(ValueError, match=message):
        make_classical(method, load_experiment("lorenz96"), SIGMA, inflation, radius)


@pytest.mark.parametrize("sigma_y", [0, -1, np.nan, np.inf, 1e-300, 1e200, "1", True, None])
@pytest.mark.parametrize("method", CLASSICAL_METHODS)
def test_a_noise_level_that_is_none_is_refused(method, sigma_y):
    radius = 4.0 if method in LOCALIZED_METHODS else None
    with pytest.raises(ValueError, match=r"^sigma_y must be a positive, finite number, not "):
        make_classical(method, load_experiment("lorenz96"), sigma_y, 1.0, radius)


@pytest.mark.parametrize("lag", [0, 1.5, "2", None])
def test_a_window_that_is_no_number_of_cycles_is_refused(lag):
    with pytest.raises(ValueError, match=r"^lag must be a whole number of at least 1, not "):
        make_classical("ienks", load_experiment("lorenz96"), SIGMA, 1.0, lag=lag)


@pytest.mark.parametrize("inflation", ["a", [1.0, "b"], 1j])
def test_an_inflation_that_is_no_number_is_refused(inflation):
    with pytest.raises(ValueError, match=r"^inflation must be a number, or numbers for a batch of settings, not "):
        make_classical("esrf", load_experiment("lorenz96"), SIGMA, inflation)


@pytest.mark.parametrize("method", ["letkf", "esrf"])
@pytest.mark.parametrize("experiment", ["lorenz96", None, load_experiment("lorenz96").system])
def test_an_experiment_that_is_none_is_refused(method, experiment):
    with pytest.raises(TypeError, match=r"^experiment must be of the class Experiment, not "):
        make_classical(method, experiment, SIGMA, 1.0, 4.0 if method == "letkf" else None)


def test_localization_without_a_grid_is_refused():
    with pytest.raises(ValueError, match="no spatial grid"):
        make_classical("letkf", load_experiment("lorenz63"), SIGMA, 1.0, 2.0)
