"""The benchmarks: what their tables hold, what they divide by, what they refuse. Not how fast anything is."""

import importlib
import json

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks import baselines, measures, searches, training
from benchmarks.timing import Team, available_cores
from mnmef.core.names import LOCALIZED_METHODS
from mnmef.data.twin import simulate_split
from mnmef.evaluation.baseline import evaluate_baseline
from mnmef.evaluation.evaluate import EvaluationOptions
from mnmef.experiments.files import shipped_experiments
from mnmef.experiments.load import load_experiment
from mnmef.io.files import provenance, write_dataset, write_table
from mnmef.learning.trainer import Trainer

BASELINES = [
    *("experiment", "method", "ensemble_size", "dapper_seconds_per_cycle", "batched_seconds_per_cycle", "ratio"),
    *("repeats", "dapper_cycles", "batched_cycles", "batch_trajectories", "batch_settings"),
    *("inflation", "localization_radius"),
]
TRAINING = [
    *("experiment", "schedule", "batch", "window_cycles", "device", "seconds_per_step", "seconds_per_window_cycle"),
    *("reference_seconds_per_window_cycle", "ratio", "repeats"),
]


def check_origin(path, repeats):
    origin = json.loads(path.read_text())
    assert {"torch", "dapper", "numpy"} <= set(origin["versions"])
    assert origin["cpu"]
    assert origin["commit"]
    assert pd.Timestamp(origin["date"]).tzinfo is not None
    assert (origin["cores"], origin["repeats"]) == (1, repeats)


def test_a_row_of_the_baselines_has_both_sides_and_their_ratio(tmp_path, capsys):
    options = ["--experiments", "lorenz63", "--methods", "esrf", "--sizes", "10", "--repeats", "1", "--cores", "1"]
    baselines.main([*options, "--seconds", "0.001", "--out", str(tmp_path)])
    table = pd.read_csv(tmp_path / "baselines.csv")
    assert table.columns.tolist() == BASELINES
    assert table[["experiment", "method", "ensemble_size"]].values.tolist() == [["lorenz63", "esrf", 10]]
    assert (table[["dapper_seconds_per_cycle", "batched_seconds_per_cycle"]] > 0).all(axis=None)
    ratio = table["dapper_seconds_per_cycle"] / table["batched_seconds_per_cycle"]
    np.testing.assert_allclose(table["ratio"], ratio, rtol=1e-12)
    assert table["inflation"].tolist() == [1.04]  # the published best one
    check_origin(tmp_path / "baselines.json", repeats=1)
    assert "batched_seconds_per_cycle" in capsys.readouterr().out


class Clock:
    """In place of a `Team`: every timing lasts as many seconds as it has cycles per process, however many processes
    and trajectories there are.
    """

    processes = 4

    def time(self, prepare, cell, cycles, *further):
        return float(cycles), [float(cycles)] * self.processes


def test_seconds_are_shared_among_all_processes_settings_and_trajectories():
    cells = baselines.choose_cells(["lorenz96"], ["letkf"], [10, 40])
    table = baselines.time_cells(Clock(), cells, repeats=3, seconds=50.0)
    np.testing.assert_allclose(table["dapper_seconds_per_cycle"], 1 / 4)
    np.testing.assert_allclose(table["batched_seconds_per_cycle"], 1 / (4 * 64 * table["batch_settings"]))
    assert table["dapper_cycles"].tolist() == table["batched_cycles"].tolist() == [50, 50]


def test_both_sides_run_the_same_filter_on_the_same_data(monkeypatch):
    monkeypatch.setattr(baselines, "CYCLES", 5)
    monkeypatch.setattr(baselines, "TRAJECTORIES", 3)
    baselines.tuning_split.cache_clear()
    means, errors = {}, []
    run_dapper, run_filter = baselines.run_dapper, baselines.run_filter

    def kept_means(*arguments, **options):
        means[len(means)] = run_dapper(*arguments, **options)
        return means[len(means) - 1]

    def kept_errors(*arguments, **options):
        record = run_filter(*arguments, **options)
        errors.append((record.error_norm, arguments[4]))
        return record

    monkeypatch.setattr(baselines, "run_dapper", kept_means)
    monkeypatch.setattr(baselines, "run_filter", kept_errors)
    (cell,) = baselines.choose_cells(["lorenz96"], ["letkf"], [10])
    assert baselines.prepare_batched(0, cell, 5)() > 0
    (found, truth), *_ = errors
    for index in range(3):
        assert baselines.prepare_dapper(index, cell, 6, [2, 0, 1])()
        trajectory = [2, 0, 1][index]
        theirs = np.linalg.norm(means[index] - truth[trajectory].numpy(), axis=-1)
        assert found.shape == (cell.settings, 3, 6)  # a first cycle is not timed
        np.testing.assert_allclose(found[:, trajectory], np.tile(theirs, (cell.settings, 1)), rtol=1e-3)
    baselines.tuning_split.cache_clear()


