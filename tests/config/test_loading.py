"""The schema of config.yaml and of the experiments' files, and what it says about bad input."""

import copy
import re
import subprocess
import sys
from typing import get_args

import numpy as np
import pytest
import yaml
from pydantic import BaseModel

from mnmef.config.experiment import Description
from mnmef.config.fields import Section
from mnmef.config.loading import ConfigError, load_config, write_config
from mnmef.config.schema import RUN_WIDE, RUN_WIDE_PARTS, Config
from mnmef.config.settings import merge
from mnmef.core.names import CLASSICAL_METHODS, LOCALIZED_METHODS
from mnmef.experiments.files import DESCRIPTION, read_experiment, shipped_experiments
from mnmef.experiments.load import load_experiment
from mnmef.filters.classical import make_classical
from mnmef.io.strict_yaml import read_yaml

STATION = {"experiment": "lorenz63", "observations": "y.nc", "filter": "esrf", "sigma_y": 1.0}


@pytest.fixture
def raw(root):
    return yaml.safe_load((root / "config.yaml").read_text())


@pytest.fixture
def said(monkeypatch):
    """A function that lays keys over what the file of an experiment says."""

    def say(name, keys):
        content = merge(read_experiment(name), keys)
        for module in ("files", "description"):
            monkeypatch.setattr(
                f"mnmef.experiments.{module}.read_experiment",
                lambda other: content if other == name else read_experiment(other),
            )

    return say


def sections(model: type[BaseModel]):
    yield model
    for field in model.model_fields.values():
        for inner in parts(field.annotation):
            if isinstance(inner, type) and issubclass(inner, Section):
                yield from sections(inner)


def parts(annotation):
    yield annotation
    for inner in get_args(annotation):
        yield from parts(inner)


@pytest.mark.parametrize("scale", ["quick", "laptop", "paper"])
def test_every_shipped_scale_is_valid(raw, scale):
    run = load_config({**raw, "scale": scale})
    assert {config.scale for config in (run.common, *run.experiments.values())} == {scale}
    assert list(run.experiments) == list(run.descriptions) == raw["experiments"]


def test_every_key_has_a_description_a_unit_and_a_section_of_the_paper():
    for model in (*sections(Config), *sections(Description)):
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{name}"
            assert set(field.json_schema_extra) == {"unit", "section"}, f"{model.__name__}.{name}"


def test_the_scale_is_laid_over_the_base_and_the_user_over_both(raw):
    raw["training"]["steps"], raw["scales"]["quick"]["training"]["steps"] = 1, 2
    for steps, run in (
        (1, load_config({**raw, "scale": "paper"})),
        (2, load_config({**raw, "scale": "quick"})),
        (3, load_config(raw, {"scale": "quick", "training": {"steps": 3}})),
    ):
        assert {config.training.steps for config in (run.common, *run.experiments.values())} == {steps}


def test_the_file_of_an_experiment_is_laid_over_config_yaml_and_its_scales_over_all_scales(raw, said):
    said("ks", {"training": {"steps": 11, "batch": 12}, "scales": {"quick": {"training": {"steps": 13}}}})
    raw["training"] |= {"steps": 1, "batch": 2, "weight_decay": 0.5}
    raw["scales"]["quick"]["training"] = {"steps": 3, "batch": 4}

    def training(scale, name, **overrides):
        run = load_config({**raw, "scale": scale}, {"training": overrides})
        part = run.experiments[name].training if name else run.common.training
        return part.steps, part.batch, part.weight_decay

    assert training("paper", None) == (1, 2, 0.5)
    assert training("paper", "ks") == (11, 12, 0.5)
    assert training("quick", None) == training("quick", "lorenz96") == (3, 4, 0.5)
    # The scale's own overlay lies over what the file says of all scales, and the file's overlay of the scale over it.
    assert training("quick", "ks") == (13, 4, 0.5)
    assert training("quick", "ks", steps=5) == (5, 4, 0.5)


