"""Claims of the paper, judged by a run.

How numbers become verdicts is in `mnmef.report.verdicts`. Intervals are over test trajectories in pairs
(`mnmef.scores.bootstrap`). Where a learned filter is compared with a classical one, the spread over trainings
is added in quadrature: Student's t times the standard deviation over trainings of the pretrained filter, the largest
relative one of its experiment. With a single training that is unknown and nothing is added, which the number of
trainings beside the verdict shows. A fine-tuned and a pretrained filter share a training.
"""

import math
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from mnmef.data.published import KEYS
from mnmef.experiments.files import benchmarks
from mnmef.report.study_claims import heads_suffice, inflation_helps, twenty_epochs_suffice, weights_decrease
from mnmef.report.verdicts import (
    Finding,
    Judgement,
    Region,
    cell_label,
    corrected_level,
    improvement_in,
    judge_every,
    judge_most,
)
from mnmef.scores.bootstrap import LEVEL
from mnmef.scores.comparisons import is_learned, scores_by

ScoreKey = tuple[str, float, str, int]
"""Experiment, noise level, method and ensemble size of a score."""


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
        Our and published numbers of figures 9 to 11, by the names in `mnmef.report.study_claims`, as far as the run
        has them.
    """

    trajectories: pd.DataFrame
    scores: pd.DataFrame
    curves: pd.DataFrame
    seed: int
    training_size: int
    studies: Mapping[str, pd.DataFrame] = field(default_factory=dict)

    @cached_property
    def values(self) -> dict[Any, np.ndarray]:
        """R-RMSE (T,) of each experiment, noise level, method and ensemble size."""
        return scores_by(self.trajectories, KEYS)

    @cached_property
    def published(self) -> dict[Any, float]:
        """Published R-RMSE by the same keys."""
        return self.curves.set_index(KEYS)["rrmse"].to_dict()

    def sizes(self, experiment: str) -> list[tuple[float, int]]:
        """Return noise levels, largest first, and ensemble sizes of `experiment` in this run."""
        part = self.scores[self.scores["experiment"] == experiment]
        return sorted(set(zip(part["sigma_y"], part["ensemble_size"], strict=True)), key=lambda c: (-c[0], c[1]))

    def training_spread(self, experiment: str) -> tuple[int, float]:
        """Return the number of trainings of `experiment`, and Student's t at 95 % times their relative deviation."""
        part = self.scores[(self.scores["experiment"] == experiment) & (self.scores["n_trainings"] > 1)]
        if part.empty:
            return 1, 0.0
        relative = part["rrmse_training_std"] / part["rrmse"]
        count = int(part["n_trainings"].min())
        return count, float(stats.t.ppf(0.5 + LEVEL / 2, count - 1) * relative.max())

    def improvement(self, benchmark: ScoreKey, ours: ScoreKey, level: float) -> Finding:
        """Return the relative improvement of the score at `ours` on that at `benchmark`."""
        experiment, sigma_y, _, size = ours
        trainings, spread = self.training_spread(experiment)
        theirs = 1 - self.published.get(ours, math.nan) / self.published.get(benchmark, math.nan)
        spread = 0.0 if is_learned(benchmark[2]) else spread
        scores = self.values[benchmark], self.values[ours]
        found = improvement_in(cell_label(experiment, sigma_y, size), *scores, self.seed, level, spread)
        return replace(found, published=theirs, trainings=trainings)


BETTER, WORSE = Region(low=0.0), Region(high=0.0)
PAPERS_BENCHMARK, EVERY_CLASSICAL = "the experiment's benchmark", "every classical filter"


