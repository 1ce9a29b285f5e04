"""An experiment of one's own in a folder outside the repository."""

import re
import shutil

import pandas as pd
import pytest

LAKE_YAML = """\
title: "Lorenz '84"
system: {name: lake_model.py:Lake, step_size: 0.05}
observation: {function: lake_seen.py:sensor, sites: [0], missing: 0.2}
steps_per_cycle: 2
bound: 10.0
first_spread: 0.5
burn_in_time: 20.0
grid: null
benchmark: esrf
baselines: [enkf, letkf]
filters: [{name: lake_filter.py:Relaxed, inflation: 1.02, search: {share: [0.0, 0.5]}}]
search: {engine: batched, localization_radius: {5: [1, 3], 10: [1, 3]}}
"""
LAKE_MODEL = '''\
"""Lorenz '84 in NumPy."""

import numpy as np

from lake_constants import A, B, F, G


class Lake:
    """A black box."""

    state_size = 3
    coordinates = [[0.0, 0.0], [1.0, 0.0], [1.0, 2.0]]

    def __init__(self, step_size):
        self.step_size = step_size

    def step(self, state):
        first = tendency(state)
        return state + 0.5 * self.step_size * (first + tendency(state + self.step_size * first))

    def initial_states(self, count, rng):
        return np.array([1.0, 0.0, 0.0]) + rng.standard_normal((count, 3))


def tendency(state):
    x, y, z = state.T
    return np.stack((-y * y - z * z - A * x + A * F, x * y - B * x * z - y + G, B * x * y + x * z - z), axis=-1)
'''
SEEN = "import numpy as np\n\n\ndef sensor(states):\n    return np.arctan(states[:, :1])\n"
FILTER = '''\
"""The square-root filter, with half of the way back to the forecast's anomalies."""

from mnmef.filters.base import Filter, ensemble_mean
from mnmef.filters.esrf import ESRF


class Relaxed(Filter):
    """A filter of the user's."""

    def __init__(self, sigma_y, inflation=1.0, share=0.5):
        self.inner, self.share = ESRF(sigma_y, inflation), share

    def analyze(self, forecast, observation, experiment, noise=None):
        analysis = self.inner.analyze(forecast, observation, experiment)
        return analysis + self.share * ((forecast - ensemble_mean(forecast)) - (analysis - ensemble_mean(analysis)))
'''
CONSTANTS = "A, B, F, G = 0.25, 4.0, 8.0, 1.0\n"
TARGETS = ("results/quick/figures/curves_lake.png", "results/quick/scores.csv")
AFTER_AN_EDIT_OF_A_FILTER = {"search_filter", "evaluate_filter", "score_filters", "plot_curves"}
AFTER_AN_EDIT = {"simulate_data", "search_baseline", "evaluate_baseline"} | AFTER_AN_EDIT_OF_A_FILTER


@pytest.fixture(scope="module")
def run(tmp_path_factory, copy_sources, snakemake):
    """A function that runs Snakemake in the user's folder, which lies beside a copy of the repository."""
    place = tmp_path_factory.mktemp("outside")
    tree, folder = copy_sources(place / "tree"), place / "mine"
    folder.mkdir()
    (folder / "lake.yaml").write_text(LAKE_YAML)
    (folder / "lake_model.py").write_text(LAKE_MODEL)
    (folder / "lake_constants.py").write_text(CONSTANTS)
    (folder / "lake_seen.py").write_text(SEEN)
    (folder / "lake_filter.py").write_text(FILTER)
    config = ("--config", "experiments=[lake.yaml]", "learned=[]", "scale=quick")
    workflow = ("-s", str(tree / "Snakefile"), "--directory", ".", "--cores", "2")

    def start(*arguments):
        return snakemake(folder, *arguments, *workflow, *config)

    start.folder, start.tree = folder, tree
    return start


@pytest.fixture(scope="module")
def finished(run):
    """The user's folder after a run."""
    done = run(*TARGETS)
    assert done.returncode == 0, done.stdout[-8000:]
    return run.folder


@pytest.fixture
def planned(run, finished):
    """A function that says which rules would run again."""

    def jobs():
        plan = run(*TARGETS, "--dry-run")
        assert plan.returncode == 0, plan.stdout
        table = re.search(r"Job stats:(.*?)total", plan.stdout, flags=re.DOTALL)
        assert table or "Nothing to be done" in plan.stdout, plan.stdout
        return set(re.findall(r"^(\w+) +\d+$", table[1], flags=re.MULTILINE)) if table else set()

    return jobs


