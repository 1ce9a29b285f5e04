"""Weights that come with the repository: heads alone suffice, only better ones replace, and cards tell the truth."""

import json
from functools import cache
from pathlib import Path

import pytest
import torch
import yaml

from mnmef.core.names import LEARNED_FILTERS
from mnmef.data.twin import simulate_split
from mnmef.experiments.load import load_experiment
from mnmef.filters.mnmef import ModelOptions
from mnmef.fit import main as fit
from mnmef.learning.checkpoints import load_checkpoint, read_card, read_tensors, write_tensors
from mnmef.learning.selection import tuning_score
from mnmef.learning.shipped import SHIPPED_WEIGHTS
from mnmef.learning.shipping import main, sha256
from mnmef.learning.shipping import ship as ship_file

CELL = "lorenz63_1.0"
SHIPPED = sorted(SHIPPED_WEIGHTS.glob("*/*.safetensors"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A config and a folder with a trained and a fine-tuned filter, both tiny."""
    root = tmp_path_factory.mktemp("shipping")
    settings = yaml.safe_load(Path("config.yaml").read_text())
    quick = settings["scales"]["quick"]
    quick["data"] |= {"train": {"windows": 8, "window_cycles": 4, "offset_cycles": 2}}
    quick["data"]["tune"] = {"trajectories": 3, "cycles": 12}
    quick["training"] |= {"steps": 6, "batch": 4}
    quick["finetuning"] = {"steps": 3}
    quick["model"] = {"feature_size": 8, "width": 8, "heads": 2, "seeds": 2, "hidden_layers": 1}
    (root / "config.yaml").write_text(yaml.safe_dump(settings))
    options = ["--config", str(root / "config.yaml"), "--scale", "quick"]
    assert fit([*options, "--out", str(root / "training"), CELL, f"{CELL}_5"]) == 0
    return options, root


def ship(trained, target, *cells):
    options, root = trained
    return main([*options, "--source", str(root / "training"), "--target", str(target), *cells])


def test_shipped_heads_make_the_tuned_filter_and_its_card_holds_its_score_on_the_tuning_split(trained, tmp_path):
    assert ship(trained, tmp_path, CELL) == 0
    folder = tmp_path / CELL
    names = sorted(path.name for path in folder.iterdir())
    assert names == [f"mnmef_{stem}.{end}" for stem in ("finetuned_5", "pretrained") for end in ("json", "safetensors")]
    heads = read_tensors(folder / "mnmef_finetuned_5.safetensors")
    assert heads
    assert not [name for name in heads if name.startswith("encoders.")]
    tuned, shipped = (
        load_checkpoint(path / "mnmef_finetuned_5.safetensors", experiment="lorenz63", sigma_y=1.0)
        for path in (trained[1] / "training" / CELL, folder)
    )
    for name, value in tuned.state_dict().items():
        assert torch.equal(value, shipped.state_dict()[name]), name
    card = json.loads((folder / "mnmef_finetuned_5.json").read_text())
    assert card["sha256"] == sha256(folder / "mnmef_finetuned_5.safetensors")
    assert not card["kept_pretrained"]
    split = simulate_split(load_experiment("lorenz63"), "tune", 3, 12, [1.0], 100, 2504)
    assert card["tuning_split"] == pytest.approx(tuning_score(tuned, split, 5, 2504))


def test_only_better_weights_replace_those_that_are_there(trained, tmp_path, capsys):
    ship(trained, tmp_path, CELL)
    before = (tmp_path / CELL / "mnmef_pretrained.json").read_text()
    ship(trained, tmp_path, CELL)
    assert "kept" in capsys.readouterr().out
    assert (tmp_path / CELL / "mnmef_pretrained.json").read_text() == before
    # Worse weights give way: all but the encoders lose their meaning.
    worse = tmp_path / "worse" / CELL
    worse.mkdir(parents=True)
    file = tmp_path / CELL / "mnmef_pretrained.safetensors"
    write_tensors({k: 30 * v for k, v in read_tensors(file).items()}, read_card(file), worse / file.name)
    ship(trained, tmp_path / "worse", CELL)
    assert capsys.readouterr().out.endswith("shipped\n")
    assert sha256(worse / file.name) == sha256(file)


def test_better_heads_of_the_same_filter_replace_those_that_are_there(trained, tmp_path, capsys):
    ship(trained, tmp_path, CELL)
    heads, base = (tmp_path / CELL / name for name in ("mnmef_finetuned_5.safetensors", "mnmef_pretrained.json"))
    good, before = sha256(heads), base.stat().st_mtime_ns
    write_tensors({k: 30 * v for k, v in read_tensors(heads).items()}, read_card(heads), heads)
    ship(trained, tmp_path, CELL)
    assert capsys.readouterr().out.endswith("mnmef_finetuned_5.safetensors: shipped\n")
    assert sha256(heads) == good
    assert base.stat().st_mtime_ns == before


def test_heads_that_fine_tuning_made_worse_are_those_of_the_pretrained_filter(trained, tmp_path):
    source = trained[1] / "training" / CELL
    split = simulate_split(load_experiment("lorenz63"), "tune", 3, 12, [1.0], 100, 2504)
    base, target = tmp_path / "mnmef_pretrained.safetensors", tmp_path / "mnmef_finetuned_5.safetensors"
    tuned, harmed = source / target.name, tmp_path / "source" / target.name
    harmed.parent.mkdir()
    ship_file(source / base.name, base, split, 5, 2504, heads_only=False)
    tensors = read_tensors(tuned)
    # A filter that is thrown far off the truth at every cycle.
    worse = {name: value + 3.0 * (not name.startswith("encoders.")) for name, value in tensors.items()}
    write_tensors(worse, read_card(tuned), harmed)
    ship_file(harmed, target, split, 5, 2504, heads_only=True)
    card = json.loads(target.with_suffix(".json").read_text())
    assert card["kept_pretrained"]
    assert card["training"]["heads_only"]
    pretrained = load_checkpoint(base, experiment="lorenz63", sigma_y=1.0)
    assert card["tuning_split"] == pytest.approx(tuning_score(pretrained, split, 5, 2504))
    shipped = load_checkpoint(target, experiment="lorenz63", sigma_y=1.0).state_dict()
    assert all(torch.equal(value, shipped[name]) for name, value in pretrained.state_dict().items())


def test_heads_of_another_filter_are_refused(trained, tmp_path):
    source = trained[1] / "training" / CELL
    split = simulate_split(load_experiment("lorenz63"), "tune", 2, 5, [1.0], 100, 1)
    target = tmp_path / "mnmef_pretrained.safetensors"
    ship_file(source / "mnmef_pretrained.safetensors", target, split, 5, 1, heads_only=False)
    tuned, other = (folder / "mnmef_finetuned_5.safetensors" for folder in (source, tmp_path / "source"))
    other.parent.mkdir()
    write_tensors({name: value + 1.0 for name, value in read_tensors(tuned).items()}, read_card(tuned), other)
    with pytest.raises(ValueError, match=r"mnmef_finetuned_5\.safetensors was not fine-tuned from"):
        ship_file(other, tmp_path / other.name, split, 5, 1, heads_only=True)


def test_a_cell_that_was_not_trained_is_named_before_anything_is_shipped(trained, tmp_path, capsys):
    with pytest.raises(SystemExit):
        ship(trained, tmp_path, CELL, "ks_1.0")
    assert "train ks_1.0 first" in capsys.readouterr().err
    assert not (tmp_path / CELL).exists()


@cache
def other_split(experiment, sigma_y):
    """Trajectories that no training or tuning has seen."""
    return simulate_split(load_experiment(experiment), "tune", 4, 100, [sigma_y], 100, seed=1)


@pytest.mark.parametrize("path", SHIPPED, ids=[f"{p.parent.name}/{p.stem}" for p in SHIPPED])
def test_shipped_weights_are_those_of_their_card(path):
    card = json.loads(path.with_suffix(".json").read_text())
    assert card["sha256"] == sha256(path)
    assert f"{card['experiment']}_{card['sigma_y']}" == path.parent.name
    assert card.get("base", path.name) in ("mnmef_pretrained.safetensors", path.name)
    assert ("base" in card) == card["training"]["heads_only"]
    filter_ = load_checkpoint(path, experiment=card["experiment"], sigma_y=card["sigma_y"])
    assert card["training"]["heads_only"] == path.stem.startswith("mnmef_finetuned")
    if filter_.name == "mnmef":
        assert filter_.options == ModelOptions()
    assert card["seconds"] > 0
    assert card["tuning_split"]["n_diverged"] == 0
    members = card["tuning_split"]["ensemble_size"]
    assert path.stem in (*(f"{name}_pretrained" for name in LEARNED_FILTERS), f"mnmef_finetuned_{members}")
    # A run of its own, on other trajectories: the score is what the weights do, within their spread.
    again = tuning_score(filter_, other_split(card["experiment"], card["sigma_y"]), members, seed=1)
    assert again["n_diverged"] == 0
    assert again["rrmse"] == pytest.approx(card["tuning_split"]["rrmse"], rel=0.35)
