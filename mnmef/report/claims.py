"""The sentences of the paper that are claims, and what this run says of each.

How numbers become verdicts is in `mnmef.report.verdicts`. Intervals are over test trajectories in pairs
(`mnmef.scores.bootstrap`). Where a learned filter is compared with a classical one, what another training would change
is added in quadrature: Student's t times the standard deviation over trainings of the pretrained filter, the largest
relative one of its system. With a single training that is unknown and nothing is added, which the number of trainings
beside the verdict shows. A fine-tuned and a pretrained filter share a training.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from mnmef.data.published import KEYS
from mnmef.report.study_claims import heads_suffice, inflation_helps, twenty_epochs_suffice, weights_decrease
from mnmef.report.verdicts import Cell, Judgement, Region, corrected_level, every, most, paired_cell
from mnmef.scores.bootstrap import LEVEL
from mnmef.scores.comparisons import BENCHMARKS, is_learned


@dataclass(frozen=True)
class Run:
    """What claims are judged by: the tables of a run, the published curves, and the seed of the bootstrap.

    trajectories, scores: `trajectories.csv` and `scores.csv`. curves: R-RMSE of figures 1, 4 and 7. studies: what
    figures 9 to 11 show, ours and published, by the names that `mnmef.report.study_claims` gives, as far as the run has
    them.
    """

    trajectories: pd.DataFrame
    scores: pd.DataFrame
    curves: pd.DataFrame
    seed: int
    training_size: int
    studies: Mapping[str, pd.DataFrame] = field(default_factory=dict)

    @cached_property
    def values(self) -> dict[Any, np.ndarray]:
        """R-RMSE (T,) of each system, noise level, method and ensemble size."""
        ordered = self.trajectories.sort_values("trajectory")
        return {key: part["rrmse"].to_numpy() for key, part in ordered.groupby(KEYS, sort=False)}

    @cached_property
    def published(self) -> dict[Any, float]:
        """Published R-RMSE by the same keys."""
        return self.curves.set_index(KEYS)["rrmse"].to_dict()

    def sizes(self, system: str) -> list[tuple[float, int]]:
        """Noise levels, largest first, and ensemble sizes of `system` in this run."""
        part = self.scores[self.scores["system"] == system]
        return sorted(set(zip(part["sigma_y"], part["ensemble_size"], strict=True)), key=lambda c: (-c[0], c[1]))

    def training_spread(self, system: str) -> tuple[int, float]:
        """Trainings of a setting of `system`, and Student's t at 95 % times the relative deviation over them."""
        part = self.scores[(self.scores["system"] == system) & (self.scores["n_trainings"] > 1)]
        if part.empty:
            return 1, 0.0
        relative = part["rrmse_training_std"] / part["rrmse"]
        count = int(part["n_trainings"].min())
        return count, float(stats.t.ppf(0.5 + LEVEL / 2, count - 1) * relative.max())


@dataclass(frozen=True)
class Pair:
    """Two filters in one cell; the benchmark may have another ensemble size."""

    system: str
    sigma_y: float
    size: int
    ours: str
    benchmark: str
    benchmark_size: int | None = None

    @property
    def keys(self) -> tuple[tuple[str, float, str, int], tuple[str, float, str, int]]:
        """Keys of the benchmark's and of our score."""
        size = self.benchmark_size or self.size
        return (self.system, self.sigma_y, self.benchmark, size), (self.system, self.sigma_y, self.ours, self.size)


def improvement_cells(run: Run, pairs: Iterable[Pair]) -> list[Cell]:
    """The relative improvement of ours on the benchmark for those of `pairs` that the run has."""
    known = [pair for pair in pairs if all(key in run.values for key in pair.keys)]
    return [_improvement_cell(run, pair, level=corrected_level(len(known))) for pair in known]


