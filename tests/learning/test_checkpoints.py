"""Checkpoints come back bit for bit, or are refused with a reason."""

import pytest
import torch

from mnmef.experiments.load import load_experiment
from mnmef.filters.learned import initial_filter
from mnmef.learning.checkpoints import load_checkpoint, read_card, save_checkpoint

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
