"""Training without the workflow gives the workflow's files, in pieces if need be, and needs few packages."""

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import load_file

from mnmef.config import settings
from mnmef.experiments.files import shipped_experiments
from mnmef.fit import TO_BE_CONTINUED, main, merged_settings
from mnmef.learning.checkpoints import read_card


@pytest.fixture
def config(tmp_path, root):
    settings = yaml.safe_load((root / "config.yaml").read_text())
    quick = settings["scales"]["quick"]
    quick["data"]["train"] = {"windows": 8, "window_cycles": 4, "offset_cycles": 2}
    quick["training"] |= {"steps": 6, "batch": 4}
    quick["finetuning"] = {"steps": 3}
    quick["model"] = {"feature_size": 8, "width": 8, "heads": 2, "seeds": 2, "hidden_layers": 1}
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(settings))
    return ["--config", str(file), "--scale", "quick"]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "lorenz96_1.0" / "mnmef_pretrained.safetensors")


def test_pretraining_and_finetuning_write_checkpoints_and_curves_and_are_not_repeated(config, tmp_path, capsys):
    arguments = [*config, "--out", str(tmp_path / "out"), "lorenz96_1.0_5", "lorenz96_1.0"]
    assert main(arguments) == 0
    folder = tmp_path / "out" / "lorenz96_1.0"
    assert sorted(p.name for p in folder.iterdir() if p.is_file()) == [
        *(f"mnmef_{stem}{end}" for stem in ("finetuned_5", "pretrained") for end in (".safetensors", "_curve.csv"))
    ]
    assert pd.read_csv(folder / "mnmef_pretrained_curve.csv")["step"].iloc[-1] == 6
    before = (folder / "mnmef_pretrained.safetensors").stat().st_mtime_ns
    assert main(arguments) == 0
    assert (folder / "mnmef_pretrained.safetensors").stat().st_mtime_ns == before
    assert capsys.readouterr().out.count("is there already") == 2


def test_another_filter_is_trained_with_its_own_settings_into_files_of_its_own(config, tmp_path):
    sets = ["--set", "mnmef_conv.training.steps=2", "--set", "mnmef_conv.training.batch=4"]
    assert main([*config, *sets, "--out", str(tmp_path / "out"), "--filter", "mnmef_conv", "lorenz96_1.0"]) == 0
    folder = tmp_path / "out" / "lorenz96_1.0"
    assert sorted(p.name for p in folder.iterdir() if p.is_file()) == [
        *("mnmef_conv_pretrained.safetensors", "mnmef_conv_pretrained_curve.csv")
    ]
    assert pd.read_csv(folder / "mnmef_conv_pretrained_curve.csv")["step"].iloc[-1] == 2
    assert read_card(folder / "mnmef_conv_pretrained.safetensors")["filter"] == "mnmef_conv"


def test_a_training_in_pieces_ends_with_the_same_bits(config, tmp_path):
    assert main([*config, "--out", str(tmp_path / "whole"), "lorenz96_1.0"]) == 0
    pieces = [*config, "--out", str(tmp_path / "pieces"), "--minutes", "0", "lorenz96_1.0"]
    calls = 1
    while main(pieces) == TO_BE_CONTINUED:
        calls += 1
    assert calls == 6  # each call takes one step before it looks at the clock
    for name, value in weights(tmp_path / "whole").items():
        assert torch.equal(value, weights(tmp_path / "pieces")[name]), name
    assert not list((tmp_path / "pieces" / "lorenz96_1.0" / "resume").iterdir())


def test_a_pretraining_may_begin_with_weights_of_another_noise_level(config, tmp_path):
    one, other, still = (tmp_path / name for name in ("one", "other", "still"))
    noise = ["--set", "noise_levels=[1.0, 0.7]"]
    assert main([*config, "--out", str(one), "lorenz96_1.0"]) == 0
    start = one / "lorenz96_1.0" / "mnmef_pretrained.safetensors"
    arguments = [*config, *noise, "--start", str(start), "lorenz96_0.7", "--out"]
    assert main([*arguments, str(other)]) == 0
    assert main([*arguments, str(still), "--set", "training.learning_rate=0.0"]) == 0
    kept, trained = (load_file(out / "lorenz96_0.7" / "mnmef_pretrained.safetensors") for out in (still, other))
    assert all(torch.equal(kept[name], value) for name, value in weights(one).items())
    assert not all(torch.equal(trained[name], value) for name, value in weights(one).items())
    card = read_card(other / "lorenz96_0.7" / "mnmef_pretrained.safetensors")
    assert card["sigma_y"] == 0.7
    assert card["start"]["sigma_y"] == 1.0
    assert card["start"]["seconds"] == read_card(start)["seconds"]