@dataclass(frozen=True)
class Comparison:
    """Claimed improvement of a filter on another, at each noise level and ensemble size of a run.

    Parameters
    ----------
    experiments : tuple of str
    measure : str
        Name of the improvement.
    benchmark : str
        A method, `PAPERS_BENCHMARK`, or `EVERY_CLASSICAL` for all that the paper plots (all of them have to be beaten,
        so the best need not be picked).
    ours : str
        Method that improves. One that is its own benchmark is compared with itself at the size of its training.
    sizes : callable
        True for an ensemble size that the claim covers, given that of the training.
    region : Region
        Claimed improvement.
    judge : callable
        `judge_every` cell or `judge_most` of them.
    """

    experiments: tuple[str, ...]
    measure: str
    benchmark: str = PAPERS_BENCHMARK
    ours: str = "mnmef_finetuned"
    sizes: Callable[[int, int], bool] = lambda size, training: True
    region: Region = BETTER
    judge: Callable[[list[Finding], Region, str], Judgement] = judge_every

    def __call__(self, run: ScoredRun) -> Judgement:
        """Judge the claim by the cells that `run` has."""
        pairs = [pair for pair in self._pairs(run) if all(key in run.values for key in pair)]
        findings = [run.improvement(*pair, corrected_level(len(pairs))) for pair in pairs]
        return self.judge(findings, self.region, self.measure.format(training_size=run.training_size))

    def _pairs(self, run: ScoredRun) -> Iterator[tuple[ScoreKey, ScoreKey]]:
        """Yield the keys of the benchmark's and of our score."""
        for experiment in self.experiments:
            plotted = run.curves.loc[run.curves["experiment"] == experiment, "method"].unique()
            names = {
                PAPERS_BENCHMARK: [benchmarks()[experiment]],
                EVERY_CLASSICAL: [name for name in plotted if not is_learned(name)],
            }.get(self.benchmark, [self.benchmark])
            for name in names:
                for level, size in run.sizes(experiment):
                    if self.sizes(size, run.training_size):
                        theirs = run.training_size if name == self.ours else size
                        yield (experiment, level, name, theirs), (experiment, level, self.ours, size)


SAME_WEIGHTS, ON_IENKF = "improvement on the same weights at N = {training_size}", "improvement on IEnKF"


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper in our words, its judge, and the figure that shows it."""

    name: str
    statement: str
    shown_in: str
    judge: Callable[[ScoredRun], Judgement] = field(repr=False)


GRIDDED = (("lorenz96", "Lorenz '96", "figure_1"), ("ks", "KS", "figure_4"))
"""Name, title and figure of the experiments on a grid, on which the paper claims the same."""

CLAIMS: tuple[Claim, ...] = (
    *(
        Claim(
            f"{name}_beats_letkf",
            f"Fine-tuned MNMEF beats LETKF at every N on {title}.",
            figure,
            Comparison((name,), "improvement on LETKF"),
        )
        for name, title, figure in GRIDDED
    ),
    *(
        Claim(
            f"{name}_beats_all",
            f"Fine-tuned MNMEF beats every classical filter at every N on {title}.",
            figure,
            Comparison((name,), "improvement on a classical filter", EVERY_CLASSICAL),
        )
        for name, title, figure in GRIDDED
    ),
    Claim(
        "fifteen_percent",
        "The gain on LETKF is 15 to 30 % in most scenarios of Lorenz '96 and KS (judged: above 15 %).",
        "figure_1, figure_4",
        Comparison(("lorenz96", "ks"), "improvement on LETKF above 15 %", region=Region(low=0.15), judge=judge_most),
    ),
    Claim(
        "tuning_helps_lorenz96",
        "Fine-tuning improves MNMEF at the ensemble sizes that it was not trained at, on Lorenz '96.",
        "figure_1",
        Comparison(("lorenz96",), "improvement by fine-tuning", "mnmef_pretrained", sizes=operator.ne),
    ),
    Claim(
        "tuning_hardly_helps_ks",
        "Fine-tuning hardly helps on KS (judged: it changes R-RMSE by less than 3 %).",
        "figure_4",
        Comparison(("ks",), "improvement by fine-tuning", "mnmef_pretrained", region=Region(-0.03, 0.03)),
    ),
    *(
        Claim(
            f"one_training_{name}",
            f"Weights trained at one N serve larger ensembles, which are better, on {title}.",
            figure,
            Comparison((name,), SAME_WEIGHTS, "mnmef_pretrained", "mnmef_pretrained", operator.gt),
        )
        for name, title, figure in GRIDDED
    ),
    Claim(
        "lorenz63_ienkf",
        "IEnKF beats MNMEF on Lorenz '63 from N = 10 up.",
        "figure_7",
        Comparison(("lorenz63",), ON_IENKF, "ienkf_pertobs", sizes=lambda size, _: size >= 10, region=WORSE),
    ),
    Claim(
        "lorenz63_few",
        "MNMEF beats IEnKF on Lorenz '63 at N = 5.",
        "figure_7",
        Comparison(("lorenz63",), ON_IENKF, "ienkf_pertobs", sizes=lambda size, _: size < 10),
    ),
    Claim(
        "inflation_helps",
        "The learned inflation helps at every N on KS.",
        "figure_9",
        lambda run: inflation_helps(run.studies, run.seed),
    ),
    Claim(
        "weights_decrease",
        "Learned localization weights decrease with distance on Lorenz '96.",
        "figure_10",
        lambda run: weights_decrease(run.studies),
    ),
    Claim(
        "twenty_epochs",
        "20 epochs of fine-tuning suffice (judged: more of them gain less than 2 %).",
        "figure_11",
        lambda run: twenty_epochs_suffice(run.studies, run.seed),
    ),
    Claim(
        "heads_suffice",
        "Fine-tuning the heads alone is as good as fine-tuning all parameters (judged: within 2 %).",
        "figure_11",
        lambda run: heads_suffice(run.studies, run.seed),
    ),
)
"""All claims, in the order of the paper's figures. A new one is an entry here."""

