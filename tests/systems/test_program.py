"""Forecast models that are programs: files in, files out, in parallel, and what happens when one fails."""

import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

from mnmef.__main__ import main
from mnmef.config.outside import code_of
from mnmef.experiments.files import OUTSIDE, use_experiments
from mnmef.systems import make_system

MODEL = f"""\
from mnmef.systems.program import Program


class Lake(Program):
    state_size, step_size = 2, 0.5
    command = "{sys.executable} -S -E program.py {{input}} {{output}} {{count}} {{steps}}"
"""
PROGRAM = """\
import sys
from array import array

states = array("d")
with open(sys.argv[1], "rb") as file:
    states.frombytes(file.read())
assert len(states) == 2 * int(sys.argv[3])
if 7.0 in states:
    sys.exit("the sea is too rough")
for _ in range(int(sys.argv[4])):
    states = array("d", [x / 2 + 1 for x in states])
with open(sys.argv[2], "wb") as file:
    file.write(states.tobytes())
"""


@pytest.fixture
def lake(tmp_path):
    """A function that makes the model of a program."""
    (tmp_path / "model.py").write_text(MODEL)

    def make(program=PROGRAM, **options):
        (tmp_path / "program.py").write_text(program)
        return make_system({"name": f"{tmp_path}/model.py:Lake", **options})

    return make


def ensembles():
    return torch.arange(20.0, dtype=torch.float64).reshape(2, 5, 2) + 100.0


@pytest.mark.parametrize("options", [{}, {"batch": 3}, {"batch": 100, "processes": 1}])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_states_are_advanced_whatever_the_batch(lake, options, dtype):
    state = ensembles().to(dtype)
    found = lake(**options).advance(state, 2, torch.float32)
    assert found.dtype == dtype
    torch.testing.assert_close(found, state / 4 + 1.5, rtol=0, atol=0)


def test_a_member_that_is_lost_already_is_not_run(lake):
    state = ensembles()
    state[1, 2, 0] = torch.nan
    found = lake(batch=4).advance(state, 1)
    assert found[1, 2].isnan().all()
    assert int(found.isnan().sum()) == 2


def test_a_member_that_fails_is_named_and_stops_the_run(lake):
    state = ensembles()
    state[1, 2, 0] = 7.0
    with pytest.raises(RuntimeError, match=r"Lake: member 2 of ensemble 1 failed: .*status 1: the sea is too rough"):
        lake(batch=4).advance(state, 1)
    with pytest.raises(RuntimeError, match=r"Lake: state 7 failed"):  # a truth is no member
        lake(on_failure="replace").advance(state.reshape(10, 2), 1)


def test_a_member_that_fails_is_replaced_by_another_of_its_ensemble_drawn_by_seed(lake):
    state = ensembles()
    state[1, 2, 0] = state[1, 3, 1] = 7.0
    drawn = {}
    for seed in range(4):
        with pytest.warns(UserWarning, match=r"member 2 of ensemble 1 failed: .*; replaced by member [014]") as told:
            found = lake(on_failure="replace", batch=10, seed=seed).advance(state, 1)
        assert len(told) == 2
        whole = ensembles() / 2 + 1
        torch.testing.assert_close(found[0], whole[0], rtol=0, atol=0)
        torch.testing.assert_close(found[1, [0, 1, 4]], whole[1, [0, 1, 4]], rtol=0, atol=0)
        chosen = int(re.search(r"replaced by member (\d)", str(told[0].message))[1])
        assert torch.equal(found[1, 2], whole[1, chosen])
        drawn[seed] = chosen
    assert len(set(drawn.values())) > 1
    with pytest.warns(UserWarning, match=f"replaced by member {drawn[3]}"):
        lake(on_failure="replace", seed=3).advance(state, 1)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("file.write(states.tobytes())", "file.write(states.tobytes()[8:])", "wrote 1 numbers.*right are 2"),
        ("x / 2 + 1", "x * float('inf')", "wrote 2 numbers, 2 that are not finite"),
        ('sys.argv[2], "wb"', 'sys.argv[2] + "x", "wb"', "no output"),
        ("import sys", "import time, sys\ntime.sleep(60)", "took more than 0.3 s"),
    ],
)
def test_what_is_wrong_with_a_call_is_said(lake, old, new, said):
    assert old in PROGRAM
    system = lake(PROGRAM.replace(old, new), seconds=0.3 if "time" in new else None)
    with pytest.raises(RuntimeError, match=f"Lake: member 0 of ensemble 0 failed: .*{said}"):
        system.advance(ensembles()[:1, :1].expand(1, 2, 2), 1)


def test_a_program_that_is_not_there_is_named(lake, tmp_path):
    system = lake()
    type(system).command = "./nothing {input}"
    with pytest.raises(RuntimeError, match="nothing"):
        system.advance(ensembles(), 1)


def test_options_that_cannot_be_are_refused(lake):
    with pytest.raises(ValueError, match="on_failure = 'retry': must be stop or replace"):
        lake(on_failure="retry")
    with pytest.raises(ValueError, match="batch and processes must be at least 1, not 0"):
        lake(batch=0)


YAML = """\
title: Lake
system: {name: lake_program.py:Lake, batch: 8, on_failure: replace}
observation: {components: [0]}
steps_per_cycle: 5
bound: 10.0
first_spread: 0.5
burn_in_time: 1.0
grid: null
benchmark: esrf
baselines: [enkf, esrf]
search: {engine: batched}
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_the_program_of_the_documentation_is_a_model_and_its_edits_are_seen(root, tmp_path, monkeypatch, capsys):
    blocks = re.findall(r"```(\w+)\n(.*?)```", (root / "docs" / "own_program.md").read_text(), flags=re.DOTALL)
    [source] = [text for kind, text in blocks if kind == "c"]
    [model] = [text for kind, text in blocks if kind == "python" and "import Program" in text]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(OUTSIDE, "")
    for file, text in (("lake.c", source), ("lake_program.py", model), ("lake.yaml", YAML)):
        (tmp_path / file).write_text(text)
    subprocess.run(["cc", "-O2", "-o", "lake", "lake.c"], check=True)
    assert main(["check", "lake.yaml", "--scale", "quick"]) == 0, capsys.readouterr()
    use_experiments([tmp_path / "lake.yaml"])
    before = code_of("lake")
    assert code_of("lake") == before
    with (tmp_path / "lake").open("ab") as file:
        file.write(b"\0")
    assert code_of("lake") != before
    state = np.array([[1.0, 0.5, -0.5]])
    found = make_system({"name": f"{tmp_path}/lake_program.py:Lake"}).step(torch.from_numpy(state)).numpy()
    x, y, z = state[0]
    tendency = [-y * y - z * z - 0.25 * x + 2, x * y - 4 * x * z - y + 1, 4 * x * y + x * z - z]
    np.testing.assert_allclose(found[0], state[0] + 0.01 * np.array(tendency), rtol=1e-15)
