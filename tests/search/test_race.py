"""Who leaves a race and who stays, on made-up scores."""

import itertools
from dataclasses import asdict

import numpy as np
import yaml

from mnmef.search.race import Race, race_of, ranking, survivors

RNG = np.random.default_rng(3)
TRIALS = RNG.normal(10.0, 2.0, size=8)  # what the trials have in common
RULE = {"keep": 99, "standard_errors": 3.0, "fraction": 0.02}


def staying(*scores, **change):
    return survivors(np.stack(scores), **RULE | change).tolist()


def test_the_ranking_is_that_of_all_pairs():
    scores = RNG.normal(1.0, 0.1, size=(30, 4))
    scores[RNG.random(scores.shape) < 0.3] = np.nan
    scores[4] = np.nan

    def loses(i, j):
        lost_i, lost_j = np.isnan(scores[i]).sum(), np.isnan(scores[j]).sum()
        return lost_i > lost_j or (lost_i == lost_j < 4 and np.nanmean(scores[i]) > np.nanmean(scores[j]))

    for i, j in itertools.combinations(ranking(scores), 2):
        assert not loses(i, j)


def test_a_clear_loser_leaves_although_its_scores_overlap_with_those_of_the_best():
    # 5 % worse in every trial, while trials differ by 20 %: only the paired difference tells.
    loser = 1.05 * TRIALS + RNG.normal(0.0, 0.02, size=8)
    assert loser.min() < TRIALS.max()
    assert staying(loser, TRIALS) == [1]


def test_a_statistical_tie_stays():
    noise = np.array([3.0, -2.0, 1.0, 2.0, -2.0, 3.0, -1.0, 2.0])
    difference = noise.mean()
    assert 0.02 * TRIALS.mean() < difference < 3 * noise.std(ddof=1) / 8**0.5
    assert staying(TRIALS + noise, TRIALS) == [1, 0]
    assert staying(TRIALS + noise, TRIALS, standard_errors=1.0) == [1]


def test_a_loss_that_is_certain_but_below_the_fraction_stays():
    assert staying(1.019 * TRIALS, TRIALS) == [1, 0]
    assert staying(1.021 * TRIALS, TRIALS) == [1]
    assert staying(1.019 * TRIALS, TRIALS, fraction=0.01) == [1]


def test_a_setting_with_more_diverged_trials_than_the_best_leaves_however_good_the_others_are():
    diverged = 0.5 * TRIALS
    diverged[3] = np.nan
    assert staying(diverged, TRIALS) == [1]


def test_where_all_diverge_the_fewest_count_and_the_trials_that_both_survived_decide():
    one, other, worse, twice = (TRIALS.copy() for _ in range(4))
    one[0] = other[7] = worse[5] = twice[:2] = np.nan
    worse *= 1.5
    assert sorted(staying(one, other, worse, twice)) == [0, 1]


def test_without_two_common_trials_nothing_is_known():
    scores = np.array([[1.0, np.nan, np.nan], [np.nan, np.nan, 5.0], [np.nan, np.nan, np.nan]])
    assert staying(*scores) == [0, 1]
    assert staying(*np.full((3, 4), np.nan), keep=2) == [0, 1]


def test_no_more_than_the_best_few_stay_in_their_order():
    scores = [TRIALS + shift for shift in (0.04, 0.0, 0.03, 0.01, 0.02)]
    assert staying(*scores, keep=3) == [1, 3, 4]
    assert staying(*scores, keep=1) == [1]


def test_the_best_never_leaves():
    for _ in range(50):
        scores = RNG.normal(1.0, 0.3, size=(12, 4))
        scores[RNG.random(scores.shape) < 0.1] = np.nan
        assert survivors(scores, 5, 0.0, 0.0)[0] == ranking(scores)[0]


def test_the_defaults_are_those_of_the_config(root):
    section = yaml.safe_load((root / "config.yaml").read_text())["published"]
    assert race_of(section) == Race()
    assert race_of(asdict(Race(cycles=7))) == Race(cycles=7)