CLAIM_COLUMNS = [
    *("claim", "statement", "verdict", "measure", "cell", "ours", "low", "high", "published"),
    *("n_cells", "n_holding", "n_failing", "scale", "n_trajectories", "n_trainings", "shown_in"),
]


def judge_claims(run: ScoredRun, scale: str, claims: Iterable[Claim] = CLAIMS) -> pd.DataFrame:
    """Judge each claim by a run at a scale.

    Returns
    -------
    DataFrame
        A row for each claim, with `CLAIM_COLUMNS`: the statement, the verdict, the number that decides with its
        interval, the published number in the same cell, and the numbers of cells, trajectories and trainings.
    """
    rows: list[Mapping[str, object]] = [
        {
            "claim": claim.name,
            "statement": claim.statement,
            "shown_in": claim.shown_in,
            "scale": scale,
            "n_trajectories": int(run.scores["n_trajectories"].max()),
            **asdict(claim.judge(run)),
        }
        for claim in claims
    ]
    return pd.DataFrame(rows, columns=CLAIM_COLUMNS)


CLAIM_NOTES = (
    """Numbers are fractions: 0.10 is ten percent. An interval is of 95 %, over test trajectories in pairs; where a
learned filter is compared with a classical one it has the spread over trainings in addition, if there are several.""",
    """A claim about every cell holds if it holds in each at 95 %, and fails if some cell contradicts it at 95 % after
correction for the number of cells; otherwise it is undecided. Cells: holding + failing of all.""",
    """An epoch of fine-tuning is the share of its optimizer steps that falls to one of the epochs in the config, 20 in
the paper, however few steps these are at a small scale.""",
    """Published: the published number in the same cell. A claim that fails at a small scale fails for filters that were
trained and tuned that briefly.""",
)
"""Notes below the table of claims."""


def claims_page(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table of `judge_claims` for readers: one row each, intervals in brackets."""

    def number(value: float) -> str:
        return "-" if pd.isna(value) else f"{value:.3f}"

    return pd.DataFrame(
        {
            "claim": table["statement"],
            "verdict": [f"**{verdict}**" for verdict in table["verdict"]],
            "number": [m + (f" ({c})" if c else "") for m, c in zip(table["measure"], table["cell"], strict=True)],
            "ours [95 %]": [f"{number(r.ours)} [{number(r.low)}, {number(r.high)}]" for r in table.itertuples()],
            "published": [number(value) for value in table["published"]],
            "cells": [f"{r.n_holding} + {r.n_failing} of {r.n_cells}" for r in table.itertuples()],
            "trainings": table["n_trainings"],
            "shown in": table["shown_in"],
        }
    )
