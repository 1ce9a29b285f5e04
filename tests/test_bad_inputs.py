"""Bad inputs at every entrance: each is refused by an error of ours that names it, before any work.

More stand beside what they are about: `tests/config`, `tests/test_fit.py`, `tests/learning/test_checkpoints.py`.
"""

import functools
import json
import os
import pickle
import re

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import save_file

from mnmef.assimilation.inputs import as_ensemble, as_observations
from mnmef.config.loading import load_config
from mnmef.experiments.experiment import Experiment
from mnmef.experiments.files import OUTSIDE
from mnmef.experiments.load import load_experiment
from mnmef.io.files import read_dataset, read_table
from mnmef.io.resume import ResumeFile
from mnmef.learning.checkpoints import load_checkpoint
from mnmef.learning.resuming import last_state
from tests.lake import EXPERIMENT, MODEL

NAN, INF = float("nan"), float("inf")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The user's folder, with an experiment and its model, in which the process works."""
    monkeypatch.setenv(OUTSIDE, "")
    folder = tmp_path / "own"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "model.py").write_text(MODEL)
    (folder / "lake.yaml").write_text(EXPERIMENT)
    return folder


@pytest.fixture(scope="module")
def raw(root):
    return yaml.safe_load((root / "config.yaml").read_text())


def refused(said, call):
    """Call; the error must be one of ours, whose first line, at most a few of them, says so much."""
    with pytest.raises((ValueError, TypeError, FileNotFoundError)) as caught:
        call()
    assert re.search(said, "\n".join(str(caught.value).splitlines()[:3])), str(caught.value)
    assert type(caught.value).__module__.split(".")[0] in ("builtins", "mnmef"), type(caught.value)


CONFIG = [
    ({"seed": -1}, "seed = -1"),
    ({"seed": 1.5}, r"seed = 1\.5"),
    ({"seed": True}, "seed = True"),
    ({"seed": None}, "seed = None"),
    ({"seed": [1]}, r"seed = \[1\]"),
    ({"scale": "../quick"}, r"scale '\.\./quick'"),
    ({"scale": 5}, "scale '5'"),
    ({"scale": None}, "scale 'None'"),
    ({"noise_levels": "one"}, "noise_levels = 'one'"),
    ({"noise_levels": [NAN]}, r"noise_levels\.0 = nan"),
    ({"noise_levels": [INF]}, r"noise_levels\.0 = inf"),
    ({"noise_levels": [-1.0]}, r"noise_levels\.0 = -1"),
    ({"noise_levels": [[1.0]]}, r"noise_levels\.0 = \[1\.0\]"),
    ({"noise_levels": [True]}, r"noise_levels\.0 = True"),
    ({"ensemble_sizes": [1]}, r"ensemble_sizes\.0 = 1"),
    ({"ensemble_sizes": [5.5]}, r"ensemble_sizes\.0 = 5\.5"),
    ({"ensemble_sizes": {5: 10}}, "ensemble_sizes = "),
    ({"experiments": ["../x"]}, r"experiments\.0 = '\.\./x'"),
    ({"experiments": ["lorenz96/../ks"]}, r"experiments\.0 = 'lorenz96/\.\./ks'"),
    ({"experiments": [5]}, r"experiments\.0 = 5"),
    ({"experiments": "lorenz96"}, "experiments = 'lorenz96'"),
    ({"experiments": [None]}, r"experiments\.0 = None"),
    ({"own_weights": {"../x_1.0": "a.safetensors"}}, r"own_weights '\.\./x_1\.0'"),
    ({"own_weights": ["a.safetensors"]}, "own_weights = "),
    ({"own_weights": {"ks_1.0": 5}}, r"own_weights\.ks_1\.0 = 5"),
    ({"baselines": ["../letkf"]}, r"baselines\.0 = '\.\./letkf'"),
    ({"learned": "mnmef"}, "learned = 'mnmef'"),
    ({"training": {"steps": 0}}, r"training\.steps = 0"),
    ({"training": []}, "training = "),
    ({"training": {"loss": "nl2+"}}, r"training\.loss = 'nl2\+'"),
    ({"training": {"gradient_clip": -1.0}}, r"training\.gradient_clip = -1"),
    ({"training": {"checkpoint_seconds": NAN}}, r"training\.checkpoint_seconds = nan"),
    ({"training": {"time_limit": -5}}, r"training\.time_limit = -5"),
    ({"training": {"steps": {"ks": 5}}}, r"training\.steps"),
    ({"data": {"test": {"trajectories": 0}}}, r"data\.test\.trajectories = 0"),
    ({"data": {"members": 2}}, r"data\.members = 2"),
    ({"search": {"inflation": {"letkf": 5}}}, r"search\.inflation\.letkf"),
    ({"search": {"localization_radius": {5: [-1.0]}}}, r"search\.localization_radius\.5\.0 = -1"),
    ({"evaluation": {"traced": {"ensemble_size": -1}}}, r"evaluation\.traced\.ensemble_size = -1"),
    ({"published": {"rounds": [{}]}}, r"published\.rounds"),
    ({"": 5}, "unknown config key"),
    ({"training": {"": 5}}, "unknown config key"),
    ({"training": {5: 5}}, "training"),
]


