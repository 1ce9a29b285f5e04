"""Claims of the paper, judged by a run.

The claims are in `claims.yaml` beside this module, and `mnmef.report.verdicts` says how numbers become verdicts.
Intervals are over test trajectories in pairs (`mnmef.scores.bootstrap`). Where a learned filter is compared with a
classical one, the spread over trainings is added in quadrature: Student's t times the relative standard deviation over
trainings of the pretrained filter, pooled over experiments and noise levels. With a single training that is unknown and
nothing is added, which the number of trainings beside the verdict shows. A fine-tuned and a pretrained filter share a
training.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from scipy import stats

from mnmef.data.published import LEARNED
from mnmef.report.tables import with_our_names
from mnmef.report.verdicts import Finding, Judgement, Region, cell_label, corrected_level, improvement_in, judge_cells
from mnmef.scores.bootstrap import LEVEL
from mnmef.scores.comparisons import CELL, is_learned, scores_by

FILE = Path(__file__).with_suffix(".yaml")
PUBLISHED_EPOCHS = 20
CLASSICAL = "every classical filter"


@dataclass(frozen=True)
class ScoredRun:
    """The tables of a run and the published numbers that claims are judged by.

    Parameters
    ----------
    trajectories, scores : DataFrame
        `trajectories.csv` and `scores.csv`.
    curves : DataFrame
        Published R-RMSE of figures 1, 4 and 7.
    seed : int
        Seed of the bootstrap.
    training_size : int
        Ensemble size of pretraining.
    studies : mapping of str to DataFrame
        The tables of figures 9 to 11, as far as the run has them, and the numbers in the paper's figures 9 and 11 as
        published_figure_9 and published_figure_11.
    """

    trajectories: pd.DataFrame
    scores: pd.DataFrame
    curves: pd.DataFrame
    seed: int
    training_size: int
    studies: Mapping[str, pd.DataFrame] = field(default_factory=dict)

    def training_spread(self) -> tuple[int, float]:
        """Return the number of trainings of each setting, and Student's t at 95 % times their relative deviation.

        The deviation is pooled over the settings that were trained several times: relative ones are alike.
        """
        part = self.scores[self.scores["n_trainings"] > 1]
        if part.empty:
            return 1, 0.0
        freedom = part["n_trainings"] - 1
        squares = freedom * (part["rrmse_training_std"] / part["rrmse"]) ** 2
        relative = math.sqrt(squares.sum() / freedom.sum())
        return int(part["n_trainings"].min()), float(stats.t.ppf(0.5 + LEVEL / 2, freedom.sum())) * relative

    def plotted_classical(self, experiment: str) -> list[dict[str, Any]]:
        """Return the choice of each classical filter that the paper plots."""
        methods = self.curves.loc[self.curves["experiment"] == experiment, "method"].unique()
        return [{"method": name} for name in methods if not is_learned(name)]


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper in our words: a number lies in a region, in each cell or most cells of a run.

    The number is the improvement of some rows of a table on others or, in the table of figure 10, the rank correlation
    of weight and distance. An improvement is one on the chosen rows of the same cell.

    Parameters
    ----------
    name, statement : str
    shown_in : str
        Figures that show it.
    measure : str
        Name of the number.
    table : str
        Table of R-RMSE of every trajectory: `trajectories`, or the figure that it belongs to.
    where : str
        Cells that the claim covers, a query of experiment, sigma_y and ensemble_size; all by default.
    ours, benchmark : mapping
        Value of each column that the rows to compare have. The method `every classical filter` stands for all that the
        paper plots (all of them have to be beaten, so the best need not be picked); `of the training`, `the last` and
        `20 or the last before` for the ensemble size and epochs that are meant.
    low, high : float
        Ends of the region.
    cells : str
        `every` cell or `most` of them.
    """

    name: str
    statement: str
    shown_in: str
    measure: str
    table: str = "trajectories"
    where: str = "ensemble_size > 0"
    ours: Mapping[str, Any] = field(default_factory=lambda: {"method": "mnmef_finetuned"})
    benchmark: Mapping[str, Any] = field(default_factory=dict)
    low: float = -math.inf
    high: float = math.inf
    cells: str = "every"

    def judge(self, run: ScoredRun) -> Judgement:
        """Judge the claim by the cells that `run` has; "not run" without any."""
        find = weight_trends if self.table == "figure_10" else improvements
        measure = self.measure.format(training_size=run.training_size)
        return judge_cells(find(run, self), Region(self.low, self.high), measure, most=self.cells == "most")


CLAIMS = tuple(Claim(**entry) for entry in yaml.safe_load(FILE.read_text(encoding="utf-8")))
"""All claims, in the order of the paper's figures."""


