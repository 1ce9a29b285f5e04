"""`python -m mnmef observations` and `score`, as the documentation has them, and beside our own filters."""

import re
import shlex

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

from mnmef.__main__ import main
from mnmef.assimilation.assimilate import assimilate
from mnmef.config.settings import at_scale
from mnmef.core.names import use_filters
from mnmef.data.splits import make_split
from mnmef.evaluation.evaluate import EvaluationOptions, evaluate
from mnmef.experiments.load import load_experiment
from mnmef.filters.classical import make_classical
from mnmef.io.files import provenance, write_dataset
from mnmef.io.strict_yaml import read_yaml


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of a user."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    use_filters((), "analyses")


def test_the_commands_and_the_code_of_the_documentation_run_as_printed(root, folder, capsys):
    page = (root / "docs" / "analyses.md").read_text()
    for kind, block in re.findall(r"```(python)?\n(.*?)```", page, re.DOTALL):
        if kind:
            exec(block, {})
        for line in block.splitlines() if "python -m mnmef" in block else ():
            assert main(shlex.split(line)[3:]) == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    assert "0 filters of results/quick are beside those on lorenz63." in said
    scores = pd.read_csv("scores.csv")
    assert scores["method"].tolist() == ["my_method"]
    assert scores["rrmse"].between(0.1, 2.0).all()
    assert (folder / "curves_lorenz63.png").read_bytes().startswith(b"\x89PNG")


def test_our_own_analyses_of_the_observations_score_as_our_own_and_improve_on_us_by_nothing(root, folder, capsys):
    settings = at_scale(read_yaml(root / "config.yaml"), "quick", "lorenz63")
    experiment = load_experiment("lorenz63")
    split, esrf = make_split(experiment, "test", settings), make_classical("esrf", experiment, 1.0, 1.04)
    usual = evaluate({5: esrf}, split, "esrf", 1.0, EvaluationOptions(0), dtype=torch.float64)
    write_dataset(usual, "results/quick/evaluation/lorenz63_1.0_esrf.nc", provenance=provenance("evaluation", {}, 0))
    assert main(["observations", "lorenz63", "y.nc", "--scale", "quick"]) == 0
    given = xr.load_dataset("y.nc")
    runs = [
        assimilate(esrf, experiment, y, first_ensemble=first[:5])["mean"].values
        for y, first in zip(given["observation"].values, given["first_ensemble"].values, strict=True)
    ]
    theirs = xr.Dataset({"mean": (("trajectory", "cycle", "state"), np.stack(runs))}, attrs=given.attrs)
    theirs.attrs.update(name="theirs", ensemble_size=5)
    theirs.to_netcdf("theirs.nc")
    assert main(["score", "theirs.nc", "--scale", "quick", "--out", "out"]) == 0, capsys.readouterr().err
    assert "1 filters of results/quick are beside those on lorenz63." in capsys.readouterr().out
    scores = pd.read_csv("out/scores.csv").set_index("method")
    for column in ("rrmse", "rrmse_low", "rrmse_high", "rrmse_std"):
        assert scores.loc["theirs", column] == pytest.approx(scores.loc["esrf", column], rel=1e-6)
    (pair,) = pd.read_csv("out/improvements.csv").to_dict("records")
    assert (pair["method"], pair["benchmark"], pair["n_pairs"]) == ("theirs", "esrf", 4)
    assert pair["improvement"] == pytest.approx(0.0, abs=1e-6)
    assert scores.loc["theirs", "best_classical"] == "esrf"


def test_a_file_that_is_none_and_a_noise_level_that_there_is_not_are_named(folder, capsys):
    assert main(["score", "none.nc"]) == 1
    assert main(["observations", "lorenz63", "y.nc", "--scale", "quick", "--sigma-y", "0.3"]) == 1
    said = capsys.readouterr().err
    assert "there is no file none.nc of analyses" in said
    assert "no observations with sigma_y = 0.3; the file has 1.0" in said
    assert main(["observations", "lorenz", "y.nc"]) == 1
    assert "experiments.0 = 'lorenz' must be" in capsys.readouterr().err