def test_weights_of_another_system_are_refused_before_anything_is_trained(config, tmp_path, capsys):
    assert main([*config, "--out", str(tmp_path), "lorenz63_1.0"]) == 0
    start = tmp_path / "lorenz63_1.0" / "mnmef_pretrained.safetensors"
    with pytest.raises(SystemExit):
        main([*config, "--out", str(tmp_path), "--start", str(start), "lorenz96_1.0"])
    said = capsys.readouterr().err
    assert "was trained with experiment = lorenz63, system = 'Lorenz63', not 'Lorenz96'" in said


def test_weights_of_the_same_system_with_other_constants_are_a_start(config, tmp_path):
    assert main([*config, "--out", str(tmp_path), "lorenz96_1.0"]) == 0
    start = tmp_path / "lorenz96_1.0" / "mnmef_pretrained.safetensors"
    other = ["--set", "experiments=[lorenz96_forcing]", "--set", "training.learning_rate=0.0"]
    assert main([*config, *other, "--out", str(tmp_path), "--start", str(start), "lorenz96_forcing_1.0"]) == 0
    begun = tmp_path / "lorenz96_forcing_1.0" / "mnmef_pretrained.safetensors"
    assert all(torch.equal(weights(tmp_path)[name], value) for name, value in load_file(begun).items())
    assert read_card(begun)["start"]["experiment"] == "lorenz96"


def test_a_training_of_mnmef_local_may_begin_with_weights_of_a_shorter_reach(config, tmp_path, capsys):
    sets = ["--filter", "mnmef_local", "--set", "mnmef_local.model.near=2", "--set", "mnmef_local.training.steps=2"]
    small = [*config, *sets, "--set", "mnmef_local.model.reach=3", "--out", str(tmp_path / "small")]
    assert main([*small, "lorenz96_1.0"]) == 0
    start = tmp_path / "small" / "lorenz96_1.0" / "mnmef_local_pretrained.safetensors"
    grown = [*config, *sets, "--set", "mnmef_local.model.reach=5", "--out", str(tmp_path / "grown")]
    assert main([*grown, "--start", str(start), "lorenz96_1.0"]) == 0
    cards = [read_card(tmp_path / out / "lorenz96_1.0" / start.name) for out in ("small", "grown")]
    assert [card["model"]["reach"] for card in cards] == [3, 5]
    with pytest.raises(SystemExit):
        main(
            [
                *small[:-1],
                str(tmp_path / "shrunk"),
                "--start",
                str(tmp_path / "grown" / "lorenz96_1.0" / start.name),
                "lorenz96_1.0",
            ]
        )
    assert "not shrink from 5" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["lorenz69_1.0"], r"'lorenz69'.*lorenz96"),
        (["lorenz96_0.5"], r"noise level.*'0\.5'.*1\.0"),
        (["lorenz96_1.0_7"], r"ensemble size.*'7'.*5, 10"),
        (["lorenz96"], r"names no cell"),
        (["lorenz96_1.0", "--filter", "mnmef_cnv"], r"learned filter.*'mnmef_cnv'.*'mnmef_conv'"),
        (["lorenz96_1.0_5", "--filter", "mnmef_conv"], r"lorenz96_1\.0_5.*mnmef_conv is not fine-tuned"),
    ],
)
def test_a_cell_that_the_config_does_not_know_is_named_before_anything_is_trained(
    config, tmp_path, capsys, cells, message
):
    with pytest.raises(SystemExit):
        main([*config, "--out", str(tmp_path), *cells])
    assert re.search(message, capsys.readouterr().err)


