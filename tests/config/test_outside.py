"""Experiments by the paths of their files."""

from importlib import metadata

import pytest
import yaml

from mnmef.config.loading import ConfigError, load_config
from mnmef.config.outside import model_speaks_of
from mnmef.experiments.experiment import Experiment
from mnmef.experiments.files import OUTSIDE, shipped_experiments, titles
from tests.lake import EXPERIMENT, MODEL

SIZES = (5, 10, 15, 20, 40, 60, 100)
RADII = f"search: {{engine: batched, localization_radius: {{{', '.join(f'{n}: [1]' for n in SIZES)}}}}}"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of the user's, in which the process works."""
    monkeypatch.setenv(OUTSIDE, "")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "lake.yaml").write_text(EXPERIMENT)
    (tmp_path / "sub" / "model.py").write_text(MODEL)
    return tmp_path


@pytest.fixture
def load(root, folder):
    """A function that loads the config with other experiments."""
    raw = yaml.safe_load((root / "config.yaml").read_text())

    def start(*entries, **keys):
        return load_config({**raw, **keys}, {"experiments": list(entries)})

    return start


def test_an_entry_that_ends_in_yaml_is_a_file_and_its_stem_the_name(load, folder):
    run = load("lorenz96", "sub/lake.yaml")
    assert run.common.experiments == ["lorenz96", "lake"]
    description = run.descriptions["lake"]
    assert description["system"] == {"name": f"{folder}/sub/model.py:Lake"}
    assert len(description["code"]) == 16
    assert "code" not in run.descriptions["lorenz96"]
    assert Experiment.from_description(description).state_size == 2
    assert list(titles())[:3] == ["lorenz63", "lorenz96", "ks"]
    assert list(titles())[-1] == "lake"


def test_a_file_in_config_yaml_is_one_as_well(root, folder):
    raw = yaml.safe_load((root / "config.yaml").read_text())
    assert load_config({**raw, "experiments": ["sub/lake.yaml"]}).common.experiments == ["lake"]


def test_other_keys_take_the_name(load):
    run = load("sub/lake.yaml", localization_study={"experiment": "lake", "trajectories": 1, "cycles": 1})
    assert run.common.localization_study.experiment == "lake"


def test_the_digest_sees_code_alone(load, folder):
    def digest(text):
        (folder / "sub" / "model.py").write_text(text)
        return load("sub/lake.yaml").descriptions["lake"]["code"]

    first = digest(MODEL)
    assert digest("# A comment.\n" + MODEL) == first
    assert digest(MODEL.replace("0.1", "0.2")) != first


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("../x", "'../x' must be"),
        ("lake", "'ks', 'lorenz63' or 'lorenz96'"),
        ("sub/none.yaml", "there is no file"),
        ("my-lake.yaml", "letters, digits and underscores alone, such as my_lake.yaml"),
    ],
)
def test_what_is_no_experiment_is_refused_by_name(load, entry, said):
    with pytest.raises(ConfigError) as caught:
        load(entry)
    assert said in str(caught.value)


