"""Claims that the smaller experiments of the paper bear on: figures 9, 10 and 11.

Each function takes the tables of these experiments by name and judges, as `mnmef.report.verdicts` says:

- figure_9: R-RMSE of every trajectory: experiment, sigma_y, ensemble_size, inflation (true or false), trajectory,
  rrmse;
- figure_10: sigma_y, ensemble_size, distance, weight_mean;
- figure_11: R-RMSE of every trajectory: experiment, sigma_y, ensemble_size, parameters (heads or all), epoch,
  trajectory, rrmse;
- published_figure_9, published_figure_11: the numbers in the paper's figures.

A table that is missing makes the claim "not run".
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from mnmef.report.verdicts import (
    NOT_RUN,
    Finding,
    Judgement,
    Region,
    cell_label,
    corrected_level,
    improvement_in,
    judge_every,
)
from mnmef.scores.bootstrap import LEVEL
from mnmef.scores.comparisons import CELL

PUBLISHED_EPOCHS = 20
PUBLISHED_NAMES = {"trained_infl": True, "no_infl": False, "ourFT": "heads", "fullFT": "all"}
"""Our inflation and parameters by their names in the tables of published numbers."""

Studies = Mapping[str, pd.DataFrame]
Choice = dict[str, Any]
"""Value of each column that the chosen rows of a study's table have."""


def with_our_names(published: pd.DataFrame) -> pd.DataFrame:
    """Return published numbers of figure 9 or 11 with our column, inflation (true or false) or parameters."""
    theirs, ours = ("variant", "inflation") if "variant" in published else ("strategy", "parameters")
    return published.assign(**{ours: published[theirs].map(PUBLISHED_NAMES)})


def inflation_helps(studies: Studies, seed: int) -> Judgement:
    """Judge that R-RMSE with the learned inflation is lower than without, in pairs."""
    findings = _improvements(studies, "figure_9", {"inflation": False}, {"inflation": True}, seed)
    return judge_every(findings, Region(low=0.0), "improvement by the learned inflation")


def weights_decrease(studies: Studies) -> Judgement:
    """Judge that the mean weight falls with distance: Spearman's rank correlation over distances is negative.

    Its interval is Fisher's, with the variance 1.06 / (n - 3) of Fieller, Hartley and Pearson (Biometrika 44, 1957).
    """
    groups = list(studies["figure_10"].groupby(["sigma_y", "ensemble_size"])) if "figure_10" in studies else []
    findings = []
    for (sigma_y, size), part in groups:
        value = float(stats.spearmanr(part["distance"], part["weight_mean"]).statistic)
        deviation = math.sqrt(1.06 / (len(part) - 3))
        center = math.atanh(np.clip(value, -1 + 1e-12, 1 - 1e-12))
        low, high, wide_low, wide_high = (
            math.tanh(center + sign * deviation * float(stats.norm.ppf(0.5 + level / 2)))
            for level in (LEVEL, corrected_level(len(groups)))
            for sign in (-1, 1)
        )
        findings.append(Finding(cell_label("lorenz96", sigma_y, size), value, low, high, wide_low, wide_high))
    return judge_every(findings, Region(high=0.0), "rank correlation of weight and distance")


def twenty_epochs_suffice(studies: Studies, seed: int) -> Judgement:
    """Judge that fine-tuning of the heads on to the last epoch gains less than 2 % on the 20th; both must be scored."""
    measure = "improvement by further epochs"
    epochs = set(studies["figure_11"].query("parameters == 'heads'")["epoch"]) if "figure_11" in studies else set()
    if PUBLISHED_EPOCHS not in epochs or max(epochs) == PUBLISHED_EPOCHS:
        return Judgement(NOT_RUN, measure)
    first, last = ({"parameters": "heads", "epoch": epoch} for epoch in (PUBLISHED_EPOCHS, max(epochs)))
    return judge_every(_improvements(studies, "figure_11", first, last, seed), Region(high=0.02), measure)


def heads_suffice(studies: Studies, seed: int) -> Judgement:
    """Judge that after 20 epochs, or the last before, tuning all parameters is within 2 % of tuning the heads."""
    measure = "improvement by tuning all parameters"
    if "figure_11" not in studies:
        return Judgement(NOT_RUN, measure)
    epochs = studies["figure_11"]["epoch"]
    epoch = int(epochs[epochs <= PUBLISHED_EPOCHS].max())
    heads, everything = ({"parameters": kind, "epoch": epoch} for kind in ("heads", "all"))
    return judge_every(_improvements(studies, "figure_11", heads, everything, seed), Region(-0.02, 0.02), measure)


def _improvements(studies: Studies, figure: str, benchmark: Choice, ours: Choice, seed: int) -> list[Finding]:
    """Return the improvement of the chosen rows `ours` on `benchmark` in each cell of a figure; none if not run."""
    if figure not in studies:
        return []
    published = with_our_names(studies[f"published_{figure}"])
    groups = list(studies[figure].sort_values("trajectory").groupby(CELL))
    findings = []
    for key, part in groups:
        cell = dict(zip(CELL, key, strict=True))
        theirs, own = (_chosen(part, choice) for choice in (benchmark, ours))
        before, after = (next(iter(_chosen(published, cell | choice)), math.nan) for choice in (benchmark, ours))
        found = improvement_in(cell_label(*key), theirs, own, seed, corrected_level(len(groups)))
        findings.append(replace(found, published=1 - after / before))
    return findings


def _chosen(table: pd.DataFrame, choice: Choice) -> np.ndarray:
    for column, value in choice.items():
        table = table[table[column] == value]
    return table["rrmse"].to_numpy()
