"""The search: what may win, what may not, and that its engines agree."""

import numpy as np
import pandas as pd
import pytest

from mnmef.data import simulate_split
from mnmef.tuning import load_grids, published_winners, rank, score_batched, settings_of, tune_method

GRIDS = load_grids("resources/published/search_grids.yaml")
WINNERS = published_winners("resources/published/dapper_grid_search_best.csv")
TUNING = {
    "engine": "screened",
    "trajectories": 2,
    "cycles": 10,
    "inflation_stride": 10,
    "radius_stride": 5,
    "confirm": {"settings": 2, "trajectories": 1, "cycles": 10},
}


@pytest.fixture(scope="module")
def split():
    return simulate_split("lorenz96", "tune", 3, 12, [1.0], 10, seed=2)


def tune(split, method="letkf", **change):
    return tune_method(TUNING | change, split, 1.0, method, [5, 10], grids=GRIDS, winners=WINNERS, seed=1)


def test_a_setting_in_which_trajectories_diverge_never_beats_one_in_which_none_does():
    scores = pd.DataFrame(
        {"inflation": [1.0, 1.1, 1.2, 1.3], "n_diverged": [1, 0, 4, 0], "rrmse": [0.1, 0.9, np.nan, 0.8]}
    )
    assert rank(scores)["inflation"].tolist() == [1.3, 1.1, 1.0, 1.2]


@pytest.mark.parametrize("method", ["letkf", "enkf"])
def test_neither_the_order_nor_the_chunking_of_settings_changes_their_scores(split, method):
    settings = [(1.0, 2.0), (1.1, 5.0), (1.2, 2.0)] if method == "letkf" else [(1.0, None), (1.1, None), (1.2, None)]
    arguments = (split, 1.0, method, 5, 2, 10, 7)
    whole = score_batched(settings, *arguments)
    chunked = score_batched(settings[::-1], *arguments, memory_bytes=1).iloc[::-1]
    np.testing.assert_allclose(whole["rrmse"], chunked["rrmse"], rtol=1e-4)


def test_screening_lets_dapper_choose_among_the_best_of_the_batched_engine(split):
    grid, best = tune(split)
    assert best["engine"].tolist() == ["dapper", "dapper"]
    for members in (5, 10):
        part = grid[grid["ensemble_size"] == members]
        first_two = rank(part[part["engine"] == "batched"]).head(2)
        confirmed = part[part["engine"] == "dapper"]
        columns = ["inflation", "localization_radius"]
        assert sorted(map(tuple, confirmed[columns].values)) == sorted(map(tuple, first_two[columns].values))
        chosen = best[best["ensemble_size"] == members].iloc[0]
        assert chosen["rrmse"] == confirmed["rrmse"].min()


def test_the_engines_give_the_same_scores_for_a_deterministic_filter(split):
    ours, _ = tune(split, "esrf", engine="batched")
    theirs, _ = tune(split, "esrf", engine="dapper")
    assert set(theirs["engine"]) == {"dapper"}
    np.testing.assert_allclose(ours["rrmse"], theirs["rrmse"], rtol=2e-3)


def test_the_localized_enkf_is_scored_by_the_batched_engine_whatever_is_asked_for(split):
    for engine in ("dapper", "screened"):
        _, best = tune(split, "enkf_localized", engine=engine)
        assert set(best["engine"]) == {"batched"}


def test_published_winners_outside_the_lists_are_tried_as_well():
    cells = WINNERS[~WINNERS["method"].isin(["letkf"])]
    for row in cells.itertuples():
        settings = settings_of(GRIDS, WINNERS, row.system, row.sigma_y, row.method, row.ensemble_size, 1, 1)
        assert (row.inflation, None) in settings


def test_strides_thin_the_published_lists():
    full = settings_of(GRIDS, WINNERS, "ks", 1.0, "letkf", 5, 1, 1)
    thin = settings_of(GRIDS, WINNERS, "ks", 1.0, "letkf", 5, 5, 5)
    assert len(full) in (121, 122)
    assert set(thin) <= set(full)
    assert len(thin) in (9, 10)


def test_unknown_engine_and_ensemble_size_are_named(split):
    with pytest.raises(ValueError, match="'screend'.*'screened'"):
        tune(split, engine="screend")
    with pytest.raises(ValueError, match="'7'.*Known: 5, 10"):
        settings_of(GRIDS, WINNERS, "ks", 1.0, "letkf", 7, 1, 1)
