"""Checkpoints come back bit for bit, or are refused with a reason."""

import re

import pytest
import torch
from safetensors.torch import save_file

from mnmef.experiments.load import load_experiment
from mnmef.filters.learned import initial_filter
from mnmef.learning.checkpoints import (
    BASE,
    filter_served,
    load_checkpoint,
    read_card,
    read_tensors,
    save_checkpoint,
    write_tensors,
)

MODEL = {"feature_size": 8, "width": 8, "heads": 2, "seeds": 2, "inflation": True}


@pytest.fixture
def saved(tmp_path):
    filter_ = initial_filter(load_experiment("lorenz96"), 1.0, MODEL, 0)
    path = tmp_path / "weights.safetensors"
    save_checkpoint(filter_, path, {"training": {"steps": 3}})
    return filter_, path


def test_weights_come_back_bit_for_bit_with_their_card(saved):
    filter_, path = saved
    loaded = load_checkpoint(path, experiment="lorenz96", sigma_y=1.0, model=MODEL)
    assert all(torch.equal(a, b) for a, b in zip(loaded.parameters(), filter_.parameters(), strict=True))
    assert read_card(path)["training"] == {"steps": 3}


def test_an_option_that_a_card_is_older_than_has_its_default(saved, tmp_path):
    card, older = read_card(saved[1]), tmp_path / "older.safetensors"
    default = card["model"].pop("localization")
    write_tensors(read_tensors(saved[1]), card, older)
    assert load_checkpoint(older, model=MODEL | {"localization": default}).options == saved[0].options
    with pytest.raises(ValueError, match=f"model.localization = {default}, but {not default}"):
        load_checkpoint(older, model={"localization": not default})


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"experiment": "ks", "sigma_y": 1.0}, "experiment = 'lorenz96'"),
        ({"experiment": "lorenz96", "sigma_y": 0.7}, "sigma_y = 1.0"),
        ({"experiment": "lorenz96", "sigma_y": 1.0, "model": MODEL | {"width": 16}}, "model.width = 8"),
    ],
)
def test_a_checkpoint_of_something_else_is_refused(saved, asked, message):
    with pytest.raises(ValueError, match=message):
        load_checkpoint(saved[1], **asked)


def test_weights_serve_the_system_the_grid_the_pattern_the_interval_and_the_noise_that_they_were_trained_for(tmp_path):
    experiment, path = load_experiment("lorenz96"), tmp_path / "conv.safetensors"
    save_checkpoint(initial_filter(experiment, 1.0, {"channels": 8, "layers": 2}, 0, name="mnmef_conv"), path)
    described = dict(experiment.description)
    assert filter_served(path, described, 1.0) == "mnmef_conv"
    for key, value, said in (
        ("name", "ks", "experiment = 'lorenz96', but 'ks'"),
        ("system", described["system"] | {"forcing": 9.0}, "system.forcing = 8.0, but 9.0"),
        ("grid", None, "grid = 'periodic', but None"),
        ("observation", {"every": 2}, "observation.every = 4, but 2"),
        ("observation", described["observation"] | {"missing": 0.5}, "observation.missing = None, but 0.5"),
        ("steps_per_cycle", 10, "steps_per_cycle = 5, but 10"),
    ):
        with pytest.raises(ValueError, match=re.escape(f"conv.safetensors was trained with {said} is asked for")):
            filter_served(path, described | {key: value}, 1.0)
    with pytest.raises(ValueError, match=re.escape("sigma_y = 1.0, but 0.7 is asked for")):
        filter_served(path, described, 0.7)


def test_a_file_of_the_users_is_the_same_in_another_folder(tmp_path):
    experiment, path = load_experiment("lorenz96"), tmp_path / "w.safetensors"
    described = dict(experiment.description)
    system, elsewhere = ({"name": f"/{folder}/lake.py:Lake"} for folder in ("here", "there"))
    card = {"description": described | {"system": system}}
    save_checkpoint(initial_filter(experiment, 1.0, MODEL, 0), path, card)
    assert filter_served(path, described | {"system": elsewhere}, 1.0) == "mnmef"


def test_a_filter_that_there_is_not_is_named(saved):
    write_tensors(read_tensors(saved[1]), read_card(saved[1]) | {"filter": "mnmef_con"}, saved[1])
    with pytest.raises(ValueError, match=r"weights\.safetensors 'mnmef_con'\. Did you mean 'mnmef_conv'"):
        filter_served(saved[1], load_experiment("lorenz96").description, 1.0)


def test_inflation_can_be_switched_off_when_loading(saved):
    loaded = load_checkpoint(saved[1], experiment="lorenz96", sigma_y=1.0, model=MODEL | {"inflation": False})
    assert not loaded.options.inflation


def test_a_truncated_checkpoint_is_refused(saved):
    path = saved[1]
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ValueError, match="truncated"):
        read_card(path)


def test_non_finite_weights_are_refused(saved):
    filter_, path = saved
    with torch.no_grad():
        next(filter_.parameters()).fill_(torch.nan)
    save_checkpoint(filter_, path)
    with pytest.raises(ValueError, match="non-finite"):
        load_checkpoint(path, experiment="lorenz96", sigma_y=1.0)


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match=rf"^{re.escape(str(tmp_path))} is a folder; a checkpoint is a file"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "null", "3", '["filter"]', '"mnmef"', "[1, 2]"])
def test_a_card_that_is_no_mapping_is_refused_with_its_file(tmp_path, text):
    path = tmp_path / "weights.safetensors"
    save_file({"a": torch.zeros(1)}, path, metadata={"card": text})
    with pytest.raises(ValueError, match=rf"^the card of {re.escape(str(path))} must be a JSON mapping"):
        load_checkpoint(path)