def improvements(run: ScoredRun, claim: Claim) -> list[Finding]:
    """Return the improvement that `claim` speaks of, in each of its cells that `run` has."""
    tables = {"trajectories": run.trajectories, "published_trajectories": run.curves, **run.studies}
    if claim.table not in tables:
        return []
    table, published = tables[claim.table], with_our_names(tables[f"published_{claim.table}"])
    keys = [*CELL, *(name for name in claim.ours if name not in CELL)]
    scores, theirs = scores_by(table, keys), published.set_index(keys)["rrmse"].to_dict()
    meant = {"of the training": run.training_size}
    if "epoch" in table:
        done = table.loc[table["epoch"] <= PUBLISHED_EPOCHS, "epoch"]
        meant |= {"the last": table["epoch"].max(), "20 or the last before": done.max()}

    def key(cell: Mapping[Any, Any], choice: Mapping[str, Any]) -> tuple[Any, ...]:
        row: dict[Any, Any] = {**cell, **choice}
        return tuple(meant.get(row[name], row[name]) for name in keys)

    cells = table[CELL].drop_duplicates().sort_values(CELL, ascending=[True, False, True])
    pairs = []
    for cell in cells.query(claim.where, local_dict={"training_size": run.training_size}).to_dict("records"):
        is_every = claim.benchmark.get("method") == CLASSICAL
        chosen = run.plotted_classical(cell["experiment"]) if is_every else [claim.benchmark]
        pairs += [(key(cell, other), key(cell, claim.ours)) for other in chosen]
    pairs = [(other, ours) for other, ours in pairs if other != ours and {other, ours} <= scores.keys()]
    findings = []
    for other, ours in pairs:
        trainings, spread = run.training_spread() if claim.table == "trajectories" else (1, 0.0)
        spread = 0.0 if claim.benchmark.get("method") in LEARNED else spread
        level = corrected_level(len(pairs))
        found = improvement_in(cell_label(*ours[:3]), scores[other], scores[ours], run.seed, level, spread)
        gain = 1 - theirs.get(ours, math.nan) / theirs.get(other, math.nan)
        findings.append(replace(found, published=gain, trainings=trainings))
    return findings


def weight_trends(run: ScoredRun, claim: Claim) -> list[Finding]:
    """Return Spearman's rank correlation of mean weight and distance in each cell of the table of figure 10.

    Its interval is Fisher's, with the variance 1.06 / (n - 3) of Fieller, Hartley and Pearson (Biometrika 44, 1957).
    """
    table = run.studies.get(claim.table)
    groups = [] if table is None else list(table.groupby(["sigma_y", "ensemble_size"]))
    findings = []
    for (sigma_y, size), part in groups:
        value = float(stats.spearmanr(part["distance"], part["weight_mean"]).statistic)
        deviation = math.sqrt(1.06 / (len(part) - 3))
        center = math.atanh(np.clip(value, -1 + 1e-12, 1 - 1e-12))
        halves = [deviation * stats.norm.ppf(0.5 + level / 2) for level in (LEVEL, corrected_level(len(groups)))]
        interval, wide = ((math.tanh(center - half), math.tanh(center + half)) for half in halves)
        findings.append(Finding(cell_label("lorenz96", sigma_y, size), value, interval, wide))
    return findings


CLAIM_COLUMNS = [
    *("claim", "statement", "verdict", "measure", "cell", "ours", "low", "high", "published"),
    *("n_cells", "n_holding", "n_failing", "scale", "n_trajectories", "n_trainings", "shown_in", "needs"),
]


def judge_claims(run: ScoredRun, scale: str, claims: Iterable[Claim] = CLAIMS) -> pd.DataFrame:
    """Judge each claim by a run at a scale.

    Returns
    -------
    DataFrame
        A row for each claim, with `CLAIM_COLUMNS`: the statement, the verdict, the number that decides with its
        interval, the published number in the same cell, and the numbers of cells, trajectories and trainings.
    """
    rows = [
        {"claim": claim.name, "statement": claim.statement, "shown_in": claim.shown_in, **asdict(claim.judge(run))}
        for claim in claims
    ]
    table = pd.DataFrame(rows).assign(scale=scale, n_trajectories=int(run.scores["n_trajectories"].max()))
    return table[CLAIM_COLUMNS]


def claims_page(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table of `judge_claims` for readers: one row each, intervals in brackets."""
    text = table[["ours", "low", "high", "published"]].map(lambda value: "-" if pd.isna(value) else f"{value:.3f}")
    counts = table[["n_holding", "n_failing", "n_cells"]].astype(str)
    return pd.DataFrame(
        {
            "claim": table["statement"],
            "verdict": "**" + table["verdict"] + "**",
            "number": table["measure"] + (" (" + table["cell"] + ")").where(table["cell"] != "", ""),
            "ours [95 %]": text["ours"] + " [" + text["low"] + ", " + text["high"] + "]",
            "published": text["published"],
            "cells": counts["n_holding"] + " + " + counts["n_failing"] + " of " + counts["n_cells"],
            "trainings": table["n_trainings"],
            "shown in": table["shown_in"],
        }
    )