def test_values_of_an_experiment_come_from_its_file(raw):
    for scale in ("laptop", "paper"):
        run = load_config({**raw, "scale": scale})
        assert {name: config.benchmark for name, config in run.experiments.items()} == {
            "lorenz63": "ienkf_pertobs",
            "lorenz96": "letkf",
            "ks": "letkf",
        }
        assert [config.mnmef_conv.model.reach for config in run.experiments.values()] == [20, 20, 32]
        assert run.descriptions["ks"]["observation"] == {"every": 8}
        assert run.descriptions["lorenz63"]["grid"] is None
    laptop = load_config({**raw, "scale": "laptop"}).experiments.values()
    assert [config.data.test.cycles for config in laptop] == [1000, 1000, 750]
    assert [config.training.gradient_clip for config in laptop] == [0.005, 1.0, 0.2]
    assert [config.training.loss for config in laptop] == ["nl2", "crps", "nl2"]
    paper = run.experiments.values()
    assert [config.data.test.cycles for config in paper] == [1500, 1500, 2000]
    assert [config.training.batch for config in paper] == [1024, 512, 256]
    assert [config.training.gradient_clip for config in paper] == [None] * 3


def test_numbers_that_snakemake_hands_over_as_text_are_numbers(raw):
    overrides = {"ensemble_sizes": ["5", "10"], "training": {"steps": "7", "gradient_clip": "null"}}
    config = load_config(raw, overrides).experiments["ks"]
    assert config.ensemble_sizes == [5, 10]
    assert config.training.steps == 7
    assert config.training.gradient_clip is None


def test_an_overlay_leaves_the_other_keys_of_a_section_alone_and_replaces_lists():
    merged = merge({"a": {"b": 1, "c": [1, 2]}, "d": 0}, {"a": {"c": [3]}})
    assert merged == {"a": {"b": 1, "c": [3]}, "d": 0}


