"""Verdicts on claims, from numbers with intervals in cells.

A claim is about cells, one for each experiment, noise level and ensemble size that it speaks of. In a cell a number,
mostly a relative improvement, is claimed to lie in a region. The number holds if its whole interval lies in the region,
fails if its whole interval lies outside, and is undecided otherwise. A claim about every cell

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

Interval = tuple[float, float]
HOLDS, FAILS, UNDECIDED, NOT_RUN = "holds", "fails", "undecided", "not run"


def corrected_level(cells: int) -> float:
    """Return the level of each of `cells` intervals that together have 95 % (Bonferroni)."""
    return 1 - (1 - LEVEL) / max(1, cells)


def cell_label(experiment: object, sigma_y: float, size: int) -> str:
    """Return how a verdict names a cell."""
    return f"{experiment}, sigma_y = {sigma_y:g}, N = {size}"


@dataclass(frozen=True)
class Finding:
    """A number in one cell, with its interval at 95 % and the wider one at the corrected level.

    Parameters
    ----------
    label : str
        Name of the cell.
    value : float
    interval, wide : pair of float
        Ends of the intervals.
    published : float
        The published number, NaN where there is none.
    trainings : int
        Number of trainings behind the spread of the learned filter.
    """

    label: str
    value: float
    interval: Interval
    wide: Interval
    published: float = math.nan
    trainings: int = 1


def improvement_in(
    label: str, benchmark: np.ndarray, ours: np.ndarray, seed: int, level: float, spread: float = 0.0
) -> Finding:
    """Return the improvement of the paired scores `ours` (T,) on `benchmark` (T,) in the cell `label`.

    Its intervals, at 95 % and at `level`, are widened in quadrature by the relative deviation `spread` of ours.
    """
    estimates = [improvement_with_interval(benchmark, ours, seed, level=used) for used in (LEVEL, level)]
    value = estimates[0].value
    margin = (1 - value) * spread

    def widened(end: float) -> float:
        return value + math.copysign(math.hypot(end - value, margin), end - value)

    interval, wide = ((widened(estimate.low), widened(estimate.high)) for estimate in estimates)
    return Finding(label, value, interval, wide)


@dataclass(frozen=True)
class Region:
    """Interval in which a number is claimed to lie, open at both ends."""

    low: float = -math.inf
    high: float = math.inf

    def verdict(self, interval: Interval) -> str:
        """Return the verdict on an interval: it lies in the region, outside, or neither; NaN is undecided."""
        low, high = interval
        if low > self.low and high < self.high:
            return HOLDS
        return FAILS if high <= self.low or low >= self.high else UNDECIDED

    def margin(self, value: float) -> float:
        """Return the distance of `value` from the region's nearer end, negative outside."""
        return min(value - self.low, self.high - value)


@dataclass(frozen=True)
class Judgement:
    """Verdict on a claim, with the number that decides (`measure` names it), its interval and the published one.

    needs: what would decide it, if nothing does.
    """

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
    needs: str = ""


def what_decides(findings: list[Finding], region: Region) -> str:
    """Return what the undecided cells need, as intervals shrink with the root of the number of trajectories."""
    times = 1.0
    for found in findings:
        margin = region.margin(found.value)
        interval = found.wide if margin < 0 else found.interval
        if region.verdict(interval) == UNDECIDED:
            half = max(abs(end - found.value) for end in interval)
            times = max(times, (half / margin) ** 2 if abs(margin) > 0 else math.inf)
    if times > 100:
        return "A cell lies at the limit: longer trainings may move it, more test trajectories hardly decide it."
    return f"About {math.ceil(times)} times the test trajectories would decide each cell, if its number stays."


def judge_cells(findings: list[Finding], region: Region, measure: str, *, most: bool = False) -> Judgement:
    """Judge that the number lies in `region` in every cell or in most of them; "not run" without any.

    Reported is the least favorable cell or, for most of them, the share of cells in which the number does; the interval
    of a share goes from the cells that hold to those that do not fail.
    """
    if not findings:
        return Judgement(NOT_RUN, measure)
    count = len(findings)
    holding = sum(region.verdict(found.interval) == HOLDS for found in findings)
    failing = sum(region.verdict(found.interval if most else found.wide) == FAILS for found in findings)
    if most:
        holds, fails = 2 * holding > count, 2 * failing > count
        ours = float(np.mean([region.margin(found.value) > 0 for found in findings]))
        published = float(np.mean([region.margin(found.published) > 0 for found in findings]))
        reported = (f"share of cells with {measure}", "all", ours, holding / count, 1 - failing / count, published)
    else:
        holds, fails = holding == count, failing > 0
        worst = min(findings, key=lambda found: region.margin(found.value))
        measure = f"{measure}, least favorable cell"
        reported = (measure, worst.label, worst.value, *worst.interval, worst.published)
    verdict = HOLDS if holds else FAILS if fails else UNDECIDED
    trainings = min(found.trainings for found in findings)
    needs = what_decides(findings, region) if verdict == UNDECIDED else ""
    return Judgement(verdict, *reported, count, holding, failing, trainings, needs)
