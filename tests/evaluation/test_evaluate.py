"""Evaluation keeps every trajectory's scores apart, counts divergence, and reproduces itself."""

import numpy as np
import pytest
import torch

from mnmef.data.twin import simulate_split
from mnmef.evaluation.evaluate import EvaluationOptions, evaluate
from mnmef.evaluation.learned import evaluate_learned
from mnmef.experiments.load import load_experiment
from mnmef.filters.base import Filter
from mnmef.learning.checkpoints import read_card


class FreeRun(Filter):
    """A filter that ignores observations, and blows up one trajectory at one call if told to."""

    name = "free_run"

    def __init__(self, bad: tuple[int, int] | None = None) -> None:
        self.bad, self.calls = bad, -1

    def analyze(self, forecast, observation, experiment, noise=None):
        self.calls += 1
        if self.bad is not None and self.bad[1] == self.calls:
            forecast = forecast.clone()
            forecast[self.bad[0], 0, 0] = torch.inf
        return forecast


@pytest.fixture(scope="module")
def split():
    return simulate_split(load_experiment("lorenz63"), "test", 4, 12, [1.0], 6, seed=0)


OPTIONS = EvaluationOptions(0, {"ensemble_size": 6, "trajectories": 2})


def test_scores_equal_those_of_the_ensemble_advanced_by_hand(split):
    result = evaluate({n: FreeRun() for n in (3, 6)}, split, "free_run", 1.0, OPTIONS, dtype=torch.float64)
    experiment = load_experiment("lorenz63")
    ensemble = torch.from_numpy(split["first_ensemble"].values[:, :3]).double()
    for k in range(12):
        ensemble = experiment.propagate(ensemble)
        error = np.linalg.norm(ensemble.mean(1).numpy() - split["truth"].values[:, k], axis=-1)
        spread = np.sqrt(ensemble.numpy().var(1, ddof=1).mean(-1))
        np.testing.assert_allclose(result["error_norm"].sel(ensemble_size=3)[:, k], error, rtol=1e-5)
        np.testing.assert_allclose(result["spread"].sel(ensemble_size=3)[:, k], spread, rtol=1e-5)
    assert result["mean"].shape == (2, 12, 3)
    assert result.attrs["traced_ensemble_size"] == 6


def test_a_diverged_trajectory_is_dated_and_marked_and_leaves_the_others_alone(split):
    whole = evaluate({6: FreeRun()}, split, "free_run", 1.0, OPTIONS)
    broken = evaluate({6: FreeRun(bad=(1, 5))}, split, "free_run", 1.0, OPTIONS)
    assert broken["diverged_at"].values.tolist() == [[-1, 5, -1, -1]]
    assert np.isnan(broken["error_norm"].values[0, 1, 5:]).all()
    assert np.isfinite(broken["error_norm"].values[0, 1, :5]).all()
    others = [0, 2, 3]
    np.testing.assert_array_equal(broken["error_norm"].values[0, others], whole["error_norm"].values[0, others])


def test_weights_used_beside_the_numbers_of_members_of_their_training_are_named(root):
    weights = root / "resources" / "weights" / "lorenz63_1.0" / "mnmef_pretrained.safetensors"
    card = read_card(weights)
    arguments = {"filter_name": "mnmef", "model": card["model"]}
    for sizes, beside in (((3, 5, 6), "3, 5, 6"), ((6, 10), "6"), ((10,), None)):
        found = evaluate_learned(
            simulate_split(load_experiment("lorenz63"), "test", 2, 2, [1.0], 10, seed=0),
            "mnmef_pretrained",
            1.0,
            dict.fromkeys(sizes, weights),
            EvaluationOptions(0, {"ensemble_size": 0, "trajectories": 0}),
            **arguments,
        )
        said = f"weights trained at N = 10 are used at N = {beside}" if beside else None
        assert found.attrs.get("beside_range") == said
