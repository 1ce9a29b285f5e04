"""`mnmef`: its commands, a file to begin with, and what is wrong with an experiment."""

import re
import sys

import numpy as np
import pytest
import xarray as xr

from mnmef import __version__
from mnmef.__main__ import COMMANDS, TEMPLATE, main
from mnmef.core.names import OUTSIDE_FILTERS, use_filters
from mnmef.experiments.files import OUTSIDE, use_experiments
from mnmef.experiments.load import load_experiment
from mnmef.learning.shipped import SHIPPED_WEIGHTS
from tests.lake import EXPERIMENT, MODEL


def _said(capsys, *arguments):
    """What a command prints that ends by itself."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_help_names_every_command_and_each_command_has_help_of_its_own(capsys):
    said = _said(capsys, "--help")
    for name, (_, text) in COMMANDS.items():
        assert f"{name} " in said
        assert text in said
        assert f"usage: mnmef {name}" in _said(capsys, name, "--help")


def test_version_is_that_of_the_package(capsys):
    assert _said(capsys, "--version") == f"mnmef {__version__}\n"
    assert main(["version"]) == 0
    assert f"mnmef {__version__}\npython " in capsys.readouterr().out


def test_info_says_what_weights_are(capsys):
    assert main(["info", str(SHIPPED_WEIGHTS / "ks_0.7/mnmef_finetuned_20.safetensors")]) == 0
    said = capsys.readouterr().out
    assert all(
        text in said for text in ("experiment: ks", "sigma_y: 0.7", "filter: mnmef", "ensemble_size: 20", "rrmse: ")
    )
    assert main(["info"]) == 0
    assert re.search("lorenz96_full +mnmef_local", capsys.readouterr().out)
    assert main(["info", "none.safetensors"]) == 1
    assert "there is no checkpoint none.safetensors" in capsys.readouterr().err


def test_a_command_without_its_packages_says_what_to_install(monkeypatch, capsys):
    for name in [
        name for name in sys.modules if name.startswith(("pydantic", "mnmef.config", "mnmef.assimilation.check"))
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pydantic", None)
    assert main(["check", "lake.yaml"]) == 1
    assert "mnmef check needs pydantic: pip install 'mnmef[workflow]'" in capsys.readouterr().err


@pytest.fixture
def checked(tmp_path, monkeypatch, capsys):
    """A function that checks an experiment in a folder of the user's; the exit status and what was said."""
    monkeypatch.setenv(OUTSIDE, "")
    monkeypatch.chdir(tmp_path)

    monkeypatch.setenv(OUTSIDE_FILTERS, "")

    def check(text=EXPERIMENT, model=MODEL, own=""):
        (tmp_path / "own.py").write_text(own)
        (tmp_path / "lake.yaml").write_text(text)
        (tmp_path / "model.py").write_text(model)
        status = main(["check", "lake.yaml", "--scale", "quick"])
        return status, "".join(capsys.readouterr())

    yield check
    use_filters(())


def test_a_new_experiment_has_no_fault_and_overwrites_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(OUTSIDE, "")
    monkeypatch.chdir(tmp_path)
    assert main(["new-experiment", "pond.yaml"]) == 0
    assert main(["check", "pond.yaml"]) == 0
    assert "pond: 40 components, 20 observed every 0.15" in capsys.readouterr().out
    assert main(["new-experiment", "pond.yaml"]) == 1
    assert main(["new-experiment", "pond"]) == 1


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("my lake.yaml", "letters, digits and underscores alone, such as my_lake.yaml"),
        ("sub/my-lake.yaml", "such as my_lake.yaml"),
        ("lorenz96.yaml", "are both called lorenz96; rename one"),
    ],
)
def test_a_new_experiment_has_a_name_that_the_check_takes(tmp_path, monkeypatch, capsys, name, said):
    monkeypatch.setenv(OUTSIDE, "")
    monkeypatch.chdir(tmp_path)
    assert main(["new-experiment", name]) == 1
    assert said in capsys.readouterr().err
    assert not any(tmp_path.iterdir())
    assert main(["check", name]) == 1
    assert said in capsys.readouterr().err


def test_a_link_of_another_name_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(OUTSIDE, "")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lake.yaml").write_text(EXPERIMENT)
    (tmp_path / "pond.yaml").symlink_to("lake.yaml")
    assert main(["check", "pond.yaml"]) == 1
    assert f"pond.yaml is a link to {tmp_path.resolve() / 'lake.yaml'}, of another name" in capsys.readouterr().err