def test_merging_changes_neither_layer(raw):
    before = copy.deepcopy(raw)
    load_config(raw, {"scale": "quick", "seed": 7})
    assert raw == before


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"trainings": {}}, ["'trainings'", "Did you mean 'training'?"]),
        ({"training": {"stesp": 3}}, ["'training.stesp'", "Did you mean 'training.steps'?"]),
        ({"data": {"test": {"cycels": {}}}}, ["'data.test.cycels'", "Did you mean 'data.test.cycles'?"]),
        (
            {"training": {"batch": {"ks": 3}}},
            ["training.batch = {'ks': 3}", "a whole number", "in their files", "ks.yaml"],
        ),
        ({"search": {"inflation": {"letkff": {5: {"step": 0.1, "count": 2}}}}}, ["search.inflation.letkff", "'letkf'"]),
        ({"search": {"inflation": {"letkf": {5: {"stpe": 1}}}}}, ["search.inflation.letkf.5.stpe'", ".5.step'"]),
        ({"scale": "quik"}, ["'quik'", "Did you mean 'quick'?"]),
        ({"experiments": ["lorenz69"]}, ["'lorenz69'", "did you mean 'lorenz96'?"]),
        ({"training": {"steps": "many"}}, ["training.steps = 'many'", "must be a whole number", "optimizer steps"]),
        ({"training": {"steps": 0}}, ["training.steps = 0", "must be at least 1"]),
        ({"training": {"steps": 2.5}}, ["training.steps = 2.5", "must be a whole number"]),
        ({"training": {"steps": True}}, ["training.steps = True", "must be a whole number"]),
        ({"training": {"loss": "nl3"}}, ["training.loss = 'nl3'", "nl2, l2, rmse, log_mse, crps or spread"]),
        (
            {"finetuning": {"batch_divisor": 2}},
            ["finetuning.batch_divisor = 2", "must be a mapping, such as {key: value}"],
        ),
        ({"training": {"learning_rate": float("nan")}}, ["training.learning_rate = nan", "finite"]),
        ({"training": 3}, ["training = 3", "section"]),
        ({"noise_levels": [True]}, ["noise_levels.0 = True", "must be a number", "state units"]),
        ({"noise_levels": [-1.0]}, ["noise_levels.0 = -1.0", "greater than 0"]),
        ({"noise_levels": 0.7}, ["noise_levels = 0.7", "must be a list"]),
        ({"ensemble_sizes": [5, 5]}, ["ensemble_sizes = [5, 5]", "must not have 5 twice"]),
        ({"ensemble_sizes": []}, ["ensemble_sizes = []", "at least one"]),
        ({"ensemble_sizes": [1]}, ["ensemble_sizes.0 = 1", "at least 2"]),
        ({"ensemble_sizes": [200]}, ["data.members", "200"]),
        ({"ensemble_sizes": [30]}, ["ensemble_sizes has 30", "5, 10, 15, 20, 40, 60, 100"]),
        ({"baselines": ["letkf"]}, ["lorenz63: baselines has letkf", "no spatial grid"]),
        ({"search": {"cycles": 10**6}}, ["search.cycles = 1000000", "data.tune.cycles"]),
        ({"model": {"inflation": "maybe"}}, ["model.inflation = 'maybe'", "true or false"]),
        ({"own_weights": {"ks_1": "w"}}, ["'ks_1'", "Did you mean 'ks_1.0'?"]),
        ({"assimilations": {"a-b": STATION}}, ["assimilations.a-b: a name must have letters, digits"]),
        ({"assimilations": {"a": STATION | {"weights": "w"}}}, ["assimilations.a: must have either weights or filter"]),
        (
            {"assimilations": {"a": STATION | {"filter": "letkf"}}},
            ["a: letkf needs a localization_radius"],
        ),
        (
            {"assimilations": {"a": STATION | {"filter": None, "weights": "w", "localization_radius": 2.0}}},
            ["assimilations.a: a learned filter has no localization_radius"],
        ),
        ({"assimilations": {"a": STATION | {"sigma_y": None}}}, ["assimilations.a: filter = esrf needs sigma_y"]),
        (
            {"assimilations": {"a": STATION | {"inflation": 0.9}}},
            ["a.inflation = 0.9 must be at least 1"],
        ),
        ({"assimilations": {"a": STATION | {"filter": "var3d"}}}, ["assimilations.a: var3d has no ensemble of equal"]),
        ({"assimilations": {"a": STATION | {"lag": 0}}}, ["assimilations.a.lag = 0 must be at least 1"]),
        ({"assimilations": {"a": STATION}, "experiments": ["ks"]}, ["a.experiment = lorenz63: must be one of ['ks']"]),
        ({"assimilations": {"a": STATION | {"observation": "y"}}}, ["Did you mean 'assimilations.a.observations'?"]),
        (
            {"experiments": ["ks"], "mnmef_conv": {"model": {"patch": 3}}},
            ["ks: mnmef_conv.model.patch = 3", "must divide", "8"],
        ),
        (
            {"experiments": ["ks"], "mnmef_local": {"model": {"every": 3}}},
            ["ks: mnmef_local.model.every = 3", "must divide", "8"],
        ),
        ({"mnmef_conv": {"model": {"kernel": 4}}}, ["mnmef_conv.model.kernel = 4", "odd"]),
        ({"published": {"trials": 1}}, ["published.trials = 1", "at least 2", "final round"]),
        ({"published": {"trials": 8}}, ["published: trials are [4, 16, 8]", "must not decrease"]),
        (
            {"published": {"rounds": [{"trials": 4, "cycles": 9, "keep": 2}, {"trials": 4, "cycles": 8, "keep": 2}]}},
            ["published: cycles are [9, 8]", "must not decrease"],
        ),
        (
            {"published": {"rounds": [{"trials": 4, "cycles": 9, "keep": 0}]}},
            ["published.rounds.0.keep = 0 must be at least 1 (settings that stay"],
        ),
        (
            {"published": {"rounds": [{"trials": 4, "cycles": 9, "kept": 1, "keep": 1}]}},
            ["'published.rounds.0.kept'", "Did you mean 'published.rounds.0.keep'?"],
        ),
        ({"published": {"rounds": 3}}, ["published.rounds = 3 must be a list", "before the final one"]),
        ({"published": {"cycles": 0}}, ["published.cycles = 0 must be at least 1"]),
        ({"published": {"fraction": -0.1}}, ["published.fraction = -0.1 must be at least 0"]),
        ({"model": {"heads": 7}}, ["model.heads = 7", "divide"]),
        (
            {"search": {"localization_radius": {5: [1.0, 2.0, 1.0]}}},
            ["search.localization_radius = {5: [1.0, 2.0, 1.0]", "must not have 1.0 twice"],
        ),
        ({"noise_levels": [1, 1.0]}, ["noise_levels = [1, 1.0]", "must not have 1.0 twice"]),
        *(
            ({section: {key: []}}, [f"{section}.{key} = [] must have at least one entry"])
            for section, key in (
                ("finetuning_curve", "ensemble_sizes"),
                ("finetuning_curve", "epochs"),
                ("linear_gaussian", "losses"),
                ("scaling", "sizes"),
                ("reference", "methods"),
                ("reference", "inflations"),
            )
        ),
        ({"experiments": []}, ["experiments = [] must have at least one entry"]),
        ({"noise_levels": []}, ["noise_levels = [] must have at least one entry"]),
        ({"search": {"localization_radius": {5: []}}}, ["search.localization_radius.5 = [] must have at least one"]),
        ({"noise_levels": [0.00001]}, ["noise_levels.0 = 1e-05 must be at least 0.0001"]),
        ({"noise_levels": [1.0, 1e16]}, ["noise_levels.1 = 1e+16 must be at most 1000000.0"]),
        ({"training": {"misplaced": 1.5}}, ["training.misplaced = 1.5 must be at most 1"]),
        ({"learned": [], "baselines": []}, ["lorenz63: none of baselines, learned and filters runs on it"]),
        (
            {"learned": ["mnmef_conv"], "baselines": [], "experiments": ["lorenz63"]},
            ["lorenz63: none of baselines, learned and filters runs on it"],
        ),
        ({"robustness": {"sigma_y": 0.3}}, ["robustness.sigma_y = 0.3: must be one of noise_levels = [1.0, 0.7]"]),
        (
            {"robustness": {"ensemble_size": 7}},
            ["robustness.ensemble_size = 7: must be one of ensemble_sizes = "],
        ),
        ({"finetuning_curve": {"sigma_y": 0.3}}, ["finetuning_curve.sigma_y = 0.3: must be one of noise_levels"]),
        ({"scaling": {"sigma_y": 0.3}}, ["scaling.sigma_y = 0.3: must be one of noise_levels"]),
        ({"scaling": {"ensemble_size": 7}}, ["scaling.ensemble_size = 7: must be one of ensemble_sizes"]),
        (
            {"evaluation": {"traced": {"ensemble_size": 7}}},
            ["evaluation.traced.ensemble_size = 7: must be one of ensemble_sizes"],
        ),
        ({"training": {"seed": 3}}, ["training.seed is not there; it is a key of its own: seed"]),
        (
            {"data": {"noise_levels": [1.0]}},
            ["data.noise_levels is not there; it is a key of its own: noise_levels"],
        ),
    ],
)
def test_a_bad_value_is_named_with_what_would_be_right(raw, overrides, said):
    with pytest.raises(ConfigError) as caught:
        load_config(raw, overrides)
    for text in said:
        assert text in str(caught.value)


