"""The table of scores and its comparison with the published numbers."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mnmef.data.published import KEYS, load_curves, load_searches
from mnmef.io.files import provenance, write_dataset
from mnmef.scores.scoring import SCORE_NUMBERS, compare_with_published, summarize, trajectory_scores

CURVES = "resources/published/rrmse_figures_1_4_7.csv"
SEARCHES = "resources/published/dapper_grid_search_best.csv"


def write_evaluation(path, method, error, truth):
    dims = ("ensemble_size", "trajectory", "cycle")
    dataset = xr.Dataset(
        {"error_norm": (dims, error), "truth_norm": (dims, truth)},
        coords={"ensemble_size": [5, 10]},
        attrs={"experiment": "lorenz96", "sigma_y": "1.0", "method": method},
    )
    write_dataset(dataset, path, provenance=provenance("evaluation", {}, 0))
    return path


def test_scores_are_means_over_surviving_trajectories_with_the_others_counted(tmp_path):
    truth = np.full((2, 3, 4), 10.0)
    error = np.full((2, 3, 4), 1.0)
    error[0, 1] = 3.0
    error[0, 2, 2:] = np.nan
    error[1] = np.nan
    file = write_evaluation(tmp_path / "a.nc", "letkf", error, truth)
    table = summarize(trajectory_scores([file]), KEYS, seed=0)
    assert list(table.columns) == [*KEYS, *SCORE_NUMBERS]
    some, none = table.to_dict("records")
    assert some["rrmse"] == pytest.approx(0.2)
    assert some["rrmse_std"] == pytest.approx(np.std([0.1, 0.3], ddof=1))
    assert (some["n_trajectories"], some["n_diverged"]) == (3, 1)
    assert np.isnan(none["rrmse"])
    assert none["n_diverged"] == 3


def test_every_published_number_stands_beside_ours_or_beside_nothing():
    curves, searches = load_curves(CURVES), load_searches(SEARCHES)
    scores = pd.DataFrame([["lorenz96", 1.0, "letkf", 10, 0.5, 0.01, 4, 0, 0.4, 0.6]], columns=[*KEYS, *SCORE_NUMBERS])
    table = compare_with_published(scores, curves, searches)
    assert len(table) == len(curves) + len(searches) == 476
    ours = table[table["ours"].notna()]
    assert ours["source"].tolist() == ["figures 1, 4, 7", "released search tables"]
    np.testing.assert_allclose(ours["published"], 0.4669, atol=1e-4)
    np.testing.assert_allclose(ours["relative_difference"], 0.5 / 0.4669 - 1, atol=1e-3)


def test_a_damaged_table_of_published_numbers_is_named(tmp_path):
    path = tmp_path / "curves.csv"
    path.write_text("experiment,method\nks,letkf\n")
    with pytest.raises(ValueError, match=r"curves\.csv lacks the columns sigma_y, ensemble_size, rrmse"):
        load_curves(path)
