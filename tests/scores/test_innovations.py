"""Innovation statistics judge a filter by observations alone."""

import numpy as np
import pytest
import torch
import xarray as xr

from mnmef.assimilation.assimilate import assimilate
from mnmef.assimilation.innovations import Innovations
from mnmef.experiments.experiment import Experiment
from mnmef.filters.base import CycleResult
from mnmef.filters.enkf import EnKF
from mnmef.observations.observation import Observation
from mnmef.report.figures.innovations import figure_innovations
from mnmef.report.figures.style import save_figure
from mnmef.scores.innovations import describe_innovations, innovation_table
from mnmef.systems.linear_gaussian import LinearGaussian

SIZE, SIGMA, NOISE, CYCLES, BURN_IN = 4, 0.8, 0.4, 420, 20


def linear(assumed=SIGMA, seed=0, cycles=CYCLES):
    """Innovations of an EnKF with many members on a linear-Gaussian system, for a sigma_y that it assumes."""
    system = LinearGaussian(SIZE, NOISE, np.random.default_rng(2), torch.Generator().manual_seed(seed))
    observation = Observation(SIZE, (0, 1, 2), missing=0.2)
    experiment = Experiment("linear", "linear", system, observation, steps_per_cycle=1, bound=100.0)
    rng = np.random.default_rng(seed + 1000)
    state, truth = rng.standard_normal(SIZE), []
    for _ in range(cycles):
        state = system.transition @ state + NOISE * rng.standard_normal(SIZE)
        truth.append(state)
    draws = rng.standard_normal((1, cycles, 3))
    observations = observation.simulate(np.stack(truth)[None], [SIGMA], draws, rng)[0, 0]
    first = rng.standard_normal((400, SIZE))
    run = assimilate(EnKF(assumed), experiment, observations, first_ensemble=first, save="innovations", seed=seed)
    return run, observations, experiment


def test_a_right_model_has_innovations_as_large_as_expected():
    run, observations, _ = linear()
    table = innovation_table(run, BURN_IN)
    assert table.loc["chi_square", "low"] < 1 < table.loc["chi_square", "high"]
    assert table.loc["mean", "low"] < 0 < table.loc["mean", "high"]
    assert table.loc["variance", "low"] < table.loc["variance", "expected"] < table.loc["variance", "high"]
    assert describe_innovations(table).startswith("Innovations are as large as expected: chi-square per degree of")
    assert "biased" not in describe_innovations(table)
    missing = np.isnan(observations)
    np.testing.assert_array_equal(missing, run["innovation"].isnull())
    np.testing.assert_array_equal(missing, run["rank"] < 0)
    # Ranks are uniform on 0, ..., N: in ten classes, chi-square of 9 degrees of freedom is below 27.9 at 99.9 %.
    ranks = run["rank"].values[BURN_IN:][~missing[BURN_IN:]]
    counts = np.histogram(ranks, 10, (0, 401))[0]
    assert ((counts - counts.mean()) ** 2 / counts.mean()).sum() < 27.9


@pytest.mark.parametrize(("factor", "said"), [(1.5, "smaller"), (1 / 1.5, "larger")])
def test_a_wrong_sigma_is_seen_and_said(factor, said):
    table = innovation_table(linear(SIGMA * factor)[0], BURN_IN)
    chi = table.loc["chi_square"]
    assert chi["high"] < 1 if factor > 1 else chi["low"] > 1
    text = describe_innovations(table)
    assert text.startswith(f"Innovations are {said} than expected: chi-square per degree of freedom is ")
    assert f"{chi['value']:.2f} ({chi['low']:.2f} to {chi['high']:.2f})" in text
    assert f"sigma_y or the forecast spread is too {'large' if factor > 1 else 'small'}" in text


