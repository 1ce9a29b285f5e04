"""Filters compared trajectory by trajectory: intervals, improvements, and the spread over trainings."""

import re
from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mnmef.core.names import METHODS
from mnmef.data.published import KEYS
from mnmef.experiments.files import benchmarks
from mnmef.scores.bootstrap import improvement_with_interval
from mnmef.scores.scoring import summarize, trajectory_scores

CELL = ["experiment", "sigma_y", "ensemble_size"]
"""Keys that filters share when they are compared."""

IMPROVEMENT_COLUMNS = [
    *(*CELL, "method", "benchmark"),
    *("improvement", "improvement_low", "improvement_high", "n_pairs", "n_left_out"),
]


def is_learned(method: str) -> bool:
    """Return True if a method has weights."""
    return METHODS[method].is_learned


def is_contender(method: str) -> bool:
    """Return True if a method is compared with all others: it has weights, or its analyses were made elsewhere."""
    return is_learned(method) or METHODS[method].stage == "analyses"


def compare_filters(trajectories: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Compare each learned filter, and analyses made elsewhere, with each other filter, trajectory by trajectory.

    Returns
    -------
    DataFrame
        improvement with its 95 % interval over trajectories in pairs; n_pairs trajectories that neither lost, and
        n_left_out others. It is NaN where there are no pairs, so it can differ from that of two rows of scores.csv
        where a filter diverged.
    """
    rows = []
    for cell, part in trajectories.groupby(CELL, sort=True):
        values = scores_by(part, ["method"])
        for ours in [name for (name,) in values if is_contender(name)]:
            for benchmark in [name for (name,) in values if name != ours]:
                estimate = improvement_with_interval(values[benchmark,], values[ours,], seed)
                rows.append([*cell, ours, benchmark, *astuple(estimate)])
    return pd.DataFrame(rows, columns=IMPROVEMENT_COLUMNS)


def add_improvements(scores: pd.DataFrame, improvements: pd.DataFrame) -> pd.DataFrame:
    """Add the improvements of the learned filters to `scores`.

    Columns improvement, improvement_low and improvement_high are over the paper's benchmark (column benchmark); the
    same with the prefix best_ are over the classical filter with the lowest R-RMSE in this cell (column
    best_classical), among those with the fewest diverged trajectories.
    """
    classical = scores[~scores["method"].map(is_contender)].sort_values(["n_diverged", "rrmse"])
    best = classical.groupby(CELL)["method"].first().to_dict()
    numbers = ["improvement", "improvement_low", "improvement_high"]
    for column, prefix, chosen in (
        ("benchmark", "", scores["experiment"].map(benchmarks())),
        ("best_classical", "best_", pd.MultiIndex.from_frame(scores[CELL]).map(best)),
    ):
        wanted = scores[KEYS].assign(benchmark=np.asarray(chosen, dtype=object))
        found = wanted.merge(improvements, on=[*KEYS, "benchmark"], how="left")
        known = found["n_pairs"].notna()
        scores = scores.assign(**{column: found["benchmark"].where(known)} | {prefix + n: found[n] for n in numbers})
    return scores


def score_trainings(scores: pd.DataFrame, paths: Sequence[str | Path], seed: int) -> pd.DataFrame:
    """Score every training of the filters that were trained more than once.

    Parameters
    ----------
    scores : DataFrame
        Scores of the first trainings, with intervals.
    paths : sequence of path
        Evaluations of the further ones, named `..._<number>.nc`.
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    DataFrame
        A row for each cell and training (column training, from 1), sorted by these.

    Raises
    ------
    ValueError
        If a file's name does not end with the number of a training.
    """
    columns = [*KEYS, "training", "rrmse", "rrmse_std", "rrmse_low", "rrmse_high", "n_trajectories", "n_diverged"]
    if not paths:
        return pd.DataFrame(columns=columns)
    numbers = [_training(path) for path in paths]
    parts = [trajectory_scores([path]).assign(training=number) for path, number in zip(paths, numbers, strict=True)]
    further = summarize(pd.concat(parts), [*KEYS, "training"], seed)
    first = scores.merge(further[KEYS].drop_duplicates(), on=KEYS).assign(training=1)
    return pd.concat([first, further])[columns].sort_values(columns[:5], ignore_index=True)


def add_trainings(scores: pd.DataFrame, trainings: pd.DataFrame) -> pd.DataFrame:
    """Add n_trainings (0 for a classical filter) and rrmse_training_std to `scores`.

    The latter is the standard deviation of R-RMSE over trainings (divisor n - 1), NaN where there is one.
    """
    spread = trainings.groupby(KEYS)["rrmse"].agg(n_trainings="size", rrmse_training_std="std").reset_index()
    table = scores.merge(spread, on=KEYS, how="left")
    single = table["method"].map(is_learned).astype(int)
    return table.assign(n_trainings=table["n_trainings"].fillna(single).astype(int))


def scores_by(trajectories: pd.DataFrame, keys: list[str]) -> dict[Any, np.ndarray]:
    """Return R-RMSE (T,) in the order of the trajectories for each combination of `keys`."""
    ordered = trajectories.sort_values("trajectory")
    return {key: part["rrmse"].to_numpy() for key, part in ordered.groupby(keys, sort=False)}


def _training(path: str | Path) -> int:
    match = re.search(r"_(\d+)$", Path(path).stem)
    if match is None:
        raise ValueError(f"{path} does not end with the number of a training, such as mnmef_pretrained_2.nc")
    return int(match[1])