def test_a_level_that_continues_another_begins_with_its_weights_and_takes_fewer_steps(config, tmp_path, capsys):
    continued = ["--set", "training.continued={sigma_y: 1.0, steps: 2}", "--set", "noise_levels=[1.0, 0.7]"]
    with pytest.raises(SystemExit):
        main([*config, *continued, "--out", str(tmp_path / "alone"), "lorenz96_0.7"])
    assert "which the training at sigma_y = 0.7 begins with, is not there" in capsys.readouterr().err
    out, own = tmp_path / "out", tmp_path / "own"
    assert main([*config, *continued, "--out", str(out), "lorenz96_0.7", "lorenz96_1.0"]) == 0
    steps = {y: pd.read_csv(out / f"lorenz96_{y}" / "mnmef_pretrained_curve.csv")["step"].max() for y in (1.0, 0.7)}
    assert steps == {1.0: 6, 0.7: 2}
    card = read_card(out / "lorenz96_0.7" / "mnmef_pretrained.safetensors")
    assert card["start"]["sigma_y"] == 1.0
    # The same as a training that is told where to begin.
    start = out / "lorenz96_1.0" / "mnmef_pretrained.safetensors"
    told = ["--start", str(start), "--set", "noise_levels=[1.0, 0.7]", "--set", "training.steps=2"]
    assert main([*config, *told, "--out", str(own), "lorenz96_0.7"]) == 0
    files = (folder / "lorenz96_0.7" / "mnmef_pretrained.safetensors" for folder in (out, own))
    one, other = (load_file(file) for file in files)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_variant_is_trained_with_its_setting_and_scored_on_the_tuning_split(config, tmp_path, capsys):
    out = tmp_path / "out"
    assert main([*config, "--out", str(out), "--set", "training.steps=2", "--score", "5,10", "lorenz96_1.0"]) == 0
    assert pd.read_csv(out / "lorenz96_1.0" / "mnmef_pretrained_curve.csv")["step"].iloc[-1] == 2
    table = pd.read_csv(out / "lorenz96_1.0" / "mnmef_pretrained_scores.csv")
    assert list(table["ensemble_size"]) == [5, 10]
    assert (table[["rrmse", "spread_ratio", "seconds"]] > 0).all(axis=None)
    assert "spread_ratio" in capsys.readouterr().out


def test_a_training_that_pauses_is_scored_at_each_pause_and_at_its_end(config, tmp_path):
    out = tmp_path / "out"
    piece = [*config, "--out", str(out), "--set", "training.steps=3", "--score", "5", "--minutes", "0", "lorenz96_1.0"]
    while main(piece) == TO_BE_CONTINUED:
        pass
    table = pd.read_csv(out / "lorenz96_1.0" / "mnmef_pretrained_scores.csv")
    assert list(table["steps"]) == [1, 2, 3]
    assert table["rrmse"].nunique() == 3
    # A row is what a call without pauses would have printed for the same weights.
    whole = [*config, "--out", str(tmp_path / "whole"), "--set", "training.steps=3", "--score", "5", "lorenz96_1.0"]
    assert main(whole) == 0
    scores = pd.read_csv(tmp_path / "whole" / "lorenz96_1.0" / "mnmef_pretrained_scores.csv")
    assert scores["rrmse"].item() == table["rrmse"].iloc[-1]


def test_fine_tuning_that_did_harm_is_undone_if_the_better_weights_are_to_be_kept(config, tmp_path):
    for keep in ("last", "better"):
        harm = ["finetuning.learning_rate_factor=1000", f"finetuning.keep={keep}"]
        sets = [argument for text in harm for argument in ("--set", text)]
        assert main([*config, *sets, "--out", str(tmp_path / keep), "lorenz96_1.0", "lorenz96_1.0_5"]) == 0
        folder = tmp_path / keep / "lorenz96_1.0"
        start, end = (load_file(folder / f"{stem}.safetensors") for stem in ("mnmef_pretrained", "mnmef_finetuned_5"))
        assert all(torch.equal(end[name], start[name]) for name in start) is (keep == "better")


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("training.stesp=2", r"'stesp'.*'steps'"),
        ("training.steps", "KEY=VALUE"),
        ("training.steps.ks=2", r"'ks' asks for a key of 6"),
    ],
)
def test_a_setting_that_is_not_there_is_named(config, tmp_path, capsys, assignment, message):
    with pytest.raises(SystemExit):
        main([*config, "--out", str(tmp_path), "--set", assignment, "lorenz96_1.0"])
    assert re.search(message, capsys.readouterr().err)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "training.steps=-3"], "training steps must be a whole number of at least 1, not -3"),
        (["--set", "training.steps=2.5"], "training steps must be a whole number of at least 1, not 2.5"),
        (["--set", "training.steps=null"], "training steps must be a whole number of at least 1, not None"),
        (["--set", "training.steps=many"], "steps = 'many': must be of the kind of 6"),
        (["--set", "training.steps=[3]"], r"steps = \[3\]: must be of the kind of 6"),
        (["--set", "training.steps=true"], "steps = True: must be of the kind of 6"),
        (["--set", "training=5"], "training = 5: must be of the kind of"),
        (["--set", "training.optimizer=adam"], "unknown optimizer 'adam'.*adamw"),
        (["--set", "training.loss=nl3"], "unknown loss 'nl3'.*nl2"),
        (["--set", "training.decay=linear"], "unknown learning-rate decay 'linear'"),
        (["--set", "training.batch={2: 3"], "is no YAML"),
        (["--set", "training.learning_rate=-1"], "learning_rate must be a number of at least 0, not -1"),
        (["--set", "training.learning_rate=.nan"], "learning_rate must be a number of at least 0, not nan"),
        (["--set", "training.ensemble_size=1"], "ensemble_size must be a whole number of at least 2, not 1"),
        (["--set", "model.heads=3"], "heads"),
        (["--set", "data.train.windows=0"], "data.train.windows must be a whole number of at least 1, not 0"),
        (["--set", "seed=-1"], "seed must be a whole number of at least 0, not -1"),
        (["--score", "1"], "--score 1: must be numbers of members of at least 2"),
        (["--score", "5,x"], "--score 5,x: must be numbers of members of at least 2"),
        (["--score", ""], "--score : must be numbers of members of at least 2"),
        (["--minutes", "-1"], "--minutes -1.0: must be a number of at least 0"),
        (["--minutes", "nan"], "--minutes nan: must be a number of at least 0"),
        (["--out", "/proc/weights"], "--out /proc/weights cannot be written"),
        (["--out", __file__], "cannot be written: File exists"),
        (["--start", "/nowhere.safetensors"], "there is no checkpoint /nowhere.safetensors"),
        (["lorenz63_1.0_5"], "mnmef_pretrained.safetensors, which the fine-tuning.*name lorenz63_1.0 among the cells"),
    ],
)
def test_what_would_fail_later_is_named_before_any_truth_is_simulated(
    config, tmp_path, capsys, monkeypatch, arguments, message
):
    monkeypatch.setattr("mnmef.fit.make_split", None)
    with pytest.raises(SystemExit):
        main([*config, "--out", str(tmp_path / "out"), "lorenz96_1.0", *arguments])
    assert re.search(message, capsys.readouterr().err, re.DOTALL)