@pytest.mark.parametrize(("keys", "said"), CONFIG)
def test_a_bad_value_of_the_config_is_named(raw, folder, keys, said):
    refused(said, lambda: load_config(raw, keys))


@pytest.mark.parametrize("scale", ["../x", "a/b", "", ".", "..", "a b", "-x"])
def test_a_scale_of_the_users_that_is_no_name_of_a_folder_is_refused(raw, folder, scale):
    refused("scale", lambda: load_config({**raw, "scale": scale, "scales": {**raw["scales"], scale: {}}}))


FILES = [
    ("lake.yaml", "", r"lake\.yaml must be a mapping"),
    ("lake.yaml", "- a", r"lake\.yaml must be a mapping"),
    ("lake.yaml", "title: [", r"lake\.yaml cannot be read"),
    ("lake.yaml", "\x00", r"lake\.yaml cannot be read"),
    ("lake.yaml", "title: !!python/object/apply:os.getcwd []", r"lake\.yaml cannot be read"),
    ("lake.yaml", "title: a\ntitle: b", r"lake\.yaml cannot be read"),
    ("lake.yaml", EXPERIMENT.replace("grid: null", "grid_: null"), r"grid_"),
    ("lake.yaml", EXPERIMENT.replace("system: model.py:Lake", "system: 5"), r"lake\.yaml: .*system"),
    ("lake.yaml", EXPERIMENT.replace("system: model.py:Lake", ""), r"lake\.yaml: .*system"),
    ("lake.yaml", EXPERIMENT.replace("model.py", "../model.py"), r"model\.py cannot be read"),
    ("lake.yaml", EXPERIMENT.replace(":Lake", ":Lale"), r"'Lale'.*Lake"),
    ("lake.yaml", EXPERIMENT.replace("[0]", "[-1]"), r"observation\.components\.0 = -1"),
    ("lake.yaml", EXPERIMENT.replace("[0]", "[0, 0]"), r"observation\.components"),
    ("lake.yaml", EXPERIMENT.replace("{components: [0]}", "[0]"), r"observation = \[0\]"),
    ("lake.yaml", EXPERIMENT.replace("steps_per_cycle: 2", "steps_per_cycle: 0"), r"steps_per_cycle = 0"),
    ("lake.yaml", EXPERIMENT.replace("bound: 10.0", "bound: .nan"), r"bound = nan"),
    ("lake.yaml", EXPERIMENT.replace("burn_in_time: 1.0", "burn_in_time: soon"), r"burn_in_time = 'soon'"),
    ("lake.yaml", EXPERIMENT + "seed: 5\n", r"key seed is the same for all experiments"),
    ("lake.yaml", EXPERIMENT + "scales: 5\n", r"scales"),
    ("my lake.yaml", EXPERIMENT, r"my lake\.yaml: the name of the file .*my_lake\.yaml"),
    ("..yaml", EXPERIMENT, r"name of the file"),
    ("lorenz96.yaml", EXPERIMENT, r"both called lorenz96"),
]


@pytest.mark.parametrize(("name", "text", "said"), FILES)
def test_a_bad_experiments_file_is_named(raw, folder, name, text, said):
    (folder / name).write_text(text)
    refused(said, lambda: load_config(raw, {"experiments": [name]}))


@pytest.mark.parametrize("entry", ["absent.yaml", "../absent.yaml", "folder.yaml"])
def test_an_experiments_file_that_is_none_is_named(raw, folder, entry):
    (folder / "folder.yaml").mkdir()
    refused("there is no file .*" + entry.rpartition("/")[2], lambda: load_config(raw, {"experiments": [entry]}))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def Lake(:\n", "model.py, line 1"),
        ("x = 1\n", "'Lake'"),
        ("\x00", "model.py"),
        ("class Lake:\n\tdef f(self):\n        pass\n", "model.py, line 3"),
    ],
)
def test_a_model_that_is_no_python_is_named_with_the_line(raw, folder, text, said):
    (folder / "model.py").write_text(text)
    refused(said, lambda: load_config(raw, {"experiments": ["lake.yaml"]}))