def _improvement_cell(run: Run, pair: Pair, level: float) -> Cell:
    benchmark, ours = pair.keys
    trainings, spread = run.training_spread(pair.system)
    theirs = 1 - run.published.get(ours, math.nan) / run.published.get(benchmark, math.nan)
    label = f"{pair.system}, sigma_y = {pair.sigma_y:g}, N = {pair.size}"
    scores = run.values[benchmark], run.values[ours]
    spread = 0.0 if is_learned(pair.benchmark) else spread
    return replace(paired_cell(label, *scores, run.seed, level, spread), published=theirs, trainings=trainings)


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper in our words, how it is judged, and what shows it."""

    name: str
    statement: str
    shown_in: str
    judge: Callable[[Run], Judgement] = field(repr=False)


def _pairs(
    run: Run, system: str, ours: str, benchmark: str, allowed: Callable[[int], bool] = lambda _: True
) -> list[Pair]:
    return [Pair(system, level, size, ours, benchmark) for level, size in run.sizes(system) if allowed(size)]


def _beats_benchmark(system: str) -> Callable[[Run], Judgement]:
    def judge(run: Run) -> Judgement:
        cells = improvement_cells(run, _pairs(run, system, "mnmef_tuned", BENCHMARKS[system]))
        return every(cells, Region(low=0.0), "improvement on LETKF")

    return judge


def _beats_all_classical(system: str) -> Callable[[Run], Judgement]:
    def judge(run: Run) -> Judgement:
        # The filters that the paper plots; all of them have to be beaten, so the best need not be picked.
        plotted = run.curves.loc[run.curves["system"] == system, "method"].unique()
        pairs = [p for name in plotted if not is_learned(name) for p in _pairs(run, system, "mnmef_tuned", name)]
        return every(improvement_cells(run, pairs), Region(low=0.0), "improvement on a classical filter")

    return judge


def _fifteen_percent(run: Run) -> Judgement:
    pairs = [p for system in ("lorenz96", "ks") for p in _pairs(run, system, "mnmef_tuned", BENCHMARKS[system])]
    return most(improvement_cells(run, pairs), Region(low=0.15), "improvement on LETKF above 15 %")


def _tuning_helps(system: str) -> Callable[[Run], Judgement]:
    def judge(run: Run) -> Judgement:
        pairs = _pairs(run, system, "mnmef_tuned", "mnmef_pretrained", lambda size: size != run.training_size)
        return every(improvement_cells(run, pairs), Region(low=0.0), "improvement by fine-tuning")

    return judge


def _tuning_hardly_matters(run: Run) -> Judgement:
    cells = improvement_cells(run, _pairs(run, "ks", "mnmef_tuned", "mnmef_pretrained"))
    return every(cells, Region(-0.03, 0.03), "improvement by fine-tuning")


def _one_training_serves(system: str) -> Callable[[Run], Judgement]:
    def judge(run: Run) -> Judgement:
        pairs = _pairs(run, system, "mnmef_pretrained", "mnmef_pretrained", lambda size: size > run.training_size)
        cells = improvement_cells(run, [replace(pair, benchmark_size=run.training_size) for pair in pairs])
        return every(cells, Region(low=0.0), f"improvement on the same weights at N = {run.training_size}")

    return judge


def _iterative_wins(run: Run) -> Judgement:
    pairs = _pairs(run, "lorenz63", "mnmef_tuned", "ienkf_pertobs", lambda size: size >= 10)
    return every(improvement_cells(run, pairs), Region(high=0.0), "improvement on IEnKF")


def _learned_wins_with_few(run: Run) -> Judgement:
    pairs = _pairs(run, "lorenz63", "mnmef_tuned", "ienkf_pertobs", lambda size: size < 10)
    return every(improvement_cells(run, pairs), Region(low=0.0), "improvement on IEnKF")


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "lorenz96_beats_letkf",
        "Fine-tuned MNMEF beats LETKF at every N on Lorenz '96.",
        "figure_1",
        _beats_benchmark("lorenz96"),
    ),
    Claim("ks_beats_letkf", "Fine-tuned MNMEF beats LETKF at every N on KS.", "figure_4", _beats_benchmark("ks")),
    Claim(
        "lorenz96_beats_all",
        "Fine-tuned MNMEF beats every classical filter at every N on Lorenz '96.",
        "figure_1",
        _beats_all_classical("lorenz96"),
    ),
    Claim(
        "ks_beats_all",
        "Fine-tuned MNMEF beats every classical filter at every N on KS.",
        "figure_4",
        _beats_all_classical("ks"),
    ),
    Claim(
        "fifteen_percent",
        "The gain on LETKF is 15 to 30 % in most scenarios of Lorenz '96 and KS (judged: above 15 %).",
        "figure_1, figure_4",
        _fifteen_percent,
    ),
    Claim(
        "tuning_helps_lorenz96",
        "Fine-tuning improves MNMEF at the ensemble sizes that it was not trained at, on Lorenz '96.",
        "figure_1",
        _tuning_helps("lorenz96"),
    ),
    Claim(
        "tuning_hardly_helps_ks",
        "Fine-tuning hardly helps on KS (judged: it changes R-RMSE by less than 3 %).",
        "figure_4",
        _tuning_hardly_matters,
    ),
    Claim(
        "one_training_lorenz96",
        "Weights trained at one N serve larger ensembles, which are better, on Lorenz '96.",
        "figure_1",
        _one_training_serves("lorenz96"),
    ),
    Claim(
        "one_training_ks",
        "Weights trained at one N serve larger ensembles, which are better, on KS.",
        "figure_4",
        _one_training_serves("ks"),
    ),
    Claim("lorenz63_ienkf", "IEnKF beats MNMEF on Lorenz '63 from N = 10 up.", "figure_7", _iterative_wins),
    Claim("lorenz63_few", "MNMEF beats IEnKF on Lorenz '63 at N = 5.", "figure_7", _learned_wins_with_few),
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
"""All claims, in the order of the paper's figures. A new one is a line here and a function of the run above."""

CLAIM_COLUMNS = [
    *("claim", "statement", "verdict", "measure", "cell", "ours", "low", "high", "published"),
    *("n_cells", "n_holding", "n_failing", "scale", "n_trajectories", "n_trainings", "shown_in"),
]


def judge_claims(run: Run, scale: str, claims: Iterable[Claim] = CLAIMS) -> pd.DataFrame:
    """One row for each claim: what was claimed, the verdict, the number that decides with its interval, the published
    number in the same cell, and how much of what the verdict rests on.
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
"""What a reader of the table of claims has to know."""


def claims_page(table: pd.DataFrame) -> pd.DataFrame:
    """The table of `judge_claims` for readers: one row each, intervals in brackets."""

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