def test_a_folder_is_no_file_of_an_experiment(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(OUTSIDE, "")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pond.yaml").mkdir()
    assert main(["check", "pond.yaml"]) == 1
    assert capsys.readouterr().err.endswith("pond.yaml; files there: none\n")


def test_a_number_without_a_point_is_a_number(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(OUTSIDE, "")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pond.yaml").write_text(TEMPLATE.read_text().replace("bound: 20.0", "bound: 2e1"))
    use_experiments([tmp_path / "pond.yaml"])
    assert load_experiment("pond").bound == 20.0


def test_a_good_experiment_passes(checked):
    status, said = checked()
    assert status == 0
    assert "lake: 2 components, 1 observed every 0.2 model time units, no grid. No fault was found." in said


RANDOM = (
    ("    state_size", "    is_stochastic = True\n    state_size"),
    ("def step(self, state)", "def step(self, state, rng)"),
    ("rate * state", "rate * state + 0.1 * rng.standard_normal(state.shape)"),
)


def random(model=MODEL):
    for old, new in RANDOM:
        assert old in model
        model = model.replace(old, new, 1)
    return model


def test_a_model_that_says_it_is_random_passes(checked):
    status, said = checked(model=random())
    assert status == 0, said


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("rng.standard_normal(state.shape)", "np.random.randn(*state.shape)", "draw from the rng that it is given"),
        ("0.1 * rng", "0.0 * rng", "is_stochastic, but steps with different generators are the same"),
        ("state, rng)", "state)", "step is called as step(state, rng): too many positional arguments"),
    ],
)
def test_a_faulty_random_model_is_named(checked, old, new, said):
    assert old in random()
    status, text = checked(model=random().replace(old, new))
    assert (status, said in text) == (1, True), text


def test_process_noise_passes(checked):
    status, said = checked(EXPERIMENT + "process_noise: {per_cycle: [0.1, 0.2]}\n")
    assert status == 0, said


def test_a_truth_of_another_class_passes_and_a_faulty_one_is_named(checked):
    better = MODEL.replace("class ", "class Better", 1)
    assert "class Better" in better
    name = re.search(r"class (\w+)", better)[1]
    other = EXPERIMENT + f"truth: {{name: own.py:{name}}}\n"
    status, said = checked(other, own=better)
    assert status == 0, said
    status, said = checked(other, own=better.replace(STEP, "state * 1e20"))
    assert (status, "own.py" in said, "not finite" in said) == (1, True, True), said


def test_simulated_and_stored_truths_at_once_are_refused(checked):
    status, said = checked(EXPERIMENT + "truth: {rate: 2.0}\ntrajectories: truths.npy\n")
    assert (status, "leave one out" in said) == (1, True), said


def test_an_option_of_the_truth_that_its_system_does_not_have_is_named(checked):
    status, said = checked(EXPERIMENT + "truth: {rat: 2.0}\n")
    assert (status, "rat" in said) == (1, True), said


