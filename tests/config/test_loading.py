"""The schema of config.yaml, and what it says about bad input."""

import copy
import subprocess
import sys
from typing import get_args

import numpy as np
import pytest
import yaml
from pydantic import BaseModel

from mnmef.config import schema
from mnmef.config.loading import ConfigError, load_config, write_config
from mnmef.config.schema import Config, Section
from mnmef.config.settings import merge
from mnmef.systems import make_system


@pytest.fixture
def raw(root):
    return yaml.safe_load((root / "config.yaml").read_text())


def sections(model: type[BaseModel] = Config):
    yield model
    for field in model.model_fields.values():
        for inner in (field.annotation, *get_args(field.annotation)):
            if isinstance(inner, type) and issubclass(inner, Section):
                yield from sections(inner)


@pytest.mark.parametrize("scale", ["quick", "laptop", "paper"])
def test_every_shipped_scale_is_valid(raw, scale):
    assert load_config({**raw, "scale": scale}).scale == scale


def test_every_key_has_a_description_a_unit_and_a_section_of_the_paper():
    for model in sections():
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{name}"
            assert set(field.json_schema_extra) == {"unit", "section"}, f"{model.__name__}.{name}"


def test_the_scale_is_laid_over_the_base_and_the_user_over_both(raw):
    raw["training"]["steps"], raw["scales"]["quick"]["training"]["steps"] = 1, 2
    assert load_config({**raw, "scale": "paper"}).training.steps == 1
    assert load_config({**raw, "scale": "quick"}).training.steps == 2
    assert load_config(raw, {"scale": "quick", "training": {"steps": 3}}).training.steps == 3


def test_numbers_that_snakemake_hands_over_as_text_are_numbers(raw):
    overrides = {"ensemble_sizes": ["5", "10"], "training": {"steps": "7", "gradient_clip": {"ks": "null"}}}
    config = load_config(raw, overrides)
    assert config.ensemble_sizes == [5, 10]
    assert config.training.steps == 7
    assert config.training.gradient_clip["ks"] is None


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
        ({"training": {"batch": {"lorenz69": 3}}}, ["training.batch.lorenz69", "Did you mean"]),
        ({"scale": "quik"}, ["'quik'", "Did you mean 'quick'?"]),
        ({"systems": ["lorenz69"]}, ["'lorenz69'", "did you mean 'lorenz96'?"]),
        ({"training": {"steps": "many"}}, ["training.steps = 'many'", "must be a whole number", "optimizer steps"]),
        ({"training": {"steps": 0}}, ["training.steps = 0", "must be at least 1"]),
        ({"training": {"steps": 2.5}}, ["training.steps = 2.5", "must be a whole number"]),
        ({"training": {"steps": True}}, ["training.steps = True", "must be a whole number"]),
        ({"training": {"loss": {"ks": "nl3"}}}, ["training.loss.ks = 'nl3'", "nl2, l2, rmse, crps or spread"]),
        ({"training": {"loss": "crps"}}, ["training.loss = 'crps'", "must be a mapping, such as {key: value}"]),
        ({"training": {"learning_rate": {"ks": float("nan")}}}, ["training.learning_rate.ks = nan", "finite"]),
        ({"training": 3}, ["training = 3", "section"]),
        ({"noise_levels": [True]}, ["noise_levels.0 = True", "must be a number", "state units"]),
        ({"noise_levels": [-1.0]}, ["noise_levels.0 = -1.0", "greater than 0"]),
        ({"noise_levels": 0.7}, ["noise_levels = 0.7", "must be a list"]),
        ({"ensemble_sizes": [5, 5]}, ["ensemble_sizes = [5, 5]", "none twice"]),
        ({"ensemble_sizes": []}, ["ensemble_sizes = []", "at least one"]),
        ({"ensemble_sizes": [1]}, ["ensemble_sizes.0 = 1", "at least 2"]),
        ({"ensemble_sizes": [200]}, ["data.members", "200"]),
        ({"ensemble_sizes": [30]}, ["ensemble_sizes has 30", "5, 10, 15, 20, 40, 60, 100"]),
        ({"baselines": {"lorenz63": ["letkf"]}}, ["baselines.lorenz63", "no spatial grid"]),
        ({"tuning": {"cycles": 10**6}}, ["tuning.cycles = 1000000", "data.tune.cycles"]),
        ({"model": {"inflation": "maybe"}}, ["model.inflation = 'maybe'", "true or false"]),
        ({"own_weights": {"ks_1": "w"}}, ["'ks_1'", "Did you mean 'ks_1.0'?"]),
        ({"mnmef_conv": {"model": {"patch": {"ks": 3}}}}, ["mnmef_conv.model.patch.ks = 3", "must divide", "8"]),
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
    ],
)
def test_a_bad_value_is_named_with_what_would_be_right(raw, overrides, said):
    with pytest.raises(ConfigError) as caught:
        load_config(raw, overrides)
    for text in said:
        assert text in str(caught.value)


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
    from mnmef.filters.classical import CLASSICAL_METHODS, LOCALIZED_METHODS
    from mnmef.systems import SYSTEMS, make_system

    assert set(schema.SYSTEMS) == set(SYSTEMS)
    assert set(schema.METHODS) == set(CLASSICAL_METHODS)
    assert set(schema.GRIDDED_METHODS) == set(LOCALIZED_METHODS)
    assert set(schema.GRIDDED_SYSTEMS) == {name for name in SYSTEMS if make_system(name).is_periodic}


def test_every_ensemble_size_of_the_schema_has_a_grid(root):
    grids = yaml.safe_load((root / "resources" / "published" / "search_grids.yaml").read_text())
    for system in schema.SYSTEMS:
        assert set(grids[system]["inflation"]["default"]) == set(schema.GRID_SIZES)


def test_the_written_config_reads_back_as_the_same_and_is_left_alone_then(raw, tmp_path):
    config, path = load_config({**raw, "scale": "quick"}), tmp_path / "quick" / "config.yaml"
    write_config(config, path)
    assert Config.model_validate(yaml.safe_load(path.read_text())) == config
    before = path.stat().st_mtime_ns
    write_config(config, path)
    assert path.stat().st_mtime_ns == before


def test_reading_a_config_loads_neither_torch_nor_dapper(root):
    code = (
        "import sys, mnmef.config.loading, mnmef.io.digest; assert not {'torch', 'dapper', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True)


def test_the_distances_of_observations_are_those_of_the_systems():
    for system, every in schema.OBSERVED_EVERY.items():
        assert set(np.diff(make_system(system).observed)) == {every}
