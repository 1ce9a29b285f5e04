"""Effect of the learned inflation: the same weights with it and without it (figure 9 of arXiv 2504.17836)."""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from mnmef.io.files import read_dataset
from mnmef.scores.scoring import run_scores

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
    parts = []
    for path in paths:
        run = read_dataset(path, kind="evaluation")
        model = json.loads(run.attrs["settings"])["model"]
        parts.append(run_scores(run).assign(inflation=model["inflation"]))
    columns = [*ABLATION_KEYS, "trajectory", "rrmse"]
    return pd.concat(parts)[columns].sort_values(columns[:-1], ignore_index=True)
