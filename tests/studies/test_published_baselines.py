"""The published protocol against DAPPER and by brute force, and the race against the exhaustive search."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

import mnmef.studies.published_scorer
from mnmef.config.settings import at_scale
from mnmef.data.published import load_searches
from mnmef.experiments.files import shipped_experiments
from mnmef.experiments.load import load_experiment
from mnmef.filters.classical import Setting
from mnmef.filters.dapper_bridge import run_dapper
from mnmef.io.resume import drop_states
from mnmef.search.grids import settings_of
from mnmef.search.race import Race, Round, ranking
from mnmef.studies.published_baselines import (
    AGREES,
    BETTER,
    PUBLISHED_COLUMNS,
    SURVIVORS,
    WORSE,
    comparison_row,
    count_verdicts,
    gather_searches,
    published_setting,
    run_race,
    search_published_baselines,
    verdict,
)
from mnmef.studies.published_scorer import PublishedProtocol, PublishedSearch, Scorer, simulate_trials

CONFIG = yaml.safe_load(Path("config.yaml").read_text())
GRIDS = {name: at_scale(CONFIG, "paper", name)["search"] for name in shipped_experiments("paper")}
LORENZ96 = load_experiment("lorenz96")
SHORT = {"cycles": 14, "burn_in_time": 0.6, "trials": 4, "first_variance": 0.1}  # 0.6 time units are 4 cycles of 0.15
FULL = Race(trials=3, rounds=())
RACE = Race(trials=4, rounds=(Round(2, 3, 4), Round(3, 6, 2)))


def cell(**change):
    row = {"experiment": "lorenz96", "sigma_y": 1.0, "method": "esrf", "ensemble_size": 20, "inflation": 1.1}
    scores = {"localization_radius": np.nan, "rmse": 1.0, "rmse_std_over_trials": 0.2, "rrmse": 0.3}
    return row | scores | {"some_trials_diverged": False} | change


LETKF = {"method": "letkf", "ensemble_size": 5, "inflation": 1.04, "localization_radius": 2.0}


def short_grid(inflations=3, radii=(1, 2, 4), step=0.02, **change):
    """A grid with few settings and a short protocol."""
    lists = {members: {"step": step, "count": inflations} for members in (5, 10, 20)}
    return {
        "protocol": SHORT | change,
        "inflation": {"default": lists},
        "localization_radius": {members: list(radii) for members in lists},
    }


def search(*cells, race=FULL, grid=None, seed=5, partial=None, code="", **options):
    sigma_y, method = cells[0]["sigma_y"], cells[0]["method"]
    asked = PublishedSearch(LORENZ96, sigma_y, method, grid or short_grid(), seed, **options)
    return search_published_baselines(pd.DataFrame(cells), asked, race, partial, code)


def test_trials_start_where_the_models_of_dapper_start():
    from dapper.mods import KS, Lorenz63, Lorenz96

    expected = {"lorenz63": Lorenz63.x0, "lorenz96": Lorenz96.x0(40), "ks": KS.Model(dt=0.25).x0}
    for name, state in expected.items():
        # That of Kuramoto-Sivashinsky is the end of 150 chaotic time units, which amplify rounding to about 1e-6.
        np.testing.assert_allclose(load_experiment(name).system.reference_state(), state, rtol=0, atol=1e-5)


def test_the_published_burn_in_drops_as_many_cycles_as_dapper_does():
    from dapper.tools.chronos import Chronology

    for name, dropped in {"lorenz63": 106, "lorenz96": 133, "ks": 1000}.items():
        experiment, protocol = load_experiment(name), PublishedProtocol(**GRIDS[name]["protocol"])
        steps = protocol.cycles * experiment.steps_per_cycle
        times = Chronology(
            experiment.system.step_size, dko=experiment.steps_per_cycle, K=steps, BurnIn=protocol.burn_in_time
        )
        assert protocol.burn_in_cycles(experiment) == dropped == (~times.masko).sum()


def test_a_cap_shortens_trial_and_burn_in_in_proportion():
    experiment, protocol = load_experiment("ks"), PublishedProtocol(**GRIDS["ks"]["protocol"])
    capped = protocol.capped(30)
    assert (capped.cycles, capped.burn_in_cycles(experiment)) == (30, 15)
    assert protocol.capped(None) == protocol.capped(10**6) == protocol


def test_scores_are_those_of_dapper_under_the_same_protocol():
    experiment, protocol = load_experiment("lorenz96"), PublishedProtocol(**SHORT)
    trials = simulate_trials(experiment, protocol, 3, 20, seed=5)
    rmse, rrmse = [], []
    for t in range(3):
        truth, noise = trials.truth[t].numpy(), trials.noise[t].numpy()
        observations = truth[:, list(experiment.observed)] + 0.7 * noise
        means = run_dapper("esrf", experiment, 0.7, trials.first[t].numpy(), observations, Setting(1.1))
        rmse.append(np.mean([np.sqrt(np.mean((means[k] - truth[k]) ** 2)) for k in range(4, 14)]))
        rrmse.append(rmse[t] / trials.scale[t])
    # A grid that holds nothing but 1, beside which the published setting is run.
    found = search(cell(sigma_y=0.7, inflation=1.1), grid=short_grid(inflations=0), model_dtype=None).iloc[0]
    assert found["n_settings"] == found["n_final"] == 1
    assert found["rmse"] == pytest.approx(np.mean(rmse), rel=1e-9)
    assert found["rmse_at_published_setting"] == found["rmse"]
    assert found["rrmse"] == pytest.approx(np.mean(rrmse), rel=1e-9)
    assert found["standard_error"] == pytest.approx(np.std(rmse, ddof=1) / 3**0.5, rel=1e-9)
    assert found["published_standard_error"] == pytest.approx(0.1)
    assert found["difference_standard_error"] == pytest.approx(np.sqrt(np.var(rmse, ddof=1) / 3 + 0.1**2), rel=1e-9)


def test_truth_members_and_the_scale_have_the_published_distributions():
    experiment = load_experiment("lorenz96")
    protocol = PublishedProtocol(cycles=1, burn_in_time=0.0, trials=4, first_variance=0.1)
    trials = simulate_trials(experiment, protocol, 400, 20, seed=3)
    deviations = trials.first.numpy() - experiment.system.reference_state()
    assert np.abs(deviations.mean((0, 1))).max() < 5 * (0.1 / 8000) ** 0.5
    assert deviations.var() == pytest.approx(0.1, rel=0.01)
    assert trials.noise.var().item() == pytest.approx(1.0, rel=0.1)
    # The scale comes from truths of their own, with the same distribution.
    own = trials.truth.square().mean((1, 2)).sqrt().numpy()
    assert abs(np.corrcoef(own, trials.scale)[0, 1]) < 0.25
    assert own.mean() == pytest.approx(trials.scale.mean(), rel=0.02)


@pytest.mark.parametrize("change", [LETKF, {"method": "enkf", "ensemble_size": 10}])
def test_neither_memory_nor_the_number_of_trials_changes_a_score(change, monkeypatch):
    row = cell(**change)
    settings = settings_of(short_grid(), pd.DataFrame([row]), tuple(row.values())[:4])
    scorer = Scorer(PublishedSearch(LORENZ96, 1.0, row["method"], short_grid(), seed=1), replace(FULL, trials=4))
    whole = scorer.scores(row["ensemble_size"], settings)
    runs = []
    run = mnmef.studies.published_scorer.run_filter
    monkeypatch.setattr(
        mnmef.studies.published_scorer, "run_filter", lambda *a, **o: runs.append(a[2].shape) or run(*a, **o)
    )
    scorer.known.results.clear()
    first_two = scorer.scores(row["ensemble_size"], settings, trials=2)
    monkeypatch.setattr(mnmef.studies.published_scorer, "WORKING_BYTES", 1)
    scorer.known.results.clear()
    one_by_one = scorer.scores(row["ensemble_size"], settings)
    assert {shape[:2] for shape in runs[1:]} == {(1, 1)}
    np.testing.assert_allclose(one_by_one, whole, rtol=1e-4)
    np.testing.assert_allclose(first_two, whole[:, :2], rtol=1e-4)


def test_a_chunk_takes_no_more_memory_than_it_may(monkeypatch):
    scorer = Scorer(PublishedSearch(LORENZ96, 1.0, "letkf", short_grid(), seed=1), replace(FULL, trials=5))
    sizes = []

    def run(filter_, experiment, first, *arguments, **options):
        sizes.append(first.shape[0] * first.shape[1])
        return whole(filter_, experiment, first, *arguments, **options)

    whole = mnmef.studies.published_scorer.run_filter
    monkeypatch.setattr(mnmef.studies.published_scorer, "run_filter", run)
    monkeypatch.setattr(mnmef.studies.published_scorer, "settings_per_chunk", lambda *_: 7)
    settings = [(1.0 + 0.1 * i, 2.0) for i in range(4)]
    assert np.isfinite(scorer.scores(5, settings, trials=2)).all()
    assert sizes == [6, 2]  # three settings on two trials, then the fourth
    monkeypatch.setattr(mnmef.studies.published_scorer, "settings_per_chunk", lambda *_: 3)
    assert np.isfinite(scorer.scores(5, settings)).all()
    assert sizes[2:] == [3] * 4 + [2] * 4


@pytest.mark.parametrize("seed", range(3))
def test_the_race_finds_the_winner_of_the_exhaustive_search_for_less(seed):
    # From settings that are of no use to good ones, so that most are worth dropping.
    grid = short_grid(inflations=4, step=0.1, radii=(0.001, 1, 2, 4, 8), cycles=60)
    row = cell(**LETKF | {"ensemble_size": 10, "inflation": 1.0}, sigma_y=0.7)
    exhaustive = search(row, race=Race(trials=8, rounds=()), grid=grid, seed=seed).iloc[0]
    raced = search(row, race=Race(trials=8, rounds=(Round(4, 20, 8), Round(6, 30, 4))), grid=grid, seed=seed).iloc[0]
    assert exhaustive["n_settings"] == exhaustive["n_final"] == raced["n_settings"] == 20
    assert raced["n_final"] <= 5
    same = ["inflation", "localization_radius", "n_diverged", "verdict"]
    assert raced[same].tolist() == exhaustive[same].tolist()
    # Up to the rounding of single-precision forecasts, which depends on what is run together.
    assert raced["rmse"] == pytest.approx(exhaustive["rmse"], rel=1e-3)
    assert raced["rmse"] < raced["rmse_at_published_setting"]


def test_the_winner_of_the_exhaustive_search_is_that_of_brute_force():
    row = cell(**LETKF)
    settings = settings_of(short_grid(), pd.DataFrame([row]), ("lorenz96", 1.0, "letkf", 5))
    scorer = Scorer(PublishedSearch(LORENZ96, 1.0, "letkf", short_grid(), seed=5), FULL)
    means = {s: scorer.scores(5, [s]).mean() for s in settings}
    best = min(means, key=means.get)
    found = search(row).iloc[0]
    assert (found["inflation"], found["localization_radius"]) == best
    assert found["rmse"] == pytest.approx(means[best], rel=1e-4)
    assert found["rmse_at_published_setting"] == pytest.approx(means[1.04, 2.0], rel=1e-4)


def test_the_published_setting_is_in_the_final_round_however_bad_it_is():
    race = Race(trials=2, rounds=(Round(2, 3, 1),))
    for inflation in (3.0, 1e30):  # poor; without any trial that survives
        row = cell(**LETKF | {"inflation": inflation})
        settings = settings_of(short_grid(), pd.DataFrame([row]), ("lorenz96", 1.0, "letkf", 5))
        scorer = Scorer(PublishedSearch(LORENZ96, 1.0, "letkf", short_grid(), seed=5), race)
        finalists, scores = run_race(scorer, 5, settings, (inflation, 2.0), race)
        assert len(finalists) == 2
        assert finalists[1] == (inflation, 2.0)
        assert scores.shape == (2, 2)
        assert ranking(scores).tolist() == [0, 1]
        found = search(row, race=race).iloc[0]
        assert found["n_final"] == 2
        assert found["inflation"] < 1.1
        assert found["rmse_at_published_setting"] == pytest.approx(scores[1].mean(), rel=1e-4, nan_ok=True)


def test_ensemble_sizes_ascend_and_do_not_depend_on_each_other():
    cells = [cell(ensemble_size=members, inflation=1.02) for members in (20, 10)]
    found = search(*cells, race=RACE)
    assert found.columns.tolist() == list(PUBLISHED_COLUMNS)
    assert found["ensemble_size"].tolist() == [10, 20]
    alone = search(cells[0], race=RACE)
    pd.testing.assert_frame_equal(found.iloc[[1]].reset_index(drop=True), alone, rtol=1e-12)


def test_a_trial_that_diverges_is_counted_and_never_averaged_away():
    scores = np.array([[1.0, np.nan, 3.0], [np.nan, np.nan, 0.1]])
    finalists, scale = [(1.0, None), (1.1, None)], np.full(3, 2.0)
    row = comparison_row(cell(), finalists, scores, scale, 4)
    assert (row["rmse"], row["rrmse"], row["n_diverged"], row["n_trials"]) == (2.0, 1.0, 1, 3)
    assert row["standard_error"] == pytest.approx(np.std([1.0, 3.0], ddof=1) / 2**0.5)
    assert row["rmse_at_published_setting"] == 0.1
    assert row["verdict"] == WORSE
    survived = comparison_row(cell(some_trials_diverged=True, rmse=np.nan), finalists, scores * np.nan, scale, 4)
    assert np.isnan(survived["rmse"])
    assert survived["n_diverged"] == 3
    assert survived["verdict"] == SURVIVORS


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


def test_the_summary_counts_each_verdict_and_compares_where_nothing_diverged():
    verdicts = [AGREES, AGREES, BETTER, WORSE, WORSE, SURVIVORS, SURVIVORS]
    table = pd.DataFrame(
        {
            "experiment": ["ks"] * 6 + ["lorenz96"],
            "verdict": verdicts,
            "n_diverged": [0, 0, 0, 0, 3, 0, 1],
        }
    )
    summary = count_verdicts(table).set_index("experiment")
    assert summary.index.tolist() == ["ks", "lorenz96", "all"]
    counts = ["n_cells", "n_agrees", "n_better", "n_worse", "n_survivors_only", "n_compared"]
    assert summary.loc["ks", counts].tolist() == [6, 2, 1, 2, 1, 4]
    assert summary.loc["all", counts].tolist() == [7, 2, 1, 2, 2, 4]
    assert summary.loc["ks", "percent_agreeing"] == 50.0
    assert np.isnan(summary.loc["lorenz96", "percent_agreeing"])


def test_gathered_searches_are_one_table_in_order(tmp_path):
    parts = [search(cell(ensemble_size=10)), search(cell(method="enkf", ensemble_size=20))]
    for i, part in enumerate(parts):
        part.to_csv(tmp_path / f"{i}.csv", index=False)
    gathered = gather_searches([tmp_path / "0.csv", tmp_path / "1.csv"])
    assert gathered["method"].tolist() == ["enkf", "esrf"]
    pd.testing.assert_frame_equal(gathered, pd.concat(parts[::-1], ignore_index=True))
    with pytest.raises(ValueError, match="no published search belongs to"):
        gather_searches([])


def test_a_killed_search_goes_on_without_running_anything_twice_and_ends_with_the_same_numbers(tmp_path, monkeypatch):
    cells = [cell(**LETKF), cell(**LETKF | {"ensemble_size": 10})]
    monkeypatch.setattr(mnmef.studies.published_scorer, "settings_per_chunk", lambda *_: 8)
    whole, runs = mnmef.studies.published_scorer.run_filter, []

    def run(stop_after):
        def counted(*arguments, **options):
            if len(runs) == stop_after:
                raise KeyboardInterrupt
            runs.append(1)
            return whole(*arguments, **options)

        monkeypatch.setattr(mnmef.studies.published_scorer, "run_filter", counted)
        return search(*cells, race=RACE, partial=partial, code="a")

    partial = tmp_path / "never.json"
    expected, count = run(None), len(runs)
    partial, stops = tmp_path / "partial.json", (3, count - 1)
    for stop in stops:  # amid a round of the first size, and before the end of the last
        runs.clear()
        drop_states(partial)
        with pytest.raises(KeyboardInterrupt):
            run(stop)
        assert json.loads(partial.read_text())["results"]
        result = run(None)
        assert len(runs) == count
        pd.testing.assert_frame_equal(result, expected, check_exact=True)
    runs.clear()
    pd.testing.assert_frame_equal(run(0), expected, check_exact=True)


def test_another_program_seed_protocol_or_number_of_trials_has_scores_of_its_own(tmp_path):
    partial = tmp_path / "partial.json"
    options = [
        {},
        {"code": "changed"},
        {"seed": 6},
        {"grid": short_grid(cycles=12)},
        {"race": replace(FULL, trials=2)},
        {"race": replace(FULL, cycles=12)},
        {"model_dtype": None},
    ]
    found = []
    for change in options:
        search(cell(), partial=partial, **change)
        kept = json.loads(partial.read_text())
        assert len(kept["results"]) == 4
        found.append(kept["digest"])
    assert len(set(found)) == len(options)


def test_every_published_cell_has_a_grid_that_holds_its_setting():
    table = load_searches("resources/published/dapper_grid_search_best.csv")
    assert len(table) == 238
    for row in table.to_dict("records"):
        settings = settings_of(
            GRIDS[row["experiment"]], table, (row["experiment"], row["sigma_y"], row["method"], row["ensemble_size"])
        )
        assert published_setting(row) in settings


def test_cells_that_are_not_one_search_or_without_a_grid_are_named():
    own = r"belong to the published search \('lorenz96', 1.0, 'esrf'\), but they are of "
    with pytest.raises(ValueError, match=own + r"\[\['lorenz69', 1.0, 'esrf'\]\]"):
        search(cell(experiment="lorenz69"))
    with pytest.raises(ValueError, match=own + r"\[\['lorenz96', 1.0, 'esrf'\], \['lorenz96', 1.0, 'enkf'\]\]"):
        search(cell(), cell(method="enkf"))
    asked = PublishedSearch(LORENZ96, 1.0, "esrf", short_grid(), seed=1)
    with pytest.raises(ValueError, match=own + r"\[\]"):
        search_published_baselines(pd.DataFrame([cell()]).head(0), asked, FULL)
    with pytest.raises(ValueError, match=r"'30'.*Known: 5, 10, 20"):
        search(cell(ensemble_size=30))
