"""Verdicts: from numbers with intervals in cells to what is said of a claim about all of them.

A claim is about cells, one for each system, noise level and ensemble size that it speaks of. In a cell a number, mostly
a relative improvement, is claimed to lie in a region. The number holds if its whole interval lies in the region, fails
if its whole interval lies outside, and is undecided otherwise. A claim about every cell

- holds if every cell holds at 95 %, which needs no correction: the claim is the intersection of the cells';
- fails if some cell fails, with the interval of each cell at 1 - 5 % / (number of cells) (Bonferroni), so that one
  unlucky cell among many does not bring it down (with few trajectories, as far as their extremes reach);
- is undecided otherwise.

A claim about most cells holds if more than half of them hold, and fails if more than half fail.
"""

import math
from dataclasses import dataclass

import numpy as np

from mnmef.scores.bootstrap import LEVEL, improvement_with_interval

HOLDS, FAILS, UNDECIDED, NOT_RUN = "holds", "fails", "undecided", "not run"
INFINITY = math.inf


def corrected_level(cells: int) -> float:
    """The level of each of `cells` intervals that together have 95 % (Bonferroni)."""
    return 1 - (1 - LEVEL) / max(1, cells)


@dataclass(frozen=True)
class Cell:
    """A number of one cell with its interval at 95 %, the wider one at the corrected level, and the published number
    (NaN where there is none); trainings: how many the learned filter's spread comes from.
    """

    label: str
    value: float
    low: float
    high: float
    wide_low: float
    wide_high: float
    published: float = math.nan
    trainings: int = 1


def paired_cell(
    label: str, benchmark: np.ndarray, ours: np.ndarray, seed: int, level: float, spread: float = 0.0
) -> Cell:
    """The improvement of the paired scores `ours` (T,) on `benchmark` (T,), its intervals at 95 % and at `level`
    widened in quadrature by what the relative deviation `spread` of ours makes of it.
    """
    narrow, wide = (improvement_with_interval(benchmark, ours, seed, level=used) for used in (LEVEL, level))
    margin = (1 - narrow.value) * spread
    low, high, wide_low, wide_high = (
        _widened(estimate.value, end, margin) for estimate in (narrow, wide) for end in (estimate.low, estimate.high)
    )
    return Cell(label, narrow.value, low, high, wide_low, wide_high)


def _widened(value: float, end: float, margin: float) -> float:
    return value + math.copysign(math.hypot(end - value, margin), end - value)


@dataclass(frozen=True)
class Region:
    """Where a number is claimed to lie, open at both ends."""

    low: float = -INFINITY
    high: float = INFINITY

    def verdict(self, low: float, high: float) -> str:
        """Whether the interval from `low` to `high` lies in the region, outside, or neither; NaN is undecided."""
        if low > self.low and high < self.high:
            return HOLDS
        return FAILS if high <= self.low or low >= self.high else UNDECIDED

    def margin(self, value: float) -> float:
        """How far inside `value` lies, negative outside."""
        return min(value - self.low, self.high - value)


@dataclass(frozen=True)
class Judgement:
    """What is said of a claim: the number that decides (`measure` says which), its interval, the published one."""

    verdict: str
    measure: str
    cell: str = ""
    ours: float = math.nan
    low: float = math.nan
    high: float = math.nan
    published: float = math.nan
    n_cells: int = 0
    n_holding: int = 0
    n_failing: int = 0
    n_trainings: int = 0


def every(cells: list[Cell], region: Region, measure: str) -> Judgement:
    """Judge that the number lies in `region` in every cell; the one that is said is the least favorable."""
    if not cells:
        return Judgement(NOT_RUN, measure)
    holding = sum(region.verdict(c.low, c.high) == HOLDS for c in cells)
    failing = sum(region.verdict(c.wide_low, c.wide_high) == FAILS for c in cells)
    verdict = HOLDS if holding == len(cells) else FAILS if failing else UNDECIDED
    worst = min(cells, key=lambda c: region.margin(c.value))
    return Judgement(
        verdict,
        f"{measure}, least favorable cell",
        *(worst.label, worst.value, worst.low, worst.high, worst.published),
        *(len(cells), holding, failing, min(c.trainings for c in cells)),
    )


def most(cells: list[Cell], region: Region, measure: str) -> Judgement:
    """Judge that the number lies in `region` in more than half of the cells; said is the share of cells in which it
    does, from those that hold to those that do not fail.
    """
    if not cells:
        return Judgement(NOT_RUN, measure)
    verdicts = [region.verdict(c.low, c.high) for c in cells]
    holding, failing = verdicts.count(HOLDS), verdicts.count(FAILS)
    verdict = HOLDS if 2 * holding > len(cells) else FAILS if 2 * failing > len(cells) else UNDECIDED
    ours, published = (
        float(np.mean([region.margin(number) > 0 for number in numbers]))
        for numbers in ([c.value for c in cells], [c.published for c in cells])
    )
    return Judgement(
        verdict,
        f"share of cells with {measure}",
        *("all", ours, holding / len(cells), 1 - failing / len(cells), published),
        *(len(cells), holding, failing, min(c.trainings for c in cells)),
    )
