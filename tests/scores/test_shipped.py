"""Scores of the shipped weights: their table, and the numbers that the documentation takes from it."""

import re

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mnmef.data.published import KEYS
from mnmef.io.files import provenance, write_dataset
from mnmef.scores.shipped import NUMBERS, main

NAMES = {"Lorenz '96": "lorenz96", "Lorenz '63": "lorenz63", "KS": "ks"}
FULL = 64
"""Trajectories of the test split at scale `paper`."""


def write_evaluation(path, method, error):
    """An evaluation (N, T, K) of a system with four variables, whose truth has the norm 10."""
    dims = ("ensemble_size", "trajectory", "cycle")
    dataset = xr.Dataset(
        {"error_norm": (dims, error), "truth_norm": (dims, np.full_like(error, 10.0))},
        coords={"ensemble_size": [5, 10]},
        attrs={"experiment": "lorenz96", "sigma_y": "1.0", "method": method, "state_size": 4},
    )
    write_dataset(dataset, path, provenance=provenance("evaluation", {}, 0))
    return str(path)


def test_scores_replace_those_of_the_same_filter_and_leave_the_others(tmp_path):
    table, error = str(tmp_path / "paper.csv"), np.random.default_rng(0).uniform(1.0, 3.0, (2, 5, 4))
    error[1, 0, 2:] = np.nan
    main([write_evaluation(tmp_path / "a.nc", "mnmef_conv", error), "--out", table])
    main([write_evaluation(tmp_path / "b.nc", "letkf", 2 * error), "--out", table])
    main([write_evaluation(tmp_path / "b.nc", "letkf", 3 * error), "--out", table])
    found = pd.read_csv(table)
    assert list(found.columns) == [*KEYS, *NUMBERS]
    assert list(found["method"]) == ["letkf", "letkf", "mnmef_conv", "mnmef_conv"]
    assert list(found["trajectories"]) == [5, 4, 5, 4]
    means = np.nanmean(error.mean(-1), 1)
    np.testing.assert_allclose(found["rrmse"], [*(0.3 * means), *(0.1 * means)], atol=1e-6)
    np.testing.assert_allclose(found["rmse"], [*(1.5 * means), *(0.5 * means)], atol=1e-6)
    assert (found["low"] < found["rrmse"]).all()
    assert (found["rrmse"] < found["high"]).all()


def documented(page, title, method):
    """Numbers of a table in the documentation: cell, method and N, and the text of the number."""
    section = page.partition(f"## {title}\n")[2].partition("\n## ")[0]
    header, _, *rows = (line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("|"))
    for experiment, sigma_y, *cells in rows:
        for column, text in zip(header[2:], cells, strict=True):
            if size := re.fullmatch(r"(?:N = )?(\d+)(?:, (\S+))?", column):
                name = "mnmef_pretrained" if size[2] == "pretrained" else method
                yield (NAMES[experiment], float(sigma_y), name, int(size[1])), text.split()[0]


@pytest.mark.parametrize(
    ("title", "method", "cells"),
    [
        ("Shipped `mnmef_conv` on the full test split", "mnmef_conv", 28),
        ("Shipped MNMEF on the full test split", "mnmef_finetuned", 36),
    ],
)
def test_the_documentation_takes_its_numbers_from_the_table(root, title, method, cells):
    table = pd.read_csv(root / "docs" / "results" / "paper.csv").set_index(KEYS)
    numbers = dict(documented((root / "docs" / "results.md").read_text(), title, method))
    assert len(numbers) == cells
    for cell in numbers.keys() & set(table.index):
        row, text = table.loc[cell], numbers[cell]
        if row["trajectories"] == FULL:
            assert f"{row['rrmse']:.{len(text.partition('.')[2])}f}" == text, cell
        else:
            # From fewer trajectories than the documentation's: of the same filter, within what they can say.
            assert row["low"] <= float(text) <= row["high"], cell


AT_LAPTOP = {
    "MNMEF pretrained": "mnmef_pretrained",
    "MNMEF fine-tuned": "mnmef_finetuned",
    "mnmef_conv": "mnmef_conv",
    "LETKF": "letkf",
    "IEnKF": "ienkf_pertobs",
}


def test_the_table_of_scale_laptop_is_that_of_its_scores(root):
    scores = pd.read_csv(root / "docs" / "results" / "laptop.csv").set_index(KEYS)["rrmse"]
    section = (root / "docs" / "results.md").read_text().partition("## All ensemble sizes at scale `laptop`\n")[2]
    header, _, *rows = (
        line.strip("| ").split(" | ") for line in section.partition("\n## ")[0].splitlines() if line.startswith("|")
    )
    sizes = [int(text.removeprefix("N = ")) for text in header[3:]]
    for experiment, sigma_y, name, *cells in rows:
        for members, text in zip(sizes, cells, strict=True):
            score, digits = text.split()[0], len(text.split()[0].partition(".")[2])
            cell = (NAMES[experiment], float(sigma_y), AT_LAPTOP[name], members)
            assert f"{scores[cell]:.{digits}f}" == score, cell
    assert len(rows) == 22
