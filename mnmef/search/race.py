"""A race of settings: all of them run a short course, clear losers leave, and the rest run longer and longer ones.

All settings of a round meet the same trials, and scores are compared trial by trial. Differences between trials cancel,
so that a few trials are enough to recognize a loser.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mnmef.assimilation.metrics import mean_over_survivors


@dataclass(frozen=True)
class Round:
    """A round before the final one.

    Parameters
    ----------
    trials : int
        Number of leading trials.
    cycles : int
        Number of cycles, after the burn-in, that scores average over.
    keep : int
        Largest number of settings that stay.
    """

    trials: int
    cycles: int
    keep: int


@dataclass(frozen=True)
class Race:
    """Rules of a race.

    Parameters
    ----------
    trials : int
        Trials of the final round, in which settings run all cycles.
    cycles : int or None
        Cap on the cycles of a trial, for tests (the burn-in shrinks in proportion); None for the published number.
    rounds : tuple of Round
        Rounds before the final one; without any, every setting runs the full course.
    standard_errors, fraction : float
        A setting leaves if it is worse than the best one of its round by more than so many standard errors of the
        paired difference and by more than this fraction of the best score. Standard errors alone would also drop
        settings that are worse by next to nothing, if their scores vary together.
    """

    trials: int = 64
    cycles: int | None = None
    rounds: tuple[Round, ...] = (Round(trials=4, cycles=150, keep=8), Round(trials=16, cycles=400, keep=2))
    standard_errors: float = 3.0
    fraction: float = 0.02


def race_of(settings: Mapping[str, Any]) -> Race:
    """Make a race from the section `published` of the config."""
    return Race(**{**settings, "rounds": tuple(Round(**entry) for entry in settings["rounds"])})


def ranking(scores: np.ndarray) -> np.ndarray:
    """Return positions of settings from best to worst, by scores (S, T) that are NaN where a trial diverged.

    Fewest diverged trials first, then the smallest mean over the others; ties keep their order.
    """
    means = np.array([mean_over_survivors(row)[0] for row in scores])
    return np.lexsort((means, np.isnan(scores).sum(-1)))


def survivors(scores: np.ndarray, keep: int, standard_errors: float, fraction: float) -> np.ndarray:
    """Return positions, best first, of the settings that stay after a round with scores (S, T), NaN where diverged.

    A setting leaves if more of its trials diverged than of the best one's, or if it is clearly worse than the best one
    (see `Race`) on the trials that both survived; of those left, the best `keep` stay.
    """
    order = ranking(scores)
    best = scores[order[0]]
    allowed = np.isnan(best).sum()
    margin = fraction * mean_over_survivors(best)[0]
    staying = []
    for i in order:
        mean, deviation, missing = mean_over_survivors(scores[i] - best)
        count = scores.shape[-1] - missing
        # One common trial has no spread, so it tells nothing.
        worse = count > 1 and mean > margin and mean > standard_errors * deviation / count**0.5
        if np.isnan(scores[i]).sum() == allowed and not worse:
            staying.append(i)
    return np.array(staying[:keep])