def test_a_size_may_have_several_turns_in_a_training(raw, tmp_path):
    run = load_config(merge(raw, {"training": {"other_sizes": [10, 5, 10]}}))
    write_config(run, tmp_path / "config.yaml")
    written = yaml.safe_load((tmp_path / "config.yaml").read_text())
    assert all(written[name]["training"]["other_sizes"] == [10, 5, 10] for name in run.experiments)


def test_every_noise_level_is_written_without_an_exponent_in_the_names_of_files(raw):
    for level in (1e-4, 0.05, 1, 1e6):
        kept = load_config(raw, {"noise_levels": [level]}).common.noise_levels[0]
        assert re.fullmatch(r"[0-9]+[.][0-9]+", str(kept))


def test_what_a_list_of_the_users_has_not_is_left_out_where_the_user_does_not_ask_for_it(raw):
    run = load_config(raw, {"noise_levels": [0.5], "ensemble_sizes": [20]})
    assert run.common.robustness.sigma_y == 1.0


def test_weights_of_ones_own_are_a_filter(raw):
    keys = {"learned": [], "baselines": [], "experiments": ["ks"], "own_weights": {"ks_1.0": "mine.safetensors"}}
    assert load_config(raw, keys).common.own_weights == keys["own_weights"]


@pytest.mark.parametrize(
    "overrides",
    [
        {"training": {"seed": 3}},
        {"data": {"noise_levels": [1.0]}},
        {"mnmef_conv": {"reach": 3}},
        {"data": {"test": {"members": 3}}},
        {"finetuning": {"batch": 3}},
    ],
)
def test_the_hint_of_an_error_is_never_the_key_that_was_refused(raw, overrides):
    path, inner = "", overrides
    while isinstance(inner, dict):
        key, inner = next(iter(inner.items()))
        path = f"{path}.{key}" if path else key
    with pytest.raises(ConfigError, match=f"^config key {re.escape(path)} is not there; it is a key of its own: ") as e:
        load_config(raw, overrides)
    assert path not in str(e.value).partition(": ")[2].split(" or ")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("bound: 20.0", "bound: 20.0\nbound: 30.0", "key bound stands twice.*line 7"),
        ("state_size: 40,", "state_size: 40, state_size: 80,", "key state_size stands twice.*line 3"),
        ("grid: periodic", "grid: [", "while parsing"),
        ("title:", "- title:", "while parsing.*line 2"),
    ],
)
def test_a_key_twice_in_the_file_of_an_experiment_is_refused_with_file_and_line(root, tmp_path, old, new, said):
    file = tmp_path / "mine.yaml"
    file.write_text((root / "mnmef/experiments/paper/lorenz96.yaml").read_text().replace(old, new, 1))
    with pytest.raises(ValueError, match=rf"(?s)^{re.escape(str(file))} cannot be read: .*{said}"):
        read_yaml(file)


