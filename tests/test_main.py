"""`python -m mnmef`: a file to begin with, and what is wrong with an experiment."""

import pytest

from mnmef.__main__ import main
from mnmef.experiments.files import OUTSIDE
from tests.lake import EXPERIMENT, MODEL


@pytest.fixture
def checked(tmp_path, monkeypatch, capsys):
    """A function that checks an experiment in a folder of the user's; the exit status and what was said."""
    monkeypatch.setenv(OUTSIDE, "")
    monkeypatch.chdir(tmp_path)

    def check(text=EXPERIMENT, model=MODEL):
        (tmp_path / "lake.yaml").write_text(text)
        (tmp_path / "model.py").write_text(model)
        status = main(["check", "lake.yaml", "--scale", "quick"])
        return status, "".join(capsys.readouterr())

    return check


def test_a_new_experiment_has_no_fault_and_overwrites_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(OUTSIDE, "")
    monkeypatch.chdir(tmp_path)
    assert main(["new-experiment", "pond.yaml"]) == 0
    assert main(["check", "pond.yaml"]) == 0
    assert "pond: 40 components, 20 observed every 0.15" in capsys.readouterr().out
    assert main(["new-experiment", "pond.yaml"]) == 1
    assert main(["new-experiment", "pond"]) == 1


def test_a_good_experiment_passes(checked):
    status, said = checked()
    assert status == 0
    assert "lake: 2 components, 1 observed every 0.2 model time units, no grid. No fault was found." in said


STEP = "state - self.step_size * self.rate * state"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (STEP, "state[:, :1]", "returned the shape (10, 1); right is (10, 2)"),
        (STEP, "state / 0", "not finite"),
        (STEP, "np.add(state, 1, out=state)", "changed its input in place"),
        (STEP, "state + np.random.rand()", "step is not deterministic"),
        (STEP, "state - state.mean(0)", "mixes the rows"),
        (STEP, "state * 1e20", "not finite after"),
        (STEP, "state @ np.eye(3)", "line 12: ValueError"),
        ("rng.standard_normal((count, 2))", "np.random.randn(count, 2)", "initial_states is not deterministic"),
        ("rng.standard_normal((count, 2))", "rng.standard_normal(2)", "returned the shape (2,); right is (10, 2)"),
        ("class Lake:", "class Pond:", "Known: Pond"),
    ],
)
def test_a_faulty_model_is_named(checked, old, new, said):
    assert old in MODEL
    status, text = checked(model=MODEL.replace(old, new))
    assert status == 1
    assert "model.py" in text
    assert said in text


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("components: [0]", "evry: 2", "Did you mean 'lake.yaml: observation.every'"),
        ("components: [0]", "components: [2]", "component"),
        ("baselines: [enkf]", "baselines: [letkf]", "has no spatial grid"),
        ("grid: null\nbaselines: [enkf]", "grid: periodic\nbaselines: [letkf]", "needs radii"),
        ("bound: 10.0", "bound: 1.0e-9", "which the truth reaches"),
        ("title: Lake", "title: {", "cannot be read"),
    ],
)
def test_a_faulty_file_is_named(checked, old, new, said):
    assert old in EXPERIMENT
    status, text = checked(text=EXPERIMENT.replace(old, new))
    assert status == 1
    assert said in text
