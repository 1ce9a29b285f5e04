"""Claims that the smaller experiments of the paper bear on: figures 9, 10 and 11.

Each function takes the tables of these experiments by name and judges, as `mnmef.report.verdicts` says:

- figure_9: R-RMSE of every trajectory: system, sigma_y, ensemble_size, inflation (true or false), trajectory, rrmse;
- figure_10: sigma_y, ensemble_size, distance, weight_mean;
- figure_11: R-RMSE of every trajectory: system, sigma_y, ensemble_size, parameters (heads or all), epoch, trajectory,
  rrmse;
- published_9, published_11: what the paper's figures show.

A table that is not there makes the claim "not run".
"""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import stats

from mnmef.report.verdicts import NOT_RUN, Cell, Judgement, Region, corrected_level, every, paired_cell
from mnmef.scores.bootstrap import LEVEL

PUBLISHED_EPOCHS = 20
PUBLISHED_NAMES = {True: "trained_infl", False: "no_infl", "heads": "ourFT", "all": "fullFT"}
"""What the tables of published numbers call our inflation and parameters."""

Studies = Mapping[str, pd.DataFrame]


def inflation_helps(studies: Studies, seed: int) -> Judgement:
    """R-RMSE with the learned inflation is lower than without, in pairs."""
    measure = "improvement by the learned inflation"
    if "figure_9" not in studies:
        return Judgement(NOT_RUN, measure)
    keys = ["system", "sigma_y", "ensemble_size"]
    published = studies["published_9"].set_index([*keys, "variant"])["rrmse"]
    groups = list(studies["figure_9"].sort_values("trajectory").groupby(keys))
    cells = []
    for key, part in groups:
        on, off = (part.loc[part["inflation"] == state, "rrmse"].to_numpy() for state in (True, False))
        cell = paired_cell(_label(*key), off, on, seed, corrected_level(len(groups)))
        theirs = [published.get((*key, PUBLISHED_NAMES[state]), math.nan) for state in (True, False)]
        cells.append(_with_published(cell, 1 - theirs[0] / theirs[1]))
    return every(cells, Region(low=0.0), measure)


def weights_decrease(studies: Studies) -> Judgement:
    """The mean weight falls with distance: Spearman's rank correlation over distances is negative.

    Its interval is Fisher's, with the variance 1.06 / (n - 3) of Fieller, Hartley and Pearson (Biometrika 44, 1957).
    """
    measure = "rank correlation of weight and distance"
    if "figure_10" not in studies:
        return Judgement(NOT_RUN, measure)
    groups = list(studies["figure_10"].groupby(["sigma_y", "ensemble_size"]))
    cells = []
    for (sigma_y, size), part in groups:
        value = float(stats.spearmanr(part["distance"], part["weight_mean"]).statistic)
        deviation = math.sqrt(1.06 / (len(part) - 3))
        center = math.atanh(np.clip(value, -1 + 1e-12, 1 - 1e-12))
        low, high, wide_low, wide_high = (
            math.tanh(center + sign * deviation * _normal(level))
            for level in (LEVEL, corrected_level(len(groups)))
            for sign in (-1, 1)
        )
        cells.append(Cell(_label("lorenz96", sigma_y, size), value, low, high, wide_low, wide_high))
    return every(cells, Region(high=0.0), measure)


def twenty_epochs_suffice(studies: Studies, seed: int) -> Judgement:
    """Fine-tuning of the heads on to the last epoch gains less than 2 % on the 20th; both have to be scored."""
    measure = "improvement by further epochs"
    if "figure_11" not in studies:
        return Judgement(NOT_RUN, measure)
    heads = studies["figure_11"].query("parameters == 'heads'")
    last = int(heads["epoch"].max())
    if last <= PUBLISHED_EPOCHS or not (heads["epoch"] == PUBLISHED_EPOCHS).any():
        return Judgement(NOT_RUN, measure)
    points = ("heads", PUBLISHED_EPOCHS), ("heads", last)
    return _compare_curves(studies, points, Region(high=0.02), measure, seed)


def heads_suffice(studies: Studies, seed: int) -> Judgement:
    """After 20 epochs, or the last before, fine-tuning all parameters is within 2 % of fine-tuning the heads."""
    measure = "improvement by tuning all parameters"
    if "figure_11" not in studies:
        return Judgement(NOT_RUN, measure)
    epochs = studies["figure_11"]["epoch"]
    epoch = int(epochs[epochs <= PUBLISHED_EPOCHS].max())
    return _compare_curves(studies, (("heads", epoch), ("all", epoch)), Region(-0.02, 0.02), measure, seed)


def _compare_curves(
    studies: Studies, points: tuple[tuple[str, int], tuple[str, int]], region: Region, measure: str, seed: int
) -> Judgement:
    """Judge, in pairs, the improvement of the second of two points of figure 11's curves on the first, each a pair of
    parameters and epoch.
    """
    keys = ["system", "sigma_y", "ensemble_size"]
    published = studies["published_11"].set_index([*keys, "strategy", "epoch"])["rrmse"]
    groups = list(studies["figure_11"].sort_values("trajectory").groupby(keys))
    cells = []
    for key, part in groups:
        first, second = (
            part.loc[(part["parameters"] == kind) & (part["epoch"] == epoch), "rrmse"].to_numpy()
            for kind, epoch in points
        )
        theirs = [published.get((*key, PUBLISHED_NAMES[kind], epoch), math.nan) for kind, epoch in points]
        cell = paired_cell(_label(*key), first, second, seed, corrected_level(len(groups)))
        cells.append(_with_published(cell, 1 - theirs[1] / theirs[0]))
    return every(cells, region, measure)


def _with_published(cell: Cell, published: float) -> Cell:
    return replace(cell, published=published)


def _label(system: object, sigma_y: float, size: int) -> str:
    return f"{system}, sigma_y = {sigma_y:g}, N = {size}"


def _normal(level: float) -> float:
    return float(stats.norm.ppf(0.5 + level / 2))