STEP = "state - self.step_size * self.rate * state"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (STEP, "state[:, :1]", "returned the shape (10, 1); right is (10, 2)"),
        (STEP, "state / 0", "not finite"),
        (STEP, "(" + STEP + ").astype(np.float32)", "values of type float32; right is float64"),
        (STEP, "(" + STEP + ").astype(int)", "values of type int64; right is float64"),
        (STEP, "np.add(state, 1, out=state)", "changed its input in place"),
        ("import numpy as np", "import numpy as np\nimport no_such_package", "line 2: ModuleNotFoundError"),
        (STEP, "state + np.random.rand()", "step is not deterministic"),
        (STEP, "state - state.mean(0)", "mixes the rows"),
        (STEP, "state * 1e20", "not finite after"),
        (STEP, "self.__dict__.setdefault('n', []).append(0) or state * (0.9 + (len(self.n) > 9))", "after 20 others"),
        (STEP, "state @ np.eye(3)", "line 12: ValueError"),
        ("rng.standard_normal((count, 2))", "np.random.randn(count, 2)", "initial_states is not deterministic"),
        ("rng.standard_normal((count, 2))", "rng.standard_normal(2)", "returned the shape (2,); right is (10, 2)"),
        ("class Lake:", "class Pond:", "Known: Pond"),
        ("import numpy as np", "import numpy as np\n\nraise SystemExit(2)", "line 3: SystemExit: 2"),
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
        ("model.py:Lake", "{name: lorenz96, sate_size: 40}", "unknown option 'sate_size'. Did you mean 'state_size'?"),
        ("model.py:Lake", "{name: lorenz96, state_size: '40'}", "state_size must be a whole number, not '40'"),
        ("model.py:Lake", "{name: ks, state_size: 64.0}", "state_size must be a whole number, not 64.0"),
        ("model.py:Lake", "{name: lorenz63, rho: null}", "options of system lorenz63: rho must be a number, not None"),
        ("model.py:Lake", "{name: [lorenz63]}", "unknown system \"['lorenz63']\""),
        ("components: [0]", "evry: 2", "Did you mean 'lake.yaml: observation.every'"),
        ("components: [0]", "components: [2]", "component"),
        ("baselines: [enkf]", "baselines: [letkf]", "has no spatial grid"),
        ("grid: null\nbaselines: [enkf]", "grid: periodic\nbaselines: [letkf]", "needs radii"),
        ("bound: 10.0", "bound: 1.0e-9", "which the truth reaches"),
        ("model.py:Lake", "'dapper:Lorenz96.extras'", "the module Lorenz96.extras of DAPPER has no HMM"),
        ("title: Lake", "title: {", "cannot be read"),
        (
            "grid: null",
            "grid: null\nlearned: [mnmef_conv]",
            "learned has mnmef_conv, which is for another grid than null",
        ),
        ("grid: null", "grid: null\ntrajectories: own.npy", "own.npy cannot be read"),
        ("grid: null", "grid: null\nprocess_noise: {per_step: 1, per_cycle: 1}", "either per_step or per_cycle"),
        ("grid: null", "grid: null\nprocess_noise: {per_step: [1, 1, 1]}", "or 2 of them, one for each component"),
        ("baselines: [enkf]", "process_noise: {per_step: 1}\nbaselines: [ienks]", "has ienks, which runs the model"),
    ],
)
def test_a_faulty_file_is_named(checked, old, new, said):
    assert old in EXPERIMENT
    status, text = checked(text=EXPERIMENT.replace(old, new))
    assert status == 1
    assert said in text


def test_a_learned_filter_that_cannot_be_made_is_named(checked):
    grid = "grid: periodic\nlearned: [mnmef_local]"
    status, text = checked(EXPERIMENT.replace("grid: null", grid))
    assert status == 1
    assert text.startswith(
        "lake: learned has mnmef_local: the reach of mnmef_local must be below half the 2 grid points"
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("[-1]", "observation.noise.0 = -1 must be greater than 0 (standard deviations"),
        ("[[.nan]]", "observation.noise.0.0 = nan must be finite"),
        ("[[1, a]]", "observation.noise.0.1 = 'a' must be a number"),
        ("big", "observation.noise = 'big' must be a list, such as [a, b]"),
    ],
)
def test_a_key_that_has_several_forms_is_named_once(checked, given, said):
    status, text = checked(text=EXPERIMENT.replace("components: [0]", f"components: [0], noise: {given}"))
    assert (status, len(text.splitlines()), said in text) == (1, 1, True), text


def test_truths_and_observations_of_the_users_that_do_not_fit_are_named(checked, tmp_path):
    states = np.zeros((72, 101, 2))
    own = {"truth": (("trajectory", "time", "state"), states), "observation": (("trajectory", "time", "site"), states)}
    xr.Dataset(own).to_netcdf(tmp_path / "own.nc")
    status, text = checked(EXPERIMENT + "trajectories: own.nc\n")
    assert status == 1
    assert re.search(r"^observations in .*own.nc are of shape \(72, 101, 2\) .*\(72, 101, 1\)$", text)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            "[0, 1, 2]",
            "Lake: coordinates of the system must be numbers (2, k), a row for each component, not [0, 1, 2]",
        ),
        ("[0, float('nan')]", "coordinates of the system must be numbers"),
        ("'ab'", "must be numbers (2, k), a row for each component, not 'ab'"),
    ],
)
def test_coordinates_that_are_none_are_named(checked, given, said):
    model = MODEL.replace("    state_size", f"    coordinates = {given}\n    state_size", 1)
    radii = "search: {engine: batched, localization_radius: {5: [1.0], 10: [1.0]}}"
    text = EXPERIMENT.replace("baselines: [enkf]\nsearch: {engine: batched}", f"baselines: [letkf]\n{radii}")
    status, text = checked(text, model=model)
    assert (status, said in text) == (1, True), text


OPERATOR = "import numpy as np\n\n\ndef radiance(states):\n    return states[:, :1] ** 2\n"


def test_an_operator_of_the_users_passes(checked):
    status, said = checked(EXPERIMENT.replace("components: [0]", "function: own.py:radiance"), own=OPERATOR)
    assert (status, "1 observed" in said) == (0, True), said


