"""A system, a pattern of observations and a filter of one's own: how many files that takes, and that they run."""

import filecmp
from pathlib import Path

import pytest

SYSTEM = '''"""Lorenz (1984): three variables of an atmosphere in general circulation."""

import numpy as np
import torch

from mnmef.systems.base import System, runge_kutta_4


class Lorenz84(System):
    """`x' = -y^2 - z^2 - a x + a F, y' = x y - b x z - y + G, z' = b x y + x z - z`."""

    name = "lorenz84"
    title = "Lorenz '84"
    state_size = 3

    def __init__(self, step_size=0.05):
        self.step_size = step_size

    def tendency(self, state):
        x, y, z = state.unbind(-1)
        return torch.stack((-y * y - z * z - 0.25 * x + 2.0, x * y - 4 * x * z - y + 1.0, 4 * x * y + x * z - z), -1)

    def step(self, state):
        return runge_kutta_4(self.tendency, state, self.step_size)

    def initial_states(self, count, rng):
        return rng.standard_normal((count, 3))
'''
EXPERIMENT = """title: "Lorenz '84"
system: {name: lorenz84, step_size: 0.05}
observation: {components: [0, 2]}
steps_per_cycle: 2
bound: 10.0
first_spread: 0.5
burn_in_time: 20.0
grid: null
benchmark: enkf
baselines: [enkf, optimal]
search: {engine: batched}
"""
FILTER = '''"""Optimal interpolation with the covariance of the first ensemble's size."""

from mnmef.filters.base import Filter


class Optimal(Filter):
    """Every observed component moves half of the way to its observation."""

    name = "optimal"

    def analyze(self, forecast, observation, experiment, noise=None):
        analysis = forecast.clone()
        index = experiment.observation_index()
        analysis[..., index] += 0.5 * (observation.unsqueeze(-2) - experiment.observe(forecast))
        return analysis
'''


def insert(path: Path, before: str, text: str) -> None:
    """Put `text` before the only place where `before` stands."""
    content = path.read_text()
    assert content.count(before) == 1, (path.name, before, content.count(before))
    path.write_text(content.replace(before, text + before))


@pytest.fixture(scope="module")
def tree(tmp_path_factory, copy_sources):
    tree = copy_sources(tmp_path_factory.mktemp("extending") / "tree")
    package = tree / "mnmef"
    (package / "systems" / "lorenz84.py").write_text(SYSTEM)
    (package / "experiments" / "own").mkdir()
    (package / "experiments" / "own" / "lorenz84.yaml").write_text(EXPERIMENT)
    (package / "filters" / "optimal.py").write_text(FILTER)
    registry = package / "systems" / "__init__.py"
    insert(registry, "from mnmef.systems.lorenz96 import Lorenz96\n", "from mnmef.systems.lorenz84 import Lorenz84\n")
    registry.write_text(registry.read_text().replace("(Lorenz63, ", "(Lorenz63, Lorenz84, "))
    classical = package / "filters" / "classical.py"
    insert(classical, "from mnmef.filters.localization import", "from mnmef.filters.optimal import Optimal\n")
    insert(classical, '    if method == "enkf_n":\n', '    if method == "optimal":\n        return Optimal()\n')
    line = '        Method("Half way", "#333333", ">", "optimal", "optimal"),\n'
    insert(package / "core" / "names.py", '    )\n}\n"""All methods', line)
    return tree


def test_each_takes_one_file_and_what_is_registered_one_line_more(root, tree):
    package = root / "mnmef"
    paths = {
        path.relative_to(tree / "mnmef") for path in (tree / "mnmef").rglob("*") if path.suffix in (".py", ".yaml")
    }
    new = {str(path) for path in paths if not (package / path).exists()}
    edited = {
        str(path)
        for path in paths
        if (package / path).exists() and not filecmp.cmp(package / path, tree / "mnmef" / path, shallow=False)
    }
    assert new == {"systems/lorenz84.py", "experiments/own/lorenz84.yaml", "filters/optimal.py"}
    # The pattern of observations is a line of the experiment's file.
    assert edited == {"systems/__init__.py", "filters/classical.py", "core/names.py"}


def test_they_go_through_the_pipeline(tree, snakemake):
    target = "results/quick/figures/curves_lorenz84.png"
    settings = ("experiments=[lorenz84]", "learned=[]", "scale=quick", "training_seeds={experiments: []}")
    run = snakemake(tree, target, "--cores", "2", "--config", *settings)
    assert run.returncode == 0, run.stdout[-4000:]
    scores = (tree / "results" / "quick" / "scores.csv").read_text()
    assert "lorenz84,1.0,optimal" in scores
    assert (tree / target).stat().st_size > 0