def test_one_command_makes_curves_and_scores_in_the_folder_of_the_user(run, finished):
    assert (finished / TARGETS[0]).read_bytes().startswith(b"\x89PNG")
    scores = pd.read_csv(finished / TARGETS[1])
    assert set(scores["experiment"]) == {"lake"}
    assert set(scores["method"]) == {"enkf", "letkf", "Relaxed"}
    assert scores["rrmse"].notna().all()
    assert not (run.tree / "results").exists()
    grid, best = (pd.read_csv(finished / f"results/quick/search/lake_1.0_Relaxed_{n}.csv") for n in ("grid", "best"))
    assert sorted(grid["share"].unique()) == [0.0, 0.5]
    least = grid.loc[grid.groupby("ensemble_size")["rrmse"].idxmin()].set_index("ensemble_size")
    assert best.set_index("ensemble_size")["share"].to_dict() == least["share"].to_dict()


def test_a_second_command_does_nothing(planned):
    assert planned() == set()


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("lake_model.py", "0.5 * self", "0.49 * self", AFTER_AN_EDIT),
        ("lake_constants.py", "8.0", "7.9", AFTER_AN_EDIT),
        ("lake_seen.py", "states[:, :1]", "states[:, 1:2]", AFTER_AN_EDIT),
        ("lake_filter.py", "return analysis +", "return analysis + 1e-9 +", AFTER_AN_EDIT_OF_A_FILTER),
        ("lake_filter.py", "A filter of", "Filter of", set()),
        ("lake.yaml", "inflation: 1.02", "inflation: 1.03", AFTER_AN_EDIT_OF_A_FILTER),
        ("lake_model.py", "A black box.", "In NumPy.", set()),
        ("lake.yaml", "first_spread: 0.5", "first_spread: 0.6", AFTER_AN_EDIT),
    ],
)
def test_an_edit_of_code_reruns_from_the_data_on(finished, planned, file, old, new, expected):
    text = (finished / file).read_text()
    assert old in text
    (finished / file).write_text(text.replace(old, new))
    try:
        assert planned() - {"all"} == expected
    finally:
        (finished / file).write_text(text)


def test_results_are_below_the_folder_of_the_user_and_all_else_below_the_checkout(run, finished):
    plan = run("--dry-run")
    assert plan.returncode == 0, plan.stdout
    assert "results_page" in plan.stdout
    inputs = re.findall(r"(?:^|[ ,])(\S*(?:resources|docs|mnmef)/\S+?)(?=,|$)", plan.stdout, flags=re.MULTILINE)
    assert all(path.startswith(str(run.tree)) for path in inputs), inputs


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("lake_model.py", "return state +", "return state[:, 0] if True else", "returned the shape"),
        ("lake_filter.py", "return analysis", "return forecast[..., :1]  #", "the analysis is"),
        ("lake.yaml", "sites: [0]", "sites: [0], noise: [[-1]]", "must be positive definite"),
    ],
)
def test_what_only_a_run_of_the_model_shows_stops_before_the_first_job(run, finished, file, old, new, said):
    text = (finished / file).read_text()
    assert old in text
    (finished / file).write_text(text.replace(old, new))
    try:
        refused = run(*TARGETS)
    finally:
        (finished / file).write_text(text)
    assert refused.returncode != 0
    assert "The experiment lake cannot be used" in refused.stdout
    assert said in refused.stdout
    assert "simulate_data:" not in refused.stdout.partition("The experiment lake cannot be used")[2]


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("lake_model.py", "class Pond:\n    pass\n", "Known: Pond"),
        ("lake_model.py", "class Lake\n", "line 1"),
        ("lake_model.py", None, "cannot be read"),
        ("lake_seen.py", "def sensors(states):\n    pass\n", "Did you mean 'sensors'"),
        ("lake_filter.py", "class Relax:\n    pass\n", "Did you mean 'Relax'"),
        ("lake_model.py", LAKE_MODEL.replace("coordinates", "positions"), "no spatial grid"),
    ],
)
def test_bad_files_are_refused_before_any_job(run, finished, file, content, said):
    kept = finished / "kept"
    shutil.move(finished / file, kept)
    try:
        if content is not None:
            (finished / file).write_text(content)
        refused = run("--dry-run", *TARGETS)
    finally:
        shutil.move(kept, finished / file)
    assert refused.returncode != 0
    assert "The config cannot be used" in refused.stdout
    assert said in refused.stdout
