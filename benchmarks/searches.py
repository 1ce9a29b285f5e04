"""Two searches of hyperparameters compared: `python -m benchmarks.searches FOLDER OTHER [--out FILE]`.

The folders are `results/SCALE` of two runs, whose tables in `search/` were made with different seeds. Every cell of
experiment, noise level, classical filter and ensemble size is evaluated with both settings on the test split of FOLDER,
so that only the settings differ; a cell whose settings are the same is not run.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
import yaml

from mnmef.assimilation.metrics import mean_over_survivors, relative_rmse
from mnmef.data.published import KEYS
from mnmef.evaluation.baseline import evaluate_baseline
from mnmef.evaluation.evaluate import EvaluationOptions
from mnmef.filters.classical import Setting
from mnmef.io.files import read_dataset, read_table, write_table

SETTING = list(Setting._fields)
NEAR = 0.03
"""Relative difference up to which two R-RMSE count as the same."""


def settings_of(folder: Path) -> pd.DataFrame:
    """Read the chosen setting of each cell of a run."""
    files = sorted((folder / "search").glob("*_best.csv"))
    if not files:
        raise FileNotFoundError(f"{folder / 'search'} has no table of a search: run it there first")
    return pd.concat([read_table(file) for file in files])[KEYS + SETTING]


def rrmse(part: pd.DataFrame, split: xr.Dataset, seed: int, lag: int) -> np.ndarray:
    """Compute the R-RMSE of the settings of one filter at one noise level, one for each row."""
    first = part.iloc[0]
    scores = evaluate_baseline(split, first["method"], first["sigma_y"], part, EvaluationOptions(seed), lag=lag)
    each = relative_rmse(scores["error_norm"].to_numpy(), scores["truth_norm"].to_numpy())
    return np.array([mean_over_survivors(values)[0] for values in each])


def compare(folder: Path, other: Path) -> pd.DataFrame:
    """Return the settings of both runs in each cell, their R-RMSE, and the relative difference."""
    pairs = settings_of(folder).merge(settings_of(other), on=KEYS, suffixes=("", "_other"))
    config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    given = pairs[SETTING].fillna(0.0).to_numpy(), pairs[[f"{name}_other" for name in SETTING]].fillna(0.0).to_numpy()
    pairs["same"] = (given[0] == given[1]).all(-1)
    for (experiment, _, _), part in pairs[~pairs["same"]].groupby(KEYS[:3]):
        file = folder / "data" / f"{experiment}_test.nc"
        lag = config[experiment]["ienks"]["lag"]
        split = read_dataset(file, kind="data", experiment=experiment, split="test")
        for end in ("", "_other"):
            rows = part[KEYS].assign(**{name: part[f"{name}{end}"] for name in SETTING})
            pairs.loc[part.index, f"rrmse{end}"] = rrmse(rows, split, config["seed"], lag)
    pairs["difference"] = (pairs["rrmse_other"] / pairs["rrmse"] - 1).where(~pairs["same"], 0.0)
    return pairs


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, print and write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.searches", description="Compare two searches.")
    parser.add_argument("folder", type=Path, help="results/SCALE of a run with its data")
    parser.add_argument("other", type=Path, help="results/SCALE of another one")
    parser.add_argument("--out", type=Path, help="table to write")
    given = parser.parse_args(arguments)
    table = compare(given.folder, given.other)
    print(table[~table["same"]].to_string(index=False))
    near, same = table["difference"].abs() <= NEAR, table["same"].sum()
    print(f"{len(table)} cells, {same} with the same settings, {near.sum()} ({near.mean():.1%}) within {NEAR:.0%}")
    if given.out is not None:
        write_table(table, given.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
