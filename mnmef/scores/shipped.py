"""Scores of the shipped weights (`make paper-scores`): `python -m mnmef.scores.shipped EVALUATION ... [--out FILE]`."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mnmef.assimilation.metrics import mean_over_survivors, relative_rmse, time_mean_rmse
from mnmef.data.published import KEYS
from mnmef.io.files import read_dataset, read_table, write_table
from mnmef.scores.bootstrap import mean_with_interval

TABLE = Path("docs/results/paper.csv")
"""Table that the documentation takes its numbers from."""

NUMBERS = ["rrmse", "rmse", "low", "high", "trajectories"]


def evaluation_scores(path: str | Path, seed: int) -> pd.DataFrame:
    """Score an evaluation, over all cycles.

    Parameters
    ----------
    path : str or Path
        File of one filter on a test split.
    seed : int
        Of the intervals.

    Returns
    -------
    DataFrame
        A row for each ensemble size: `KEYS` and `NUMBERS`, means over the trajectories that did not diverge and their
        number; the interval (low, high) of 95 % is that of rrmse.

    Raises
    ------
    ValueError
        If the file is no evaluation.
    """
    run = read_dataset(path, kind="evaluation")
    errors, truths = (run[name].values.astype(np.float64) for name in ("error_norm", "truth_norm"))
    cell, rows = (run.attrs["experiment"], float(run.attrs["sigma_y"]), run.attrs["method"]), []
    for members, error, truth in zip(run["ensemble_size"].values, errors, truths, strict=True):
        score = mean_with_interval(relative_rmse(error, truth), seed)
        rmse = mean_over_survivors(time_mean_rmse(error / run.attrs["state_size"] ** 0.5))[0]
        rows.append([*cell, int(members), score.value, rmse, score.low, score.high, score.used])
    return pd.DataFrame(rows, columns=[*KEYS, *NUMBERS])


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the scores to the table, where they replace those of the same filters."""
    parser = argparse.ArgumentParser(prog="python -m mnmef.scores.shipped", description="Note what filters score.")
    parser.add_argument("evaluations", nargs="+", type=Path, help="files of results/paper/evaluation/")
    parser.add_argument("--seed", type=int, default=2504, help="of the intervals")
    parser.add_argument("--out", type=Path, default=TABLE, help="table to write")
    given = parser.parse_args(arguments)
    there = [read_table(given.out)] if given.out.exists() else []
    table = pd.concat([*there, *(evaluation_scores(path, given.seed) for path in given.evaluations)])
    table = table.drop_duplicates(KEYS, keep="last").sort_values(KEYS)
    write_table(table.round(dict.fromkeys(NUMBERS, 6)), given.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