def test_trajectories_on_which_dapper_diverges_are_passed_over(monkeypatch):
    monkeypatch.setattr(baselines, "TRAJECTORIES", 4)
    monkeypatch.setattr(baselines, "dapper_run", lambda cell, cycles, trajectory: lambda: trajectory in (0, 2))
    assert [baselines.prepare_survey(index, None, 5)() for index in range(4)] == [0, 2, 2, 0]
    monkeypatch.setattr(baselines, "dapper_run", lambda cell, cycles, trajectory: lambda: False)
    (cell,) = baselines.choose_cells(["lorenz96"], ["esrf"], [10])
    with pytest.raises(FloatingPointError, match=r"every trajectory of lorenz96 with esrf, N = 10"):
        baselines.prepare_survey(0, cell, 5)()


def test_the_time_of_a_run_that_dapper_ended_early_is_not_used():
    class Diverged(Clock):
        def time(self, prepare, *arguments):
            return 0.1, [True, False]

    with pytest.raises(FloatingPointError, match="DAPPER diverged"):
        baselines.dapper_seconds(Diverged(), None, 5, [0, 1])


def test_all_cells_are_timed_but_those_without_a_grid_or_without_dapper():
    cells = baselines.choose_cells(list(shipped_experiments("paper")), baselines.DAPPER_METHODS, baselines.SIZES)
    assert len(cells) == 3 * (5 + 6 + 6)
    assert not [cell for cell in cells if cell.experiment == "lorenz63" and cell.method in LOCALIZED_METHODS]
    assert all((cell.setting[1] is None) == (cell.method not in LOCALIZED_METHODS) for cell in cells)


def test_a_size_that_was_not_published_takes_the_settings_of_the_nearest_one():
    assert baselines.published_search("ks", "letkf", 45)[0] == baselines.published_search("ks", "letkf", 40)[0]
    assert baselines.published_search("ks", "letkf", 500)[0] == (1.01, 10.0)


def test_unknown_names_are_refused_with_the_nearest_one(capsys):
    with pytest.raises(ValueError, match=r"unknown experiment 'lorenz69'.*'lorenz6?9?6?3?'"):
        baselines.choose_cells(["lorenz69"], ["esrf"], [10])
    with pytest.raises(ValueError, match=r"unknown method that DAPPER has 'ienkf_sqr'. Did you mean 'ienkf_sqrt'"):
        baselines.choose_cells(["ks"], ["ienkf_sqr"], [10])
    with pytest.raises(ValueError, match=r"unknown experiment 'kss'. Did you mean 'ks'"):
        training.time_training(["kss"], 1, 1, 1)
    with pytest.raises(ValueError, match="at least 2 members, not 1"):
        baselines.choose_cells(["ks"], ["esrf"], [1])
    with pytest.raises(ValueError, match="letkf cannot run on lorenz63"):
        baselines.choose_cells(["lorenz63"], ["letkf"], [10])
    for main, bad in ((baselines.main, ["--methods", "letfk"]), (training.main, ["--repeats", "0"])):
        with pytest.raises(SystemExit):
            main(bad)
    assert "Did you mean 'letkf'?" in capsys.readouterr().err


def test_rows_of_the_training_have_both_schedules_and_agree_with_their_definitions(tmp_path, monkeypatch):
    steps = []
    whole = Trainer.optimizer_step
    monkeypatch.setattr(Trainer, "optimizer_step", lambda trainer: steps.append(trainer.options) or whole(trainer))
    options = ["--experiments", "lorenz63", "--repeats", "2", "--cores", "1", "--cycles", "1", "--steps", "2"]
    training.main([*options, "--out", str(tmp_path)])
    table = pd.read_csv(tmp_path / "training.csv").set_index("schedule")
    assert table.reset_index()[TRAINING].shape == (2, len(TRAINING))
    assert table["batch"].to_dict() == {"window": 1024, "cycle": 64}  # as published, and as on a laptop
    assert table["window_cycles"].to_dict() == {"window": 1, "cycle": 60}
    per_cycle = table["seconds_per_step"] / table["batch"]  # a step of either schedule has one cycle here
    np.testing.assert_allclose(table["seconds_per_window_cycle"], per_cycle, rtol=1e-12)
    assert table["reference_seconds_per_window_cycle"].isna().all()
    assert [s.schedule for s in steps] == ["window"] * 3 + ["cycle"] * 6  # one timing to warm up
    assert {s.ensemble_size for s in steps} == {10}
    check_origin(tmp_path / "training.json", repeats=2)