def test_it_imports_neither_the_workflow_nor_dapper_nor_netcdf_nor_pydantic(root):
    absent = ("snakemake", "dapper", "netCDF4", "pydantic", "matplotlib", "numba", "scipy")
    blocked = f"import sys; sys.modules.update(dict.fromkeys({absent!r})); import mnmef.fit"
    subprocess.run([sys.executable, "-c", blocked], cwd=root, check=True, timeout=120)


def test_a_number_may_be_written_as_in_python():
    raw = {"training": {"rate": 0.1, "loss": "nl2", "sizes": []}, "scale": "one", "scales": {"one": {}}}

    def changed(*assignments):
        return merged_settings(raw, None, assignments)["training"]

    assert changed("training.rate=1e-3", "training.sizes=[5]") == {**raw["training"], "rate": 0.001, "sizes": [5]}
    assert changed("training.loss=crps")["loss"] == "crps"


def test_settings_are_those_of_the_experiment_and_assignments_win_over_its_file(root):
    raw = yaml.safe_load((root / "config.yaml").read_text())
    assert merged_settings(raw, "paper", [], "ks")["training"]["batch"] == 256
    assert merged_settings(raw, "laptop", [], "lorenz96")["training"]["loss"] == "crps"
    assert merged_settings(raw, "laptop", ["training.loss=l2"], "lorenz96")["training"]["loss"] == "l2"


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("{training: {step: 5}}", r"unknown key 'training.step'. Did you mean 'training.steps'"),
        ("{mnmef_local: {training: {learning_rat: 1.0}}}", r"Did you mean 'mnmef_local.training.learning_rate'"),
        ("{finetunning: {steps: 5}}", r"Did you mean 'finetuning'"),
    ],
)
@pytest.mark.parametrize("place", ["scale", "file"])
def test_a_misspelt_key_of_an_overlay_is_named(root, monkeypatch, key, message, place):
    raw, own = yaml.safe_load((root / "config.yaml").read_text()), yaml.safe_load(key)
    if place == "scale":
        raw["scales"]["laptop"] |= own
    else:
        monkeypatch.setattr(settings, "overlay", lambda name: {"scales": {"laptop": own}})
    with pytest.raises(ValueError, match=message):
        merged_settings(raw, "laptop", [], "lorenz96")


def test_all_experiments_have_known_keys_alone(root):
    raw = yaml.safe_load((root / "config.yaml").read_text())
    for name in shipped_experiments():
        for scale in raw["scales"]:
            assert merged_settings(raw, scale, [], name)["scale"] == scale