def test_two_experiments_of_one_name_are_refused(load, folder):
    (folder / "lake.yaml").write_text(EXPERIMENT)
    with pytest.raises(ConfigError, match=r"both called lake"):
        load("lake.yaml", "sub/lake.yaml")
    (folder / "ks.yaml").write_text(EXPERIMENT)
    with pytest.raises(ConfigError, match=r"both called ks"):
        load("ks.yaml")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("model.py:Lake", "model.py:Lakes", "Did you mean 'Lake'"),
        ("model.py:Lake", "models.py:Lake", "models.py cannot be read"),
        ("search: {engine: batched}", "", "set search: {engine: batched}"),
        ("components: [0]", "evry: 2", "Did you mean 'lake.yaml: observation.every'"),
        ("title: Lake", "title: [", "lake.yaml cannot be read"),
        ("baselines: [enkf]", "baselines: [letkf]", "no spatial grid"),
        ("grid: null\nbaselines: [enkf]", "grid: periodic\nbaselines: [letkf]", "needs radii to try"),
    ],
)
def test_a_bad_file_is_refused(load, folder, old, new, said):
    (folder / "sub" / "lake.yaml").write_text(EXPERIMENT.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        load("sub/lake.yaml")
    assert said in str(caught.value)


def test_a_model_that_gives_distances_can_be_localized(load, folder):
    (folder / "sub" / "model.py").write_text(
        MODEL.replace("    state_size", "    coordinates = [0, 1]\n    state_size", 1)
    )
    own = EXPERIMENT.replace("baselines: [enkf]\nsearch: {engine: batched}", "baselines: [letkf]\n" + RADII)
    (folder / "sub" / "lake.yaml").write_text(own)
    assert load("sub/lake.yaml").experiments["lake"].baselines == ["letkf"]


def test_the_observation_names_files_beside_the_experiments_and_the_digest_sees_them(load, folder):
    own = EXPERIMENT.replace("components: [0]", "function: seen.py:radiance, available: seen.py:network, noise: [1, 1]")
    (folder / "sub" / "lake.yaml").write_text(own)

    def description(text):
        (folder / "sub" / "seen.py").write_text(text)
        return load("sub/lake.yaml").descriptions["lake"]

    text = "import numpy as np\n\n\ndef radiance(states):\n    return 2 * states\n\n\n"
    text += "def network(cycle, rng):\n    return np.arange(2) == cycle % 2\n"
    first = description(text)
    assert first["observation"]["function"] == f"{folder}/sub/seen.py:radiance"
    experiment = Experiment.from_description(first)
    assert (experiment.observation_size, experiment.observed) == (2, ())
    assert experiment.observation.has_gaps
    assert description(text.replace("2 * states", "3 * states"))["code"] != first["code"]
    with pytest.raises(
        ConfigError, match=r"lake\.yaml: observation\.function: unknown function .*Did you mean 'radianc'"
    ):
        description(text.replace("radiance", "radianc"))


def test_a_module_of_dapper_says_what_its_file_does_not(load, folder):
    text = "title: Sakov\nsystem: {name: 'dapper:Lorenz96.sakov2008'}\nbound: 20.0\nfirst_spread: 1.0\nbaselines: []\n"
    (folder / "sakov.yaml").write_text(text + "steps_per_cycle: 4\n")
    described = load("sakov.yaml").descriptions["sakov"]
    assert described["code"] == f"dapper {metadata.version('dapper')}"
    assert (described["title"], described["steps_per_cycle"], described["grid"]) == ("Sakov", 4, "periodic")
    experiment = Experiment.from_description(described)
    assert (experiment.observed, experiment.cycle_length) == (tuple(range(40)), pytest.approx(0.2))
    (folder / "between.yaml").write_text(text.replace("sakov2008", "anderson2009") + "observation: dapper\n")
    described = load("between.yaml").descriptions["between"]
    assert (described["observation"], described["grid"]) == ({"function": "dapper"}, "dapper")
    (folder / "own.yaml").write_text(text.replace("sakov2008", "anderson2009") + "observation: {every: 2}\n")
    described = load("own.yaml").descriptions["own"]
    assert (described["observation"], described["grid"]) == ({"every": 2}, None)
    (folder / "other.yaml").write_text(text.replace("sakov2008", "sakov2018"))
    with pytest.raises(ConfigError, match=r"Did you mean 'Lorenz96\.sakov2008'"):
        load("other.yaml")


def test_gaps_are_not_for_a_search_by_dapper(load, folder):
    own = EXPERIMENT.replace("components: [0]", "components: [0], missing: 0.5").replace("batched", "screened")
    (folder / "sub" / "lake.yaml").write_text(own)
    with pytest.raises(ConfigError, match="runs without gaps, but observation has missing"):
        load("sub/lake.yaml")


def test_a_line_that_python_does_not_read_is_named(load, folder):
    (folder / "sub" / "model.py").write_text("class Lake:\n    def step(self:\n")
    with pytest.raises(ConfigError, match=r"model\.py, line 2"):
        load("sub/lake.yaml")


def test_it_is_known_without_torch_which_shipped_systems_have_distances_of_their_own():
    from mnmef.experiments.load import load_experiment

    for name in shipped_experiments():
        has_distances = any(hasattr(load_experiment(name).system, word) for word in ("distance", "coordinates"))
        assert model_speaks_of(name, "coordinates|distance") == has_distances, name