def test_the_reference_is_compared_with_on_a_cpu_only(monkeypatch):
    monkeypatch.setattr(training, "make_trainer", lambda *arguments: None)
    monkeypatch.setattr(training, "seconds_per_step", lambda trainer, steps: 512 * 10 * 1e-4)
    for device, ratio in (("cpu", 9.5 / (512 * 60) / 1e-4), ("cuda", np.nan)):
        monkeypatch.setattr(training, "default_device", lambda device=device: torch.device(device))
        table = training.time_training(["lorenz96"], 3, cycles=10, steps=1).set_index("schedule")
        np.testing.assert_allclose(table["seconds_per_window_cycle"]["window"], 1e-4)
        np.testing.assert_allclose(table["reference_seconds_per_window_cycle"]["window"], 0.31e-3, rtol=0.01)
        np.testing.assert_allclose(table["ratio"].astype(float), [ratio, np.nan])


RUNS = """
import time
import torch


def prepare_meeting(index, folder):
    def run():
        begin = time.perf_counter()
        (folder / str(index)).touch()
        while not (folder / str(1 - index)).exists() and time.perf_counter() < begin + 60:
            time.sleep(0.01)
        met = (folder / str(1 - index)).exists()
        return time.perf_counter() - begin, met, torch.get_num_threads()

    return run


def prepare_failure(index):
    if index == 1:
        raise RuntimeError("no data for process 1")
    return lambda: None
"""


def test_the_processes_of_a_team_run_at_the_same_time_and_the_last_one_counts(tmp_path, monkeypatch):
    (tmp_path / "team_runs.py").write_text(RUNS)
    monkeypatch.syspath_prepend(tmp_path)  # spawned processes inherit it
    runs = importlib.import_module("team_runs")
    with Team(2) as team:
        seconds, values = team.time(runs.prepare_meeting, tmp_path)
        durations, met, threads = zip(*values, strict=True)
        assert met == (True, True)  # neither would have ended before its time if they ran one after the other
        assert threads == (1, 1)
        assert seconds >= max(durations)
        with pytest.raises(RuntimeError, match="no data for process 1"):
            team.time(runs.prepare_failure)


def test_a_team_has_at_least_one_process():
    assert available_cores() >= 1
    with pytest.raises(ValueError, match="at least 1 core, not 0"):
        Team(0)


def test_no_system_is_named_but_where_it_is_at_home(tmp_path, monkeypatch):
    assert list(measures.named_systems()) == []
    (tmp_path / "mnmef" / "studies").mkdir(parents=True)
    (tmp_path / "mnmef" / "studies" / "forced.py").write_text("weeks = 1\nif name == 'lorenz96_long':\n    KS = 1\n")
    monkeypatch.setattr(measures, "ROOT", tmp_path)
    assert [line.partition(" ")[0] for line in measures.named_systems()] == [
        "mnmef/studies/forced.py:2",
        "mnmef/studies/forced.py:3",
    ]


def searched(folder, inflations):
    """The results of a search on Lorenz '63 for 5 and 10 members."""
    (folder / "search").mkdir(parents=True)
    (folder / "config.yaml").write_text("seed: 3\nlorenz63: {ienks: {lag: 2}}\n")
    split = simulate_split(load_experiment("lorenz63"), "test", 3, 30, [1.0], 10, seed=3)
    write_dataset(split, folder / "data" / "lorenz63_test.nc", provenance=provenance("data", {}, 3))
    cell = {"experiment": "lorenz63", "sigma_y": 1.0, "method": "esrf", "ensemble_size": [5, 10]}
    table = pd.DataFrame({**cell, "inflation": inflations, "localization_radius": np.nan})
    write_table(table, folder / "search" / "lorenz63_1.0_esrf_best.csv")
    return split, table


def test_two_searches_are_compared_where_their_settings_differ(tmp_path, capsys):
    split, first = searched(tmp_path / "a", [1.1, 1.04])
    _, second = searched(tmp_path / "b", [1.1, 1.2])
    searches.main([str(tmp_path / "a"), str(tmp_path / "b"), "--out", str(tmp_path / "out.csv")])
    assert "2 cells, 1 with the same settings" in capsys.readouterr().out
    table = pd.read_csv(tmp_path / "out.csv")
    assert table["same"].tolist() == [True, False]
    assert table["difference"][0] == 0.0
    for end, settings in (("", first), ("_other", second)):
        scores = evaluate_baseline(split, "esrf", 1.0, settings, EvaluationOptions(3)).sel(ensemble_size=10)
        each = scores["error_norm"].sum("cycle") / scores["truth_norm"].sum("cycle")
        assert table[f"rrmse{end}"][1] == pytest.approx(float(each.mean()), rel=1e-6)


def test_a_folder_without_a_search_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="has no table of a search"):
        searches.main([str(tmp_path), str(tmp_path)])
