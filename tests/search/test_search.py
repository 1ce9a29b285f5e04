"""The search: what may win, what may not, that its engines agree, and that it goes on where it was stopped."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

import mnmef.search.engines
from mnmef.config.settings import at_scale
from mnmef.data.published import load_searches
from mnmef.data.twin import simulate_split
from mnmef.experiments.files import shipped_experiments
from mnmef.experiments.load import load_experiment
from mnmef.filters.classical import Setting
from mnmef.io.resume import ResumeFile
from mnmef.search.engines import EACH, score_batched, score_with_dapper, settings_per_chunk
from mnmef.search.grids import Candidates, settings_of, winner_of
from mnmef.search.search import fingerprint, preferred, rank_settings, search_method
from mnmef.search.trial import Trial

CONFIG = yaml.safe_load(Path("config.yaml").read_text())
GRIDS = {name: at_scale(CONFIG, "paper", name)["search"] for name in shipped_experiments("paper")}
WINNERS = load_searches("resources/published/dapper_grid_search_best.csv")
SEARCH = GRIDS["lorenz96"] | {
    "engine": "screened",
    "trajectories": 2,
    "cycles": 10,
    "inflation_stride": 10,
    "radius_stride": 5,
    "screen": {"settings": 3, "trajectories": 1, "cycles": 5},
    "confirm": {"settings": 2, "trajectories": 1, "cycles": 10},
}
COLUMNS = [
    *("experiment", "sigma_y", "method", "ensemble_size", "inflation", "localization_radius", "engine"),
    *("rrmse", "rrmse_std", "rmse", "n_trajectories", "n_cycles", "n_diverged"),
]
TRIAL = Trial("lorenz96", 1.0, "letkf", 5, 2, 10, seed=7)


@pytest.fixture(scope="module")
def split():
    return simulate_split(load_experiment("lorenz96"), "tune", 3, 12, [1.0], 10, seed=2)


def search(split, method="letkf", sizes=(5, 10), partial=None, code="", **change):
    section = SEARCH | change
    strides = {name: section[name] for name in ("inflation_stride", "radius_stride")}
    settings = {}
    for n in sizes:
        of_cell = WINNERS, ("lorenz96", 1.0, method, n)
        settings[n] = Candidates(settings_of(section, *of_cell, **strides), winner_of(*of_cell))
    known = ResumeFile(partial, fingerprint(split, 1.0, code))
    return search_method(section, split, 1.0, method, settings, seed=1, known=known)


def test_a_setting_in_which_trajectories_diverge_never_beats_one_in_which_none_does():
    inflations, diverged, scores = [1.0, 1.1, 1.2, 1.3], [1, 0, 4, 0], [0.1, 0.9, np.nan, 0.8]
    table = pd.DataFrame({"inflation": inflations, "n_diverged": diverged, "rrmse": scores})
    assert rank_settings(table)["inflation"].tolist() == [1.3, 1.1, 1.0, 1.2]


@pytest.mark.parametrize("score", [score_batched, score_with_dapper])
def test_diverging_settings_are_counted_and_lose(split, score):
    scores = score([Setting(1e30), Setting(1.1)], split, replace(TRIAL, method="esrf"))
    assert scores["n_diverged"].tolist() == [2, 0]
    assert np.isnan(scores["rrmse"][0])
    assert rank_settings(scores)["inflation"].tolist() == [1.1, 1e30]


@pytest.mark.parametrize("method", ["letkf", "enkf", "ienkf_pertobs"])
def test_neither_the_order_nor_the_chunking_of_settings_changes_their_scores(split, method):
    radii = (2.0, 5.0, 2.0) if method == "letkf" else (None, None, None)
    settings = list(zip((1.0, 1.1, 1.2), radii, strict=True))
    trial = replace(TRIAL, method=method)
    whole = score_batched(settings, split, trial)
    chunked = score_batched(settings[::-1], split, trial, working_bytes=1).iloc[::-1]
    np.testing.assert_allclose(whole["rrmse"], chunked["rrmse"], rtol=1e-4)
    assert whole["inflation"].tolist() == chunked["inflation"].tolist() == [1.0, 1.1, 1.2]


def test_a_chunk_holds_at_least_one_setting_and_more_the_more_memory_there_is():
    sizes = [settings_per_chunk(load_experiment("ks"), TRIAL, b) for b in (1, 10**8, 10**9)]
    assert sizes[0] == 1
    assert 1 < sizes[1] * 9 < sizes[2]


def test_screening_hands_the_best_of_each_stage_on_to_the_next(split):
    grid, best = search(split)
    assert grid.columns.tolist() == best.columns.tolist() == COLUMNS
    setting = ["inflation", "localization_radius"]
    for members in (5, 10):
        part = grid[grid["ensemble_size"] == members]
        coarse = part[(part["engine"] == "batched") & (part["n_cycles"] == 5)]
        fine = part[(part["engine"] == "batched") & (part["n_cycles"] == 10)]
        confirmed = part[part["engine"] == "dapper"]
        assert len(coarse) == len(coarse[setting].drop_duplicates()) > 3
        ranked, published = rank_settings(coarse), winner_of(WINNERS, ("lorenz96", 1.0, "letkf", members))
        others = [s for s in ranked[setting].values.tolist() if s != [*published]]
        assert fine[setting].values.tolist() == [[*published], *others[:2]]
        chosen = best[best["ensemble_size"] == members].iloc[0]
        assert chosen["engine"] == "batched"
        assert chosen["rrmse"] in (fine["rrmse"].min(), fine["rrmse"].iloc[0])
        assert list(chosen[setting]) in confirmed[setting].values.tolist()
        assert len(confirmed) == 2


@pytest.mark.parametrize(
    ("other", "chosen"),
    [
        ([0.495, 0.405, 0.295, 0.605], 1.1),  # hardly better
        ([0.300, 0.450, 0.250, 0.640], 1.1),  # better in the mean, but not on every trajectory
        ([0.450, 0.360, 0.260, 0.550], 1.2),  # clearly better
        ([0.400, 0.300, 0.200, np.nan], 1.1),  # diverges
    ],
)
def test_the_published_setting_stays_unless_another_is_clearly_better_on_the_same_trajectories(other, chosen):
    settings = [Setting(1.2), Setting(1.1)]
    table = table_of({1.2: other, 1.1: [0.500, 0.410, 0.300, 0.610]})
    for shuffled in (table, table.iloc[::-1].reset_index(drop=True)):
        position = preferred(shuffled, Candidates(settings, Setting(1.1)))[0]
        assert shuffled.loc[position, "inflation"] == chosen


@pytest.mark.parametrize(
    ("published", "chosen"),
    [
        ([0.4, 0.5, np.nan, np.nan], 1.1),  # as good where both keep the truth: a few that are lost do not count
        ([0.6, 0.8, np.nan, np.nan], 1.2),  # clearly worse there
        ([0.4, np.nan, np.nan, np.nan], 1.2),  # most are lost
    ],
)
def test_the_published_setting_stays_though_it_loses_some_trajectories(published, chosen):
    table = table_of({1.1: published, 1.2: [0.4, 0.49, 0.5, 0.6]})
    position = preferred(table, Candidates([Setting(1.1), Setting(1.2)], Setting(1.1)))[0]
    assert table.loc[position, "inflation"] == chosen


@pytest.mark.parametrize(
    ("larger", "chosen"),
    [
        ([0.505, 0.415, 0.31, 0.6], 1.2),  # hardly worse: on the safe side
        ([0.6, 0.5, 0.4, 0.7], 1.1),  # clearly worse
        ([0.4, 0.3, 0.2, np.nan], 1.1),  # loses a trajectory that the other keeps
    ],
)
def test_without_a_published_setting_the_larger_inflation_of_equals_is_chosen(larger, chosen):
    table = table_of({1.2: larger, 1.1: [0.5, 0.41, 0.3, 0.61]})
    position = preferred(table, Candidates([Setting(1.2), Setting(1.1)]))[0]
    assert table.loc[position, "inflation"] == chosen


def table_of(each):
    """A table of scores of inflations, with the R-RMSE of every trajectory."""
    rows = {"inflation": list(each), "localization_radius": np.nan, EACH: list(each.values())}
    table = pd.DataFrame(rows)
    return table.assign(rrmse=table[EACH].map(np.nanmean), n_diverged=table[EACH].map(lambda x: int(np.isnan(x).sum())))


def test_a_setting_that_only_dapper_sees_diverge_is_not_chosen(split, monkeypatch):
    grid, _ = search(split, "esrf", sizes=[5])
    grid = grid[(grid["engine"] == "batched") & (grid["n_cycles"] == 10)]
    favorite, second = rank_settings(grid)["inflation"][:2]

    def fails_for_the_favorite(method, experiment, sigma_y, first, observations, setting, **options):
        shape = (len(observations), experiment.state_size)
        return np.full(shape, np.nan) if setting.inflation == favorite else np.full(shape, 100.0)

    monkeypatch.setattr("mnmef.filters.dapper_bridge.run_dapper", fails_for_the_favorite)
    _, best = search(split, "esrf", sizes=[5])
    assert best["inflation"].tolist() == [second]


@pytest.mark.parametrize(("method", "radius"), [("esrf", None), ("letkf", 2.0), ("ienkf_sqrt", None)])
def test_the_engines_give_the_same_scores_for_a_deterministic_filter(split, method, radius):
    settings, trial = [Setting(1.0, radius), Setting(1.1, radius)], replace(TRIAL, method=method)
    ours = score_batched(settings, split, trial, model_dtype=torch.float64)
    theirs = score_with_dapper(settings, split, trial)
    np.testing.assert_allclose(ours["rrmse"], theirs["rrmse"], rtol=1e-8)
    np.testing.assert_allclose(ours["rmse"], theirs["rmse"], rtol=1e-8)
    single = score_batched(settings, split, trial)
    np.testing.assert_allclose(single["rrmse"], theirs["rrmse"], rtol=1e-3)


def test_the_localized_enkf_is_scored_by_the_batched_engine_whatever_is_asked_for(split):
    for engine in ("dapper", "screened"):
        _, best = search(split, "enkf_localized", sizes=[5], engine=engine)
        assert set(best["engine"]) == {"batched"}


@pytest.mark.parametrize("engine", ["batched", "screened"])
def test_an_interrupted_search_goes_on_where_it_stopped_and_ends_as_an_uninterrupted_one(
    split, tmp_path, monkeypatch, engine
):
    expected = search(split, engine=engine)
    monkeypatch.setattr(mnmef.search.engines, "WORKING_BYTES", 1)
    runs = []
    whole = mnmef.search.engines.run_filter

    def killed_after_three(*args, **options):
        if len(runs) == 3:
            raise KeyboardInterrupt
        runs.append(1)
        return whole(*args, **options)

    partial = tmp_path / "partial.json"
    monkeypatch.setattr(mnmef.search.engines, "run_filter", killed_after_three)
    # Chunks of one setting, so that the search is stopped amid an ensemble size.
    monkeypatch.setitem(score_batched.__kwdefaults__, "working_bytes", 1)
    with pytest.raises(KeyboardInterrupt):
        search(split, engine=engine, partial=partial)
    assert len(json.loads(partial.read_text())["results"]) == 3

    again = []
    monkeypatch.setattr(
        mnmef.search.engines, "run_filter", lambda *args, **options: again.append(1) or whole(*args, **options)
    )
    result = search(split, engine=engine, partial=partial)
    scored = (expected[0]["engine"] == "batched").sum()
    assert len(again) == scored - 3
    for ours, theirs in zip(result, expected, strict=True):
        pd.testing.assert_frame_equal(ours, theirs, rtol=1e-4, check_dtype=False)

    monkeypatch.setattr(mnmef.search.engines, "run_filter", None)  # everything is known, down to the last digit
    for ours, theirs in zip(search(split, engine=engine, partial=partial), result, strict=True):
        pd.testing.assert_frame_equal(ours, theirs, check_exact=True, check_dtype=False)


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "[1]", '{"digest": "other", "results": {}}', "\x00\xff"])
def test_scores_of_another_search_or_a_damaged_file_are_not_used(split, tmp_path, content):
    partial = tmp_path / "partial.json"
    partial.write_text(content, encoding="latin-1")
    fresh, _ = search(split, "esrf", sizes=[5], engine="batched")
    result, _ = search(split, "esrf", sizes=[5], engine="batched", partial=partial)
    pd.testing.assert_frame_equal(result, fresh)


def test_scores_of_another_program_or_other_data_are_not_used(split, tmp_path):
    partial = tmp_path / "partial.json"
    arguments = {"method": "esrf", "sizes": [5], "engine": "batched", "partial": partial}
    search(split, **arguments)
    first = json.loads(partial.read_text())
    search(split, code="changed", **arguments)
    second = json.loads(partial.read_text())
    search(split.assign(truth=split["truth"] + 1.0), code="changed", **arguments)
    third = json.loads(partial.read_text())
    assert len(first["results"]) == len(second["results"]) == len(third["results"])
    assert len({part["digest"] for part in (first, second, third)}) == 3


def test_published_winners_outside_the_lists_are_tried_as_well():
    outside = 0
    for row in WINNERS.itertuples():
        cell = (row.experiment, row.sigma_y, row.method, row.ensemble_size)
        radius = None if np.isnan(row.localization_radius) else row.localization_radius
        settings = settings_of(GRIDS[cell[0]], WINNERS, cell)
        assert (row.inflation, radius) in settings
        outside += (row.inflation, radius) not in settings_of(GRIDS[cell[0]], WINNERS.head(0), cell)
    assert outside > 0


def test_the_published_lists_have_the_published_numbers_of_settings():
    none = WINNERS.head(0)
    assert len(settings_of(GRIDS["lorenz96"], none, ("lorenz96", 1.0, "letkf", 10))) == 231
    assert len(settings_of(GRIDS["ks"], none, ("ks", 1.0, "letkf", 10))) == 121
    localized = settings_of(GRIDS["ks"], none, ("ks", 1.0, "enkf_localized", 10))
    assert {s[1] for s in localized} == {s[1] for s in settings_of(GRIDS["ks"], none, ("ks", 1.0, "letkf", 10))}
    assert {s[0] for s in localized} == {s[0] for s in settings_of(GRIDS["ks"], none, ("ks", 1.0, "enkf", 10))}


def test_strides_thin_the_published_lists():
    cell = ("ks", 1.0, "letkf", 5)
    full, thin = (
        settings_of(GRIDS[cell[0]], WINNERS, cell),
        settings_of(GRIDS["ks"], WINNERS, cell, inflation_stride=5, radius_stride=5),
    )
    assert len(full) in (121, 122)
    assert set(thin) <= set(full)
    assert len(thin) in (9, 10)


def test_unknown_engine_and_ensemble_size_are_named(split):
    with pytest.raises(ValueError, match=r"'screend'.*'screened'"):
        search(split, engine="screend")
    with pytest.raises(ValueError, match=r"'7'.*Known: 5, 10"):
        settings_of(GRIDS["ks"], WINNERS, ("ks", 1.0, "letkf", 7))


def test_localization_without_radii_and_a_split_that_is_too_small_are_named(split):
    with pytest.raises(ValueError, match=r"letkf localizes.*lorenz63"):
        settings_of(GRIDS["lorenz63"], WINNERS, ("lorenz63", 1.0, "letkf", 5))
    with pytest.raises(ValueError, match=r"64 of dimension trajectory.*has 3"):
        search(split, trajectories=64)
    with pytest.raises(ValueError, match=r"500 of dimension cycle.*has 12"):
        search(split, confirm={"settings": 1, "trajectories": 1, "cycles": 500})
    with pytest.raises(ValueError, match=r"split is one of lorenz96, but ks"):
        score_batched([(1.0, None)], split, replace(TRIAL, experiment="ks"))


def test_a_file_that_is_no_published_table_is_named(tmp_path):
    file = tmp_path / "something.txt"
    file.write_text("a\n1\n")
    with pytest.raises(ValueError, match=r"something\.txt lacks the columns experiment, sigma_y"):
        load_searches(file)