def test_a_key_twice_is_refused_in_config_yaml_and_what_is_no_mapping_as_well(root, raw, tmp_path):
    assert read_yaml(root / "config.yaml") == raw
    file = tmp_path / "config.yaml"
    file.write_text((root / "config.yaml").read_text() + "\nseed: 3\n")
    with pytest.raises(ValueError, match="key seed stands twice"):
        read_yaml(file)
    for text in ("", "[1, 2]", "3"):
        file.write_text(text)
        with pytest.raises(ValueError, match="must be a mapping of keys to values"):
            read_yaml(file)
    with pytest.raises(ValueError, match="cannot be read"):
        read_yaml(tmp_path)
    # Keys that a mapping takes from another with `<<`, and gives other values, stand once in each.
    file.write_text("a: &a {x: 1, y: 2}\nb: &b {<<: *a, x: 3}\nc: {<<: *b, y: 4}\n")
    assert read_yaml(file)["c"] == {"x": 3, "y": 4}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"systems": ["ks"]}, "config key systems is called experiments now"),
        ({"tuning": {"cycles": 3}}, "config key tuning is called search now"),
        (
            {"training_seeds": {"systems": ["ks"]}},
            "config key training_seeds.systems is called training_seeds.experiments now",
        ),
    ],
)
def test_an_old_key_is_refused_with_the_name_of_the_new_one(raw, overrides, message):
    with pytest.raises(ConfigError) as caught:
        load_config(raw, overrides)
    assert str(caught.value) == message


def test_an_old_method_is_refused_with_the_name_of_the_new_one(raw):
    with pytest.raises(ConfigError, match=r"baselines\.0 = 'ienks_sqrt_lag2' is called ienks now"):
        load_config(raw, {"baselines": ["ienks_sqrt_lag2"]})


@pytest.mark.parametrize("key", [*RUN_WIDE, *RUN_WIDE_PARTS])
def test_a_key_of_the_run_is_refused_in_the_file_of_an_experiment(raw, said, key):
    own = load_config(raw).common.model_dump()
    for part in key.split("."):
        own = own[part]
    for part in reversed(key.split(".")):
        own = {part: own}
    message = f"ks.yaml: key {key} is the same for all experiments of a run: it belongs into config.yaml"
    for keys in (own, {"scales": {"laptop": own}}):
        said("ks", keys)
        with pytest.raises(ConfigError) as caught:
            load_config(raw)
        assert str(caught.value) == message
        # Of an experiment that is not run, nothing is asked.
        load_config(raw, {"experiments": ["lorenz96"]})


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"training": {"stepz": 3}}, "'ks.yaml: training.stepz'. Did you mean 'ks.yaml: training.steps'?"),
        ({"training": {"weight_decay": -1}}, "ks.yaml: training.weight_decay = -1 must be at least 0"),
        (
            {"scales": {"quick": {"data": {"test": {"cycles": "long"}}}}},
            "ks.yaml: scales.quick.data.test.cycles = 'long' must be a whole number",
        ),
        ({"steps_per_cycle": 0}, "ks.yaml: steps_per_cycle = 0 must be at least 1"),
        ({"step_per_cycle": 2}, "'ks.yaml: step_per_cycle'. Did you mean 'ks.yaml: steps_per_cycle'?"),
        ({"grid": "square"}, "ks.yaml: grid = 'square' must be 'periodic'"),
        ({"observation": {"components": [0]}}, "ks.yaml: observation = "),
        ({"tuning": {}}, "config key ks.yaml: tuning is called search now"),
    ],
)
def test_a_fault_in_the_file_of_an_experiment_is_named_with_the_file(raw, said, keys, message):
    said("ks", keys)
    with pytest.raises(ConfigError) as caught:
        load_config({**raw, "scale": "quick"})
    assert message in str(caught.value)


