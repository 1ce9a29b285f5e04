"""Figure 11: what is tuned, at which rate, and when it is scored."""

from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import torch

from mnmef.data.twin import simulate_split, simulate_training
from mnmef.experiments.load import load_experiment
from mnmef.filters.learned import initial_filter
from mnmef.learning.checkpoints import save_checkpoint
from mnmef.learning.trainer import Trainer
from mnmef.studies import finetuning_curve
from mnmef.studies.finetuning_curve import ScoredFinetuning, finetuning_scores

MODEL = {"feature_size": 8, "width": 8, "heads": 2, "seeds": 2}
TRAINING = {
    "ensemble_size": 4,
    "epochs": 1,
    "steps": 1,
    "batch": 4,
    "learning_rate": 1e-2,
    "schedule": "cycle",
    "loss": "nl2",
    "optimizer": "adamw",
    "other_sizes": [],
    "decay": "cosine",
    "weight_decay": 0.0,
    "gradient_clip": None,
    "misplaced": 0.0,
    "chunks": 1,
}
FINETUNING = {"epochs": 20, "steps": 10, "learning_rate_factor": 0.1, "decay": "cosine", "batch_divisor": {}}


class Watched(Trainer):
    """Keeps itself and every learning rate, for the test to look at."""

    made: ClassVar[list] = []

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.before = {name: p.detach().clone() for name, p in self.filter.named_parameters()}
        self.rates = []
        self.made.append(self)

    def optimizer_step(self):
        super().optimizer_step()
        self.rates.append(self.optimizers[0].param_groups[0]["lr"])


@pytest.fixture
def curve(tmp_path, monkeypatch):
    Watched.made.clear()
    monkeypatch.setattr(finetuning_curve, "Trainer", Watched)
    truths = simulate_training(load_experiment("lorenz63"), 8, 12, 0)
    test = simulate_split(load_experiment("lorenz63"), "test", 3, 20, [1.0], 6, seed=0)
    path = tmp_path / "pretrained.safetensors"
    save_checkpoint(initial_filter(load_experiment("lorenz63"), 1.0, MODEL, 0), path)

    def run(parameters, epochs=(0, 2, 20, 50), cycles=15):
        settings = {"model": MODEL, "training": TRAINING, "finetuning": FINETUNING, "window_cycles": 6, "seed": 0}
        options = {"filter_name": "mnmef", "pretrained": path, "epochs": epochs, "cycles": cycles, **settings}
        study = ScoredFinetuning(sigma_y=1.0, ensemble_size=6, parameters=parameters, **options)
        return finetuning_scores(truths, test, study), Watched.made[-1]

    return run


def test_every_epoch_is_scored_on_every_trajectory_after_its_share_of_the_steps(curve):
    table, trainer = curve("heads")
    assert len(table) == 4 * 3
    # Twenty epochs are ten steps.
    assert table.groupby("epoch")["step"].first().to_dict() == {0: 0, 2: 1, 20: 10, 50: 25}
    assert trainer.step_number == 25
    assert np.isfinite(table["rrmse"]).all()


def test_the_learning_rate_is_constant_so_that_a_score_does_not_depend_on_what_follows(curve):
    long, trainer = curve("heads")
    assert trainer.rates == [1e-3] * 25
    short, _ = curve("heads", epochs=(0, 20))
    pd.testing.assert_frame_equal(short, long[long["epoch"].isin([0, 20])].reset_index(drop=True))


@pytest.mark.parametrize("parameters", ["heads", "all"])
def test_the_set_transformer_moves_only_if_all_parameters_are_tuned(curve, parameters):
    _, trainer = curve(parameters, epochs=(0, 20))
    moved = {name for name, p in trainer.filter.named_parameters() if not torch.equal(p, trainer.before[name])}
    assert any(name.startswith("gain_head") for name in moved)
    assert any(name.startswith("encoders") for name in moved) == (parameters == "all")


def test_both_strategies_start_from_the_same_score(curve):
    (heads, _), (everything, _) = curve("heads"), curve("all")
    start = [table.loc[table["epoch"] == 0, "rrmse"].to_numpy() for table in (heads, everything)]
    np.testing.assert_array_equal(*start)


def test_scores_are_of_the_first_cycles(curve):
    few, _ = curve("heads", epochs=(0,), cycles=5)
    all_cycles, _ = curve("heads", epochs=(0,), cycles=20)
    assert not np.allclose(few["rrmse"], all_cycles["rrmse"])
