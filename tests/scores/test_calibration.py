"""Columns of scores.csv besides R-RMSE: what a calibrated, a diverged and a converging filter get."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mnmef.data.published import KEYS
from mnmef.io.files import provenance, write_dataset
from mnmef.scores.calibration import CALIBRATION_COLUMNS, add_calibration, cycles_to_converge, spread_error_ratio


@pytest.mark.parametrize("members", [2, 5, 40])
@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_a_truth_drawn_like_the_members_has_a_ratio_of_one_at_every_ensemble_size(members, scale):
    rng = np.random.default_rng(members)
    ensembles, truth = scale * rng.standard_normal((2, 300, members, 40)), rng.standard_normal((2, 300, 40))
    spread = np.sqrt(ensembles.var(-2, ddof=1).mean(-1))
    rmse = np.sqrt(((ensembles.mean(-2) - truth) ** 2).mean(-1))
    # With a deviation of half the truth's, the error is that of the truth and of a mean of such members.
    expected = scale * np.sqrt((1 + 1 / members) / (1 + scale**2 / members))
    assert spread_error_ratio(spread, rmse, members) == pytest.approx(expected, rel=0.02)
    lost = rmse.copy()
    lost[1, 7:] = np.nan
    assert spread_error_ratio(spread, lost, members) == spread_error_ratio(spread[:1], rmse[:1], members)
    assert np.isnan(spread_error_ratio(spread, np.full_like(rmse, np.nan), members))


def test_convergence_is_the_first_cycle_near_the_usual_error():
    usual = np.ones((3, 50))
    decaying = 1 + 4 * 0.5 ** np.arange(1, 21) * np.ones((3, 1))
    # 1 + 4 / 2^k <= 1.1 from k = 6 on.
    assert cycles_to_converge(usual, decaying) == 6
    assert np.isnan(cycles_to_converge(usual, decaying[:, :5]))
    decaying[2] = np.nan
    assert cycles_to_converge(usual, decaying) == 6
    assert np.isnan(cycles_to_converge(np.full_like(usual, np.nan), decaying))


def write(path, with_calibration):
    rng = np.random.default_rng(0)
    dims = ("ensemble_size", "trajectory", "cycle")
    names = ("error_norm", "forecast_error_norm", "truth_norm", "spread")
    run = xr.Dataset({name: (dims, rng.uniform(1.0, 2.0, (2, 4, 9))) for name in names})
    run["error_norm"][0, 3, 5:] = run["forecast_error_norm"][0, 3, 5:] = run["spread"][0, 3, 5:] = np.nan
    attributes = {"experiment": "lorenz96", "sigma_y": "1.0", "method": "letkf", "state_size": 40}
    if with_calibration:
        run["crps"] = (dims[:2], [[1.0, 2.0, 3.0, np.nan], [1.0, 2.0, 3.0, 4.0]])
        run["climatology_error_norm"] = (("trajectory", "climatology_cycle"), np.ones((4, 3)))
        attributes["climatology_ensemble_size"] = 10
    run = run.assign_coords(ensemble_size=[5, 10]).assign_attrs(attributes)
    write_dataset(run, path, provenance=provenance("evaluation", {}, 0))
    return run


def test_scores_get_what_their_evaluation_has(tmp_path):
    run = write(tmp_path / "a.nc", with_calibration=True)
    keys = [("lorenz96", 1.0, "letkf", 10), ("lorenz96", 1.0, "letkf", 5)]
    scores = pd.DataFrame(keys, columns=KEYS).assign(rrmse=[0.4, 0.5])
    table = add_calibration(scores, [tmp_path / "a.nc"])
    assert list(table.columns) == [*KEYS, "rrmse", *CALIBRATION_COLUMNS]
    ten, five = table.to_dict("records")
    assert (ten["crps"], five["crps"]) == (2.5, 2.0)
    assert (ten["divergence_rate"], five["divergence_rate"]) == (0.0, 0.25)
    # The run from the climatology was made with ten members.
    assert ten["cycles_to_converge"] == 1
    assert np.isnan(five["cycles_to_converge"])
    forecast = run["forecast_error_norm"].values[1].sum(-1) / run["truth_norm"].values[1].sum(-1)
    assert ten["forecast_rrmse"] == pytest.approx(forecast.mean())


def test_an_evaluation_without_calibration_has_gaps_instead(tmp_path):
    write(tmp_path / "a.nc", with_calibration=False)
    scores = pd.DataFrame([("lorenz96", 1.0, "letkf", 5)], columns=KEYS)
    row = add_calibration(scores, [tmp_path / "a.nc"]).iloc[0]
    assert np.isnan(row["crps"])
    assert np.isnan(row["cycles_to_converge"])
    assert row["spread_error_ratio"] > 0