@pytest.mark.parametrize(
    ("options", "returned", "said"),
    [
        ("", "states[0]", "returned the shape (2,) for states (1, 2); right is (1, d)"),
        ("", "states[:, : len(states)]", "their number must stay the same"),
        ("", "np.multiply(states, 2, out=states)", "changed its input in place"),
        ("", "states / 0", "observations of states are not finite"),
        ("", "states[:, :0]", "returned the shape (1, 0) for states (1, 2); right is (1, d)"),
        ("", "states + np.random.rand()", "is not deterministic"),
        ("", "states - states.mean(0)", "mixes the rows"),
        (", sites: [2]", "states[:, :1]", "must be 1 grid points below 2"),
        (", noise: [[1, 2], [2, 1]]", "states", "must be positive definite"),
        (", noise: [1, 1, 1]", "states", "the shape (3,); right is (2,) or (2, 2)"),
    ],
)
def test_a_faulty_observation_is_named(checked, options, returned, said):
    text = EXPERIMENT.replace("components: [0]", f"function: own.py:radiance{options}")
    status, text = checked(text, own=OPERATOR.replace("states[:, :1] ** 2", returned))
    assert status == 1
    assert said in text


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ("x.mul_(2.0)[:, :1]", "own.py:Seen: changed its input in place; it must return a new tensor"),
        ("x.sum()", "observation.function made () of a state (1, 2); right is (1, d)"),
        ("x[:, : len(x)]", "own.py:Seen: returned (10, 2) of 10 states, and (1, 1) of one; right are 1 values"),
        ("x.none", "own.py: line 6: AttributeError"),
    ],
)
def test_a_faulty_operator_of_tensors_is_named(checked, returned, said):
    own = f"import torch\n\n\nclass Seen(torch.nn.Module):\n    def forward(self, x):\n        return {returned}\n"
    status, text = checked(EXPERIMENT.replace("components: [0]", "function: own.py:Seen"), own=own)
    assert (status, said in text) == (1, True), text


FILTER = """\
from mnmef.filters.base import Filter


class Mine(Filter):
    def __init__(self, experiment, sigma_y, inflation=1.0):
        self.inflation = inflation

    def analyze(self, forecast, observation, experiment, noise=None):
        return 1.0 * forecast
"""
WITH_FILTER = EXPERIMENT + "filters: [{name: own.py:Mine, inflation: 1.1}]\n"


def test_a_filter_of_the_users_passes(checked):
    status, said = checked(WITH_FILTER, own=FILTER)
    assert status == 0, said
    status, said = checked(WITH_FILTER.replace("inflation: 1.1", "search: {inflation: [1.0, 1.1]}"), own=FILTER)
    assert status == 0, said


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("search: {inflation: 1.1}", "must have a list of values for each option"),
        ("search: {inflation: []}", "must have a list of values for each option"),
        ("search: {rate: [1.1]}", "options of filter"),
        ("inflation: 1.1, search: {inflation: [1.1]}", "has inflation as an option and in search: give it once"),
    ],
)
def test_a_faulty_search_of_a_filter_is_named(checked, given, said):
    status, text = checked(WITH_FILTER.replace("inflation: 1.1", given), own=FILTER)
    assert (status, said in text) == (1, True), text


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("1.0 * forecast", "forecast[..., :1]", "own.py:Mine: the analysis is (2, 10, 1)"),
        ("1.0 * forecast", "None", "own.py:Mine: the analysis is a NoneType; right is a tensor (2, 10, 2)"),
        ("1.0 * forecast", "forecast.numpy()", "own.py:Mine: the analysis is a ndarray; right is a tensor (2, 10, 2)"),
        ("1.0 * forecast", "forecast.mul_(2.0)", "changed the forecast or the observation in place"),
        ("1.0 * forecast", "forecast / 0.0", "the analysis is not finite after 1 of 5 cycles"),
        ("1.0 * forecast", "forecast + forecast.mean()", "own.py:Mine: mixes trajectories"),
        ("1.0 * forecast", "forecasts", "own.py:Mine: line 9: NameError"),
        ("inflation=1.0", "rate=1.0", "options of filter"),
        ("class Mine(Filter)", "class Mine", "must derive from mnmef.filters.base.Filter"),
        ("class Mine(", "class Other(", "Known: Other"),
        ("from mnmef", "from nomef", "line 1: ModuleNotFoundError"),
    ],
)
def test_a_faulty_filter_is_named(checked, old, new, said):
    assert old in FILTER
    status, text = checked(WITH_FILTER, own=FILTER.replace(old, new))
    assert status == 1
    assert said in text