def test_a_model_whose_import_fails_is_named_with_the_line(raw, folder):
    (folder / "model.py").write_text(MODEL.replace("import numpy as np", "import numpy as np\n1 / 0"))
    run = load_config(raw, {"experiments": ["lake.yaml"]})
    refused("model.py: line 2: ZeroDivisionError", lambda: Experiment.from_description(run.descriptions["lake"]))


BYTES = {
    "empty": b"",
    "text": b"a,b\n1,2\n",
    "pickle": pickle.dumps({"a": 1}),
    "zeros": bytes(4096),
    "header": b"\xff\xff\xff\xff\xff\xff\xff\x7f{}",
    "hdf5": b"\x89HDF\r\n\x1a\n" + bytes(64),
    "netcdf3": b"CDF\x01" + bytes(28),
}


@pytest.mark.parametrize("kind", BYTES)
def test_bytes_that_are_no_checkpoint_and_no_netcdf_are_refused_with_the_file(tmp_path, kind):
    path = tmp_path / "file.safetensors"
    path.write_bytes(BYTES[kind])
    refused(re.escape(str(path)), lambda: load_checkpoint(path))
    refused(re.escape(str(path)), lambda: read_dataset(path, kind="data"))


@pytest.mark.parametrize("kind", ["empty", "pickle", "zeros", "hdf5"])
def test_bytes_that_are_no_table_are_refused_with_the_file(tmp_path, kind):
    path = tmp_path / "best.csv"
    path.write_bytes(BYTES[kind])
    refused(re.escape(str(path)), lambda: read_table(path))


def test_a_table_that_is_a_folder_or_not_there_is_refused_with_the_file(tmp_path):
    for path in (tmp_path, tmp_path / "absent.csv"):
        refused(re.escape(str(path)), functools.partial(read_table, path))


@pytest.mark.parametrize(
    "change",
    [
        {"filter": "../x"},
        {"experiment": "../x"},
        {"sigma_y": -1.0},
        {"sigma_y": NAN},
        {"model": {"x": 1}},
        {"base": "/a"},
    ],
)
def test_a_card_with_a_bad_entry_is_refused_with_the_file(tmp_path, change):
    card = {"filter": "mnmef", "experiment": "lorenz63", "sigma_y": 1.0, "model": {}} | change
    path = tmp_path / "weights.safetensors"
    save_file({"a": torch.zeros(1)}, path, metadata={"card": json.dumps(card)})
    refused(re.escape(str(path)), lambda: load_checkpoint(path))


class Evil:
    """An object whose unpickling would make a folder."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def test_no_code_from_a_resume_file_is_run(tmp_path, capsys):
    path = tmp_path / "state.pt"
    torch.save({"step": Evil(tmp_path / "made")}, path)
    assert last_state(path) is None
    assert f"{path} is damaged" in capsys.readouterr().out
    path = tmp_path / "scores.json"
    path.write_bytes(pickle.dumps(Evil(tmp_path / "made")))
    assert ResumeFile(path, "a").results == {}
    assert f"{path} is no resume file" in capsys.readouterr().out
    assert not (tmp_path / "made").exists()


ARRAYS = {
    "None": (lambda: None, TypeError),
    "text": (lambda: "5", TypeError),
    "a mapping": (lambda: {"a": 1}, TypeError),
    "complex numbers": (lambda: np.ones((3, 20), complex), TypeError),
    "truth values": (lambda: np.ones((3, 20), bool), TypeError),
    "dates": (lambda: np.zeros((3, 20), "datetime64[s]"), TypeError),
    "objects": (lambda: np.full((3, 20), None), TypeError),
    "rows of several lengths": (lambda: [[1.0] * 20, [1.0] * 19], TypeError),
    "three axes": (lambda: np.zeros((1, 3, 20)), ValueError),
    "one axis": (lambda: np.zeros(20), ValueError),
    "a number": (lambda: 5.0, ValueError),
    "texts in a DataFrame": (lambda: pd.DataFrame({i: ["a"] * 3 for i in range(20)}), TypeError),
    "too few columns": (lambda: np.zeros((3, 7)), ValueError),
    "no rows": (lambda: np.zeros((0, 20)), ValueError),
    "infinite numbers": (lambda: np.full((3, 20), np.inf), ValueError),
    "a tensor of complex numbers": (lambda: torch.ones(3, 20, dtype=torch.complex64), TypeError),
    "a generator": (lambda: (row for row in np.zeros((3, 20))), TypeError),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_what_is_no_array_of_numbers_is_refused_by_the_name_of_the_argument(kind):
    make, error = ARRAYS[kind]
    experiment = load_experiment("lorenz96")
    for read, name in ((as_observations, "observations"), (as_ensemble, "first.ensemble")):
        with pytest.raises(error, match=name):
            read(make(), experiment)