def test_a_fault_in_an_overlay_is_named_where_it_stands(raw):
    raw["scales"]["quick"]["training"]["stepz"] = 3
    raw["scales"]["quick"]["noise_levels"] = ["loud"]
    with pytest.raises(ConfigError) as caught:
        load_config({**raw, "scale": "quick"})
    assert "'scales.quick.training.stepz'" in str(caught.value)
    assert "scales.quick.noise_levels.0 = 'loud'" in str(caught.value)


def test_a_missing_key_is_named(raw):
    del raw["training"]["batch"]
    raw["scales"]["quick"]["training"].pop("batch")
    with pytest.raises(ConfigError, match=r"training\.batch is missing"):
        load_config({**raw, "scale": "quick"})


def test_the_names_of_the_schema_are_those_of_the_registries():
    known = {"enkf", "enkf_localized", "esrf", "letkf", "ienkf_pertobs", "ienkf_sqrt", "ienks", "enkf_n", "denkf"}
    assert set(CLASSICAL_METHODS) == known | {"particle", "var3d", "optimal_interpolation", "climatology"}
    assert set(LOCALIZED_METHODS) == {"enkf_localized", "letkf"}
    for method in CLASSICAL_METHODS:
        radius = np.array([4.0]) if method in LOCALIZED_METHODS else None
        make_classical(method, load_experiment("lorenz96"), 1.0, np.array([1.0]), radius)
    assert set(shipped_experiments("paper")) == {"lorenz63", "lorenz96", "ks"}
    assert {name for name in shipped_experiments("paper") if load_experiment(name).is_periodic} == {"lorenz96", "ks"}


def test_the_keys_of_an_experiment_are_those_of_its_description():
    assert set(Description.model_fields) == {"name", *DESCRIPTION}
    assert not set(DESCRIPTION) & set(Config.model_fields)


def test_every_ensemble_size_has_a_grid(raw):
    run = load_config({**raw, "scale": "paper"})
    assert run.common.ensemble_sizes == [5, 10, 15, 20, 40, 60, 100]
    for name, config in run.experiments.items():
        for sizes in config.search.inflation.values():
            assert set(sizes) == set(config.ensemble_sizes)
        has_grid = run.descriptions[name]["grid"] is not None
        assert set(config.search.localization_radius) == (set(config.ensemble_sizes) if has_grid else set())


def test_the_written_config_reads_back_as_the_same_and_is_left_alone_then(raw, tmp_path):
    run, path = load_config({**raw, "scale": "quick"}), tmp_path / "quick" / "config.yaml"
    write_config(run, path)
    written = yaml.safe_load(path.read_text())
    common = {key: written.pop(key) for key in RUN_WIDE}
    assert list(written) == list(run.experiments)
    for name, own in written.items():
        described = {key: own.pop(key) for key in ("name", *DESCRIPTION) if key in own}
        assert described == run.descriptions[name]
        assert Config.model_validate(common | own) == run.experiments[name]
    before = path.stat().st_mtime_ns
    write_config(run, path)
    assert path.stat().st_mtime_ns == before


def test_reading_a_config_loads_neither_torch_nor_dapper(root):
    code = (
        "import sys, mnmef.config.loading, mnmef.io.digest; assert not {'torch', 'dapper', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True)


def test_the_distances_of_observations_are_those_of_the_systems(raw):
    described = load_config(raw).descriptions
    every = {name: each["observation"]["every"] for name, each in described.items() if each["grid"] is not None}
    assert every == {"lorenz96": 4, "ks": 8}
    for experiment, distance in every.items():
        assert set(np.diff(load_experiment(experiment).observed)) == {distance}