def test_intervals_hold_the_value_of_a_right_model_about_19_times_in_20():
    tables = [innovation_table(linear(seed=seed, cycles=140)[0], BURN_IN) for seed in range(40)]
    for name in ("mean", "chi_square"):
        held = sum(table.loc[name, "low"] < table.loc[name, "expected"] < table.loc[name, "high"] for table in tables)
        # Of Binomial(40, 0.95), 33 or less has a probability of 0.3 %.
        assert held >= 34, name


def test_intervals_account_for_innovations_that_depend_on_each_other():
    rng, tables = np.random.default_rng(0), []
    for _ in range(100):
        values = np.zeros(4000)
        for k, draw in enumerate(rng.standard_normal(4000)):
            values[k] = 0.8 * values[k - 1] + draw
        parts = {"innovation": values[:, None], "expected_variance": np.full((4000, 1), 1 / 0.36)}
        run = xr.Dataset({key: (("cycle", "observation"), value) for key, value in parts.items()})
        tables.append(innovation_table(run.assign(chi_square=("cycle", 0.36 * values**2))))
    # Intervals that took cycles for independent would hold 0 in less than half the cases.
    for name in ("mean", "variance", "chi_square"):
        held = sum(table.loc[name, "low"] < table.loc[name, "expected"] < table.loc[name, "high"] for table in tables)
        assert held >= 87, name


def test_a_cycle_is_judged_by_the_covariance_of_what_was_observed_in_it():
    noise = np.array([[1.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 2.0]])
    experiment = linear(cycles=2)[2]
    experiment.observation = Observation(SIZE, (0, 1, 2), "square", noise=noise)
    forecast = torch.randn(1, 9, SIZE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    observations = np.array([[0.3, np.nan, -2.0], [np.nan] * 3])
    innovations = Innovations(experiment, SIGMA, observations, seed=0)
    for k in range(2):
        innovations(k, CycleResult(forecast, forecast, forecast), torch.empty(0))
    seen = forecast[0].numpy()[:, [0, 2]] ** 2
    covariance = np.cov(seen.T) + SIGMA**2 * noise[np.ix_([0, 2], [0, 2])]
    gap = observations[0, [0, 2]] - seen.mean(0)
    result = innovations.dataset()
    np.testing.assert_allclose(result["innovation"][0, [0, 2]], gap)
    np.testing.assert_allclose(result["expected_variance"][0, [0, 2]], np.diag(covariance))
    np.testing.assert_allclose(result["chi_square"][0], gap @ np.linalg.inv(covariance) @ gap)
    assert (result["rank"].values >= 0).tolist() == [[True, False, True], [False] * 3]
    assert np.isnan(result["chi_square"][1])


def test_few_cycles_are_called_too_few():
    table = innovation_table(linear(cycles=2)[0])
    assert np.isfinite(table.loc["mean", "value"])
    assert np.isnan(table.loc["chi_square", "low"])
    assert describe_innovations(table).startswith("There are too few cycles")


def test_a_biased_operator_is_named():
    run, _, _ = linear()
    run["innovation"] = run["innovation"] + 0.5
    assert "They are biased: their mean is 0." in describe_innovations(innovation_table(run, BURN_IN))


def test_the_figure_shows_what_the_table_says(tmp_path):
    run, _, _ = linear(SIGMA / 1.5)
    size, chi, ranks = figure_innovations(run, BURN_IN).axes
    value = innovation_table(run, BURN_IN).loc["chi_square", "value"]
    assert chi.get_title().startswith(f"$\\chi^2$: {value:.2f} (")
    given = run.isel(cycle=slice(BURN_IN, None))
    first = given.isel(cycle=slice(10))
    found = float((first["innovation"] ** 2).sum() / first["innovation"].notnull().sum()) ** 0.5
    assert size.lines[0].get_ydata()[0] == pytest.approx(found)
    # Too small a sigma: a cup.
    density = ranks.patches[0].get_data().values
    assert min(density[0], density[-1]) > 1.3 > 1 > density[5:15].mean()
    save_figure(figure_innovations(run, BURN_IN), tmp_path / "innovations.png")
