"""The published protocol, against DAPPER and by brute force."""

import numpy as np
import pandas as pd
import pytest

from mnmef.dapper_bridge import run_dapper
from mnmef.grids import load_grids
from mnmef.published_check import (
    AGREES,
    BETTER,
    SURVIVORS,
    WORSE,
    Protocol,
    check_published,
    first_state,
    simulate_experiment,
    verdict,
)
from mnmef.systems import make_system

GRIDS = load_grids("resources/published/search_grids.yaml")
SHORT = {"cycles": 14, "burn_in_time": 0.6, "trials": 4, "first_variance": 0.1}  # 0.6 time units are 4 cycles of 0.15


def cell(**change):
    row = {"system": "lorenz96", "sigma_y": 1.0, "method": "esrf", "ensemble_size": 20, "inflation": 1.1}
    scores = {"localization_radius": np.nan, "rmse": 1.0, "rmse_std_over_trials": 0.2, "rrmse": 0.3}
    return row | scores | {"some_trials_diverged": False} | change


def grids(**change):
    return {name: grid | {"protocol": SHORT | change} for name, grid in GRIDS.items()}


def test_trials_start_where_the_models_of_dapper_start():
    from dapper.mods import KS, Lorenz63, Lorenz96

    expected = {"lorenz63": Lorenz63.x0, "lorenz96": Lorenz96.x0(40), "ks": KS.Model(dt=0.25).x0}
    for name, state in expected.items():
        # That of Kuramoto-Sivashinsky is the end of 150 chaotic time units, which amplify rounding to about 1e-6.
        np.testing.assert_allclose(first_state(make_system(name)).numpy(), state, rtol=0, atol=1e-5)


def test_the_published_burn_in_drops_as_many_cycles_as_dapper_does():
    from dapper.tools.chronos import Chronology

    for name, dropped in {"lorenz63": 106, "lorenz96": 133, "ks": 1000}.items():
        system, protocol = make_system(name), Protocol(**GRIDS[name]["protocol"])
        steps = protocol.cycles * system.steps_per_cycle
        times = Chronology(system.step_size, dko=system.steps_per_cycle, K=steps, BurnIn=protocol.burn_in_time)
        assert protocol.burn_in_cycles(system) == dropped == (~times.masko).sum()


def test_scores_are_those_of_dapper_under_the_same_protocol():
    system, protocol = make_system("lorenz96"), Protocol(**SHORT)
    experiment = simulate_experiment(system, protocol, 3, 20, seed=5)
    rmse, rrmse = [], []
    for t in range(3):
        truth, noise = experiment.truth[t].numpy(), experiment.noise[t].numpy()
        observations = truth[:, list(system.observed)] + 0.7 * noise
        means = run_dapper("esrf", system, 0.7, experiment.first[t].numpy(), observations, inflation=1.1)
        rmse.append(np.mean([np.sqrt(np.mean((means[k] - truth[k]) ** 2)) for k in range(4, 14)]))
        rrmse.append(rmse[t] / experiment.scale[t])
    found = check_published(pd.DataFrame([cell(sigma_y=0.7)]), grids(), seed=5, trials=3, model_dtype=None).iloc[0]
    assert found["rmse"] == pytest.approx(np.mean(rmse), rel=1e-9)
    assert found["rrmse"] == pytest.approx(np.mean(rrmse), rel=1e-9)
    assert found["standard_error"] == pytest.approx(np.sqrt(np.var(rmse, ddof=1) / 3 + 0.2**2 / 4), rel=1e-9)


def test_truth_members_and_the_scale_have_the_published_distributions():
    system = make_system("lorenz96")
    protocol = Protocol(cycles=1, burn_in_time=0.0, trials=4, first_variance=0.1)
    experiment = simulate_experiment(system, protocol, 400, 20, seed=3)
    deviations = experiment.first.numpy() - first_state(system).numpy()
    assert np.abs(deviations.mean((0, 1))).max() < 5 * (0.1 / 8000) ** 0.5
    assert deviations.var() == pytest.approx(0.1, rel=0.01)
    assert experiment.noise.var().item() == pytest.approx(1.0, rel=0.1)
    # The scale comes from truths of their own, with the same distribution.
    own = experiment.truth.square().mean((1, 2)).sqrt().numpy()
    assert abs(np.corrcoef(own, experiment.scale)[0, 1]) < 0.25
    assert own.mean() == pytest.approx(experiment.scale.mean(), rel=0.02)


def test_cells_keep_their_order_and_do_not_depend_on_each_other():
    table = pd.DataFrame(
        [
            cell(),
            cell(system="lorenz63", ensemble_size=6),
            cell(method="letkf", localization_radius=3.0),
            cell(method="enkf"),
        ],
        index=[7, 3, 3, 1],
    )
    found = check_published(table, grids(burn_in_time=0.0), seed=2, trials=2)
    assert found["system"].tolist() == table["system"].tolist()
    assert found["method"].tolist() == table["method"].tolist()
    for i in range(4):
        alone = check_published(table.iloc[[i]], grids(burn_in_time=0.0), seed=2, trials=2)
        assert alone["rmse"][0] == pytest.approx(found["rmse"][i], rel=1e-6)


def test_a_trial_that_diverges_is_counted_and_never_averaged_away():
    table = pd.DataFrame([cell(inflation=1e30), cell(inflation=1e30, some_trials_diverged=True, rmse=np.nan)])
    found = check_published(table, grids(), seed=2, trials=2)
    assert found["n_diverged"].tolist() == [2, 2]
    assert found["rmse"].isna().all()
    assert found["verdict"].tolist() == [WORSE, SURVIVORS]


@pytest.mark.parametrize(
    ("ours", "diverged", "published_diverged", "expected"),
    [
        (1.0, 0, False, AGREES),
        (1.29, 0, False, AGREES),
        (0.71, 0, False, AGREES),
        (1.31, 0, False, WORSE),
        (0.69, 0, False, BETTER),
        (1.0, 1, False, WORSE),
        (0.5, 0, True, SURVIVORS),
        (np.nan, 64, True, SURVIVORS),
    ],
)
def test_verdicts(ours, diverged, published_diverged, expected):
    assert verdict(1.0, ours, 0.1, diverged, published_diverged) == expected


def test_an_unknown_system_is_named():
    with pytest.raises(ValueError, match=r"'lorenz69'.*Did you mean 'lorenz96'"):
        check_published(pd.DataFrame([cell(system="lorenz69")]), GRIDS, seed=1)
