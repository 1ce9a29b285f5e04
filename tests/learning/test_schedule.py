"""The paper's schedule at scale `paper`: batches, steps and learning rates of pretraining and fine-tuning."""

import dataclasses

import numpy as np
import pytest
import yaml

from mnmef.config.loading import load_config
from mnmef.config.settings import training_settings
from mnmef.learning.fitting import finetuning_options, pretraining_options
from mnmef.learning.options import TrainingOptions

PAPER = {"lorenz63": (1024, 1e-3), "lorenz96": (512, 1e-3), "ks": (256, 5e-4)}
"""Windows in a batch and first learning rate of the pretraining, by experiment (appendix A)."""
WINDOWS, CYCLES = 8192, 60
DIVISORS = {5: 1, 10: 1, 15: 1, 20: 1, 40: 2, 60: 2, 100: 4}
"""Divisor of the batch in a fine-tuning, by number of members."""


@pytest.fixture(scope="module")
def settings(root):
    """Settings of an experiment at a scale, and the options that the workflow trains with."""
    raw = yaml.safe_load((root / "config.yaml").read_text())
    runs = {scale: load_config({**raw, "scale": scale}).experiments for scale in ("quick", "laptop", "paper")}
    return lambda scale, experiment: runs[scale][experiment].model_dump()


def pretraining(section) -> TrainingOptions:
    recipe = training_settings(section, "mnmef", 1.0)
    windows = section["data"]["train"]["windows"]
    return pretraining_options(recipe["training"], windows, recipe["window_cycles"], recipe["seed"])


def finetuning(section, members) -> TrainingOptions:
    recipe = training_settings(section, "mnmef", 1.0)
    windows = section["data"]["train"]["windows"]
    return finetuning_options(
        recipe["training"], section["finetuning"], members, windows, recipe["window_cycles"], recipe["seed"]
    )


def rates_by_epoch(options) -> np.ndarray:
    """Learning rates (epochs, steps of an epoch) of all optimizer steps."""
    rates = np.array([options.rate_at(step) for step in range(options.steps)])
    return rates.reshape(-1, WINDOWS // options.batch)


@pytest.mark.parametrize("experiment", PAPER)
def test_pretraining_is_1000_epochs_of_all_windows_at_a_rate_halved_at_epochs_200_300_and_400(settings, experiment):
    batch, rate = PAPER[experiment]
    options = pretraining(settings("paper", experiment))
    rates = rates_by_epoch(options)
    assert options.batch == batch
    assert rates.shape == (1000, WINDOWS // batch)
    assert options.steps == {"lorenz63": 8000, "lorenz96": 16000, "ks": 32000}[experiment]
    for first, last, factor in ((0, 200, 1), (200, 300, 0.5), (300, 400, 0.25), (400, 1000, 0.125)):
        assert (rates[first:last] == rate * factor).all()
    # 200 epochs at the full rate, 100 at a half, 100 at a quarter and 600 at an eighth weigh as much as 350 in full.
    assert rates.sum() == pytest.approx(350 * (WINDOWS // batch) * rate)


@pytest.mark.parametrize("experiment", PAPER)
def test_pretraining_is_otherwise_as_published(settings, experiment):
    section = settings("paper", experiment)
    assert section["data"]["train"] == {"windows": WINDOWS, "window_cycles": CYCLES, "offset_cycles": 45}
    batch, rate = PAPER[experiment]
    assert pretraining(section) == TrainingOptions(
        ensemble_size=10,
        steps=1000 * WINDOWS // batch,
        window_cycles=CYCLES,
        batch=batch,
        learning_rate=rate,
        schedule="window",
        loss="nl2",
        optimizer="adamw",
        decay="halve",
        weight_decay=0.0,
        gradient_clip=None,
        heads_only=False,
        seed=section["seed"],
        other_sizes=(),
        chunks=2,
        misplaced=0.0,
    )


@pytest.mark.parametrize("members", DIVISORS)
@pytest.mark.parametrize("experiment", PAPER)
def test_fine_tuning_is_20_epochs_of_all_windows_at_a_tenth_of_the_rate_all_the_way(settings, experiment, members):
    batch, rate = PAPER[experiment]
    options = finetuning(settings("paper", experiment), members)
    rates = rates_by_epoch(options)
    assert options.batch == batch // DIVISORS[members]
    assert rates.shape == (20, DIVISORS[members] * WINDOWS // batch)
    assert (rates == rate * 0.1).all()
    assert rates.sum() == pytest.approx(2 * DIVISORS[members] * (WINDOWS // batch) * rate)


@pytest.mark.parametrize("experiment", PAPER)
def test_fine_tuning_is_a_pretraining_of_the_heads_at_its_own_n_rate_batch_and_length(settings, experiment):
    section = settings("paper", experiment)
    first, then = pretraining(section), finetuning(section, 40)
    own = ("ensemble_size", "steps", "batch", "learning_rate", "decay", "heads_only")
    assert then == dataclasses.replace(first, **{name: getattr(then, name) for name in own})
    assert then.ensemble_size == 40
    assert then.heads_only


@pytest.mark.parametrize("experiment", PAPER)
@pytest.mark.parametrize("scale", ["quick", "laptop"])
def test_at_the_smaller_scales_the_rate_of_a_fine_tuning_falls_to_zero_as_a_cosine(settings, scale, experiment):
    options = finetuning(settings(scale, experiment), 10)
    fractions = np.arange(options.steps) / options.steps
    rates = [options.rate_at(step) for step in range(options.steps)]
    np.testing.assert_allclose(rates, options.learning_rate * np.cos(np.pi * fractions / 2) ** 2, rtol=1e-9)
