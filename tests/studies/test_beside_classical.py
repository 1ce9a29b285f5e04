"""A learned filter beside LETKF: scores after the burn-in, on the same trajectories, written row by row."""

import numpy as np
import pandas as pd
import pytest
import torch

from mnmef.assimilation.twin import run_on_twin
from mnmef.data.twin import load_trial, simulate_split
from mnmef.experiments.load import load_experiment
from mnmef.filters.classical import make_classical
from mnmef.filters.learned import initial_filter
from mnmef.learning.checkpoints import load_checkpoint, save_checkpoint
from mnmef.studies import beside_classical
from mnmef.studies.beside_classical import Design

EXPERIMENT = load_experiment("lorenz96_full")
BURN_IN = 3


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """An untrained filter, and a study that is short."""
    monkeypatch.setattr(beside_classical, "TUNING", (2, 4))
    model = {"channels": 4, "layers": 1, "reach": 4}
    save_checkpoint(initial_filter(EXPERIMENT, 1.0, model, 0, name="mnmef_local"), tmp_path / "w.safetensors")
    return tmp_path / "w.safetensors"


def test_scores_are_those_of_the_cycles_after_the_burn_in_on_the_test_split(weights):
    table = beside_classical.beside_classical(
        load_checkpoint(weights), ["letkf"], Design(EXPERIMENT, 1.0, BURN_IN, 7), [5], (3, 4), "test"
    )
    assert table["method"].tolist() == ["mnmef_local", "letkf"]
    split = simulate_split(EXPERIMENT, "test", 3, BURN_IN + 4, [1.0], 5, 7)
    data = load_trial(split, 1.0, 5, torch.float32)
    errors = []
    for radius in beside_classical.RADII:
        for inflation in beside_classical.INFLATIONS:
            letkf = make_classical("letkf", EXPERIMENT, 1.0, inflation, radius)
            record = run_on_twin(letkf, EXPERIMENT, data, seed=7, stream="letkf")
            errors.append(record.error_norm[:, BURN_IN:].double().numpy() / 40**0.5)
    row = table.iloc[1]
    found = [np.isclose(row["rmse"], error.mean(), rtol=1e-6) for error in errors]
    assert any(found)
    truth = np.linalg.norm(split["truth"].values[:, BURN_IN:], axis=-1) / 40**0.5
    relative = (errors[found.index(True)].sum(-1) / truth.sum(-1)).mean()
    np.testing.assert_allclose(row["rrmse"], relative, rtol=1e-5)
    assert row["low"] <= row["rmse"] <= row["high"]
    assert row["trajectories"] == 3


def test_the_setting_of_a_filter_with_perturbed_observations_is_the_best_one_by_one():
    experiment = load_experiment("lorenz96_arctan")
    design = Design(experiment, 0.05, BURN_IN, 7)
    data = design.simulate("tune", (2, 6), 12, 12)
    best = beside_classical.tune("enkf", design, data)
    errors = {
        inflation: run_on_twin(
            make_classical("enkf", experiment, 0.05, inflation), experiment, data, seed=7, stream="enkf"
        )
        .rmse[:, BURN_IN:]
        .mean()
        for inflation in beside_classical.INFLATIONS
    }
    assert best == (min(errors, key=errors.__getitem__), None)


def test_a_second_call_replaces_the_rows_of_the_same_filters(weights, tmp_path):
    out = tmp_path / "table.csv"
    burn_in = str(BURN_IN * EXPERIMENT.cycle_length)
    short = ["--trajectories", "2", "--cycles", "2", "--burn-in", burn_in, "--out", str(out)]
    beside_classical.main([str(weights), "--sizes", "5,6", *short])
    first = pd.read_csv(out)
    beside_classical.main([str(weights), "--sizes", "5", "--seed", "1", *short])
    second = pd.read_csv(out)
    assert first[beside_classical.KEYS].equals(second[beside_classical.KEYS])
    changed = (first["rmse"] != second["rmse"]).to_numpy()
    assert (changed == (first["ensemble_size"] == 5).to_numpy()).all()


def test_without_weights_classical_filters_are_scored_alone_with_the_settings_that_are_asked_for(tmp_path, capsys):
    out = tmp_path / "table.csv"
    short = ["--trajectories", "2", "--cycles", "2", "--burn-in", "0.15", "--out", str(out)]
    given = ["--sizes", "5", "--radii", "2,3.5", "--inflations", "1.02", "--tuned-on", "2,3"]
    beside_classical.main(["--experiment", "lorenz96_full", "--sigma", "0.5", *given, *short])
    table = pd.read_csv(out)
    assert table[beside_classical.KEYS].to_numpy().tolist() == [["lorenz96_full", 0.5, "letkf", 5]]
    said = capsys.readouterr().out
    assert "inflation 1.02, radius 2:" in said
    assert "inflation 1.02, radius 3.5:" in said


def test_without_weights_experiment_and_noise_are_asked_for(capsys):
    with pytest.raises(SystemExit):
        beside_classical.main(["--experiment", "lorenz96_full"])
    assert "--experiment and --sigma are needed" in capsys.readouterr().err


def test_the_documentation_has_the_numbers_of_the_table(root):
    everything = pd.read_csv(root / "docs" / "results" / "canonical.csv")
    table = everything[everything["experiment"] == "lorenz96_full"].set_index(["ensemble_size", "method"])["rmse"]
    log = (root / "docs" / "log" / "learned_local.md").read_text()
    for members in (5, 10, 20, 40):
        ours, letkf = table[members, "mnmef_local"], table[members, "letkf"]
        (row,) = [line for line in log.splitlines() if line.startswith(f"| {members} |")]
        assert f"{ours:.3f}" in row.split("|")[2]
        assert f"{letkf:.3f}" in row.split("|")[4]
    said = f"an RMSE of {table[10, 'mnmef_local']:.3f} with ten members, tuned LETKF {table[10, 'letkf']:.3f}"
    assert said in " ".join((root / "README.md").read_text().split())
    at_one = everything[(everything["experiment"] == "lorenz63") & (everything["sigma_y"] == 1)]
    members, ienks = (
        at_one.set_index(["method", "ensemble_size"])["rrmse"][name, 10] for name in ("mnmef_members", "ienks")
    )
    said = f"`mnmef_members` has {members:.4f} where IEnKS with lag 2 has {ienks:.4f}"
    assert said in " ".join((root / "README.md").read_text().split())
    rare = everything[everything["experiment"] == "lorenz96_nonlinear_020"].set_index(["method", "ensemble_size"])[
        "rmse"
    ]
    said = f"`mnmef_local` has an RMSE of {rare['mnmef_local', 10]:.3f} where LETKF has {rare['letkf', 10]:.3f}"
    assert said in " ".join((root / "README.md").read_text().split())
    log += (root / "docs" / "log" / "kolmogorov.md").read_text()
    for row in everything[everything["experiment"] != "lorenz96_full"].itertuples():
        cell = f"| `{row.experiment}` | {row.sigma_y:g} | {row.ensemble_size} | `{row.method}`"
        assert f"{cell} | {row.rrmse:.4g} | {row.rmse:.4g} (" in log
