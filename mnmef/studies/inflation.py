"""Effect of the learned inflation: the same weights with it and without it (figure 9 of arXiv 2504.17836)."""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from mnmef.io.files import read_dataset
from mnmef.scores.comparisons import add_intervals, trajectory_scores
from mnmef.scores.scoring import score_evaluations

ABLATION_KEYS = ["experiment", "sigma_y", "ensemble_size", "inflation"]


def inflation_scores(paths: Sequence[str | Path]) -> pd.DataFrame:
    """Score every trajectory with and without the learned inflation.

    Parameters
    ----------
    paths : sequence of str or Path
        Evaluations of one learned filter, with the inflation on or off in their settings.

    Returns
    -------
    DataFrame
        Columns `ABLATION_KEYS`, trajectory, and rrmse, its R-RMSE (NaN where it diverged).
    """
    parts = [trajectory_scores([path]).assign(inflation=_has_inflation(path)) for path in paths]
    columns = [*ABLATION_KEYS, "trajectory", "rrmse"]
    return pd.concat(parts)[columns].sort_values(columns[:-1], ignore_index=True)


def inflation_summary(paths: Sequence[str | Path], seed: int) -> pd.DataFrame:
    """Average the scores over trajectories.

    Parameters
    ----------
    paths : sequence of str or Path
        As of `inflation_scores`.
    seed : int
        Of the bootstrap.

    Returns
    -------
    DataFrame
        A row for each of `ABLATION_KEYS`: rrmse, its 95 % interval rrmse_low and rrmse_high, n_trajectories and
        n_diverged.
    """
    parts = []
    for path in paths:
        scores = add_intervals(score_evaluations([path]), trajectory_scores([path]), seed)
        parts.append(scores.assign(inflation=_has_inflation(path)))
    columns = [*ABLATION_KEYS, "rrmse", "rrmse_low", "rrmse_high", "n_trajectories", "n_diverged"]
    return pd.concat(parts)[columns].sort_values(ABLATION_KEYS, ignore_index=True)


def _has_inflation(path: str | Path) -> bool:
    """Return the switch of the learned inflation in the settings of an evaluation."""
    settings = json.loads(read_dataset(path, kind="evaluation").attrs["settings"])
    return bool(settings["model"]["inflation"])