@pytest.mark.parametrize("key", ["filter", "experiment", "sigma_y", "model"])
def test_a_card_without_an_entry_or_with_one_of_another_type_is_refused_with_its_file(saved, key):
    path = saved[1]
    card, tensors = read_card(path), read_tensors(path)
    for changed in (card | {key: None}, card | {key: ["mnmef"]}, {k: v for k, v in card.items() if k != key}):
        write_tensors(tensors, changed, path)
        with pytest.raises(ValueError, match=rf"^the card of {re.escape(str(path))} has {key} = "):
            load_checkpoint(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"filter": "mnmeff"}, "'mnmeff'. Did you mean 'mnmef'"),
        ({"experiment": "lorenz69"}, "'lorenz69'"),
        ({"sigma_y": -1.0}, "sigma_y must be a positive, finite number"),
        ({"sigma_y": float("nan")}, "sigma_y must be a positive, finite number"),
        ({"model": {"breadth": 8}}, "breadth"),
        ({"model": {"width": "8"}}, "describes no filter"),
        ({"model": {"width": -8}}, "describes no filter"),
        ({"model": {"heads": 0}}, "describes no filter"),
        ({"model": {"input": 3}}, "describes no filter"),
    ],
)
def test_a_card_of_no_filter_is_refused_with_its_file(saved, change, said):
    path = saved[1]
    write_tensors(read_tensors(path), read_card(path) | change, path)
    with pytest.raises(ValueError, match=rf"^checkpoint {re.escape(str(path))} describes no filter: .*") as caught:
        load_checkpoint(path)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda tensors, name: tensors.pop(name), "lacks the tensor {name}"),
        (lambda tensors, name: tensors.update(more=torch.zeros(2)), "holds more, which is no tensor of its filter"),
        (lambda tensors, name: tensors.update({name: tensors[name][:-1]}), "holds {name} of shape"),
        (lambda tensors, name: tensors.update({name: tensors[name].double()}), "of torch.float64; right is"),
        (lambda tensors, name: tensors.update({name: tensors[name].int()}), "of torch.int32; right is"),
    ],
)
def test_tensors_of_another_filter_are_refused_by_name_with_their_file(saved, tmp_path, change, said):
    path, heads = saved[1], tmp_path / "heads.safetensors"
    card, tensors = read_card(path), read_tensors(path)
    name = next(name for name in tensors if name.startswith("gain_head"))
    write_tensors(tensors, card, tmp_path / BASE)
    for target, its_card, kept in (
        (path, card, dict(tensors)),
        (heads, card | {"base": BASE}, {k: v for k, v in tensors.items() if not k.startswith("encoders.")}),
    ):
        write_tensors(kept, its_card, target)
        assert len(load_checkpoint(target).state_dict()) == len(tensors)
        change(kept, name)
        write_tensors(kept, its_card, target)
        with pytest.raises(ValueError, match=rf"^checkpoint {re.escape(str(target))} ") as caught:
            load_checkpoint(target)
        assert said.format(name=name) in str(caught.value)


@pytest.mark.parametrize("base", ["weights.safetensors", "other.safetensors", "", 3, ["a"], "../weights.safetensors"])
def test_a_base_that_is_the_file_itself_or_no_whole_checkpoint_is_refused(saved, tmp_path, base):
    path = saved[1]
    card = read_card(path)
    write_tensors(read_tensors(path), card | {"base": base}, path)
    write_tensors(read_tensors(path), card | {"base": path.name}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=rf"^the card of {re.escape(str(path))} has base = {re.escape(repr(base))}"):
        load_checkpoint(path)


def test_a_checkpoint_without_its_end_is_refused(saved):
    path = saved[1]
    for count in (0, 7, 8, 100, path.stat().st_size - 1):
        damaged = path.with_name(f"{count}.safetensors")
        damaged.write_bytes(path.read_bytes()[:count])
        with pytest.raises(ValueError, match=rf"^{re.escape(str(damaged))} is not a readable safetensors file"):
            load_checkpoint(damaged)


def test_only_weights_fine_tuned_for_one_number_of_members_say_so(saved):
    filter_, path = saved
    for training, kept, members in (
        ({"heads_only": True, "ensemble_size": 20}, False, 20),
        ({"heads_only": True, "ensemble_size": 20}, True, None),
        ({"heads_only": False, "ensemble_size": 10}, False, None),
        (None, False, None),
    ):
        save_checkpoint(filter_, path, {"training": training, "kept_pretrained": kept})
        assert load_checkpoint(path).tuned_members == members


def test_weights_of_a_range_of_noise_serve_its_levels_and_no_others(tmp_path):
    experiment = load_experiment("lorenz63")
    filter_, path = initial_filter(experiment, 1.0, {"width": 4}, 0, name="mnmef_members"), tmp_path / "w.safetensors"
    save_checkpoint(filter_, path, {"training": {"noise_range": [0.7, 1.0]}})
    assert load_checkpoint(path).sigma_y == 1.0
    assert load_checkpoint(path, sigma_y=0.8).sigma_y == 0.8
    assert filter_served(path, experiment.description, 0.7) == "mnmef_members"
    with pytest.raises(ValueError, match=r"trained with sigma_y = 1.0, but 1.2 is asked for"):
        load_checkpoint(path, sigma_y=1.2)
