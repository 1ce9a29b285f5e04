"""Filters away from their training: what a condition changes, what a gap is, and how the table comes about."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from mnmef.assimilation.cycling import run_filter
from mnmef.core.names import METHODS
from mnmef.experiments.load import load_experiment
from mnmef.filters.base import Filter
from mnmef.filters.classical import make_classical
from mnmef.filters.learned import make_learned
from mnmef.learning.checkpoints import save_checkpoint
from mnmef.report.robustness_table import robustness_page, summarize_robustness
from mnmef.studies.robustness import (
    Condition,
    Design,
    WithGap,
    classical_candidate,
    conditions,
    draw_condition,
    learned_candidate,
    recovery,
    run_conditions,
)

LORENZ96, KS = load_experiment("lorenz96"), load_experiment("ks")
DESIGN = Design([0.7, 1.0], {"forcing": [7.0, 8.0]}, gap=3, trajectories=3, cycles=12, ensemble_size=5)
BEST = pd.DataFrame({"ensemble_size": [5, 10], "inflation": [1.05, 1.02], "localization_radius": [2.0, 3.0]})


def test_the_conditions_of_training_are_not_repeated_and_options_are_of_systems_that_have_them():
    names = [(c.name, c.value) for c in conditions(LORENZ96, 1.0, DESIGN)]
    assert names == [
        ("nominal", None),
        ("sigma_y", 0.7),
        ("forcing", 7.0),
        ("forcing of the truth alone", 7.0),
        ("climatological first ensemble", None),
        ("gap", 3),
    ]
    assert not any(c.options for c in conditions(KS, 1.0, DESIGN))


def test_noise_levels_scale_the_same_draws_on_the_same_truth():
    (first, y, truth), (other_first, other_y, other_truth) = (
        draw_condition(LORENZ96, Condition("", None, level), DESIGN, 0) for level in (1.0, 0.5)
    )
    torch.testing.assert_close(other_first, first)
    torch.testing.assert_close(other_truth, truth)
    h = truth[..., ::4]
    torch.testing.assert_close(other_y - h, 0.5 * (y - h))
    assert float((y - h).std()) == pytest.approx(1.0, abs=0.1)


def test_the_truth_obeys_the_forcing_of_its_condition():
    for forcing in (7.0, 9.0):
        truth = draw_condition(LORENZ96, Condition("", None, 1.0, {"forcing": forcing}), DESIGN, 0)[2]
        experiment = LORENZ96.with_system({"forcing": forcing})
        # Truths are stored in single precision, whose rounding a cycle amplifies a little.
        torch.testing.assert_close(experiment.propagate(truth[:, :-1]), truth[:, 1:], rtol=0.0, atol=1e-5)
        assert not torch.allclose(LORENZ96.propagate(truth[:, :-1]), truth[:, 1:], atol=1e-2)


def test_a_climatological_ensemble_knows_nothing_of_the_truth():
    design = dataclasses.replace(DESIGN, trajectories=40)
    first, _, truth = draw_condition(LORENZ96, Condition("", None, 1.0, is_climatological=True), design, 0)
    assert first.shape == (40, 5, 40)
    climatology = truth[:, 0].var()
    # Independent of the truth, so that the squared distance is the sum of both variances.
    error = (first[:, 0] - truth[:, 0]).square().mean()
    assert float(error / climatology) == pytest.approx(2.0, abs=0.15)


class Replace(Filter):
    """An analysis that everyone recognizes: all members become the number of the cycle."""

    name = "replace"

    def __init__(self):
        self.seen = []

    def analyze(self, forecast, observation, experiment, noise=None):
        self.seen.append(float(observation[0, 0]))
        return torch.full_like(forecast, float(observation[0, 0]))


def test_a_gap_forecasts_and_takes_no_observation():
    observations = torch.arange(6.0)[:, None].expand(2, 6, 10)
    truth = torch.zeros(2, 6, 40)
    inner = Replace()
    record = run_filter(
        WithGap(inner, 2, 3), LORENZ96, torch.randn(2, 4, 40), observations, truth, lambda: torch.zeros(2, 4, 10)
    )
    assert inner.seen == [0.0, 1.0, 5.0]
    # At the end of cycle 1 all components are 1; then the model runs freely for three cycles.
    state = torch.ones(40)
    for k in range(2, 5):
        state = LORENZ96.propagate(state)
        torch.testing.assert_close(record.rmse[:, k].float(), state.square().mean().sqrt().expand(2))
    assert float(record.rmse[0, 5]) == pytest.approx(5.0)


def test_recovery_counts_analyses_until_the_usual_error():
    error = np.array([[3.0, 2.0, 1.0, 4.0], [1.0, 9.0, 9.0, 9.0], [9.0, 9.0, 9.0, 9.0], [np.nan] * 4])
    np.testing.assert_array_equal(recovery(error, np.array([2.0, 2.0, 2.0, 2.0])), [2.0, 1.0, np.nan, np.nan])


@pytest.mark.parametrize(("method", "model"), [("mnmef_finetuned", {}), ("mnmef_conv", {"layers": 1, "channels": 4})])
def test_weights_told_another_noise_level_are_the_filter_made_for_it(tmp_path, method, model):
    torch.manual_seed(0)
    name = METHODS[method].filter
    trained = make_learned(name, LORENZ96, 1.0, model)
    save_checkpoint(trained, tmp_path / "weights.safetensors")
    candidate = learned_candidate(tmp_path / "weights.safetensors", method, LORENZ96, 1.0, model)
    expected = make_learned(name, LORENZ96, 0.5, model)
    expected.load_state_dict(trained.state_dict())
    forecast, observation, noise = torch.randn(2, 5, 40), torch.randn(2, 10), torch.randn(2, 5, 10)
    with torch.no_grad():
        found = candidate.make(0.5).cpu().analyze(forecast, observation, LORENZ96, noise)
        torch.testing.assert_close(found, expected.analyze(forecast, observation, LORENZ96, noise))
        assert not torch.allclose(found, candidate.make(1.0).analyze(forecast, observation, LORENZ96, noise), atol=1e-3)


def test_the_classical_filter_has_the_setting_of_its_ensemble_size():
    forecast, observation = torch.randn(2, 5, 40).double(), torch.randn(2, 10).double()
    expected = make_classical("letkf", LORENZ96, 0.7, 1.05, 2.0).analyze(forecast, observation, LORENZ96)
    found = classical_candidate(BEST, "letkf", LORENZ96, 5).make(0.7).analyze(forecast, observation, LORENZ96)
    torch.testing.assert_close(found, expected)
    with pytest.raises(ValueError, match="no row for N = 7"):
        classical_candidate(BEST, "letkf", LORENZ96, 7)


def test_the_table_has_means_deviations_and_ratios_of_the_runs():
    candidate = classical_candidate(BEST, "letkf", LORENZ96, 5)
    scores = run_conditions(candidate, LORENZ96, 1.0, DESIGN, seed=0)
    assert len(scores) == 6 * 3
    table = summarize_robustness(scores).set_index("condition")
    for name, part in scores.groupby("condition"):
        assert table.loc[name, "rrmse"] == pytest.approx(part["rrmse"].mean())
        assert table.loc[name, "rrmse_std"] == pytest.approx(part["rrmse"].std(ddof=1))
    assert table.loc["nominal", "ratio"] == 1.0
    # Less noise, smaller errors; no observations for a while, larger ones.
    assert table.loc["sigma_y", "ratio"] < 1.0 < table.loc["gap", "ratio"]
    assert table.loc["gap", "rrmse_end"] > table.loc["gap", "rrmse"]
    text = robustness_page(summarize_robustness(scores), {"trajectories": 3, "cycles": 12, "ensemble_size": 5})
    row = next(line for line in text.splitlines() if "nominal" in line and "0." in line)
    assert f"{table.loc['nominal', 'rrmse']:.3f} ± {table.loc['nominal', 'rrmse_std']:.3f}" in row
    # Up to the gap the run is the one without it.
    again = run_conditions(candidate, LORENZ96, 1.0, DESIGN, seed=0)
    pd.testing.assert_frame_equal(again, scores)


def test_a_diverged_trajectory_is_counted_and_not_averaged():
    frame = {"experiment": "ks", "method": "letkf", "condition": "nominal", "value": np.nan, "trajectory": [0, 1, 2]}
    scores = pd.DataFrame({**frame, "rrmse": [0.5, np.nan, 0.7]}).assign(
        rrmse_end=np.nan, rrmse_after=np.nan, recovery_cycles=np.nan
    )
    row = summarize_robustness(scores).iloc[0]
    assert (row["rrmse"], row["n_diverged"], row["n_trajectories"]) == (pytest.approx(0.6), 1, 3)
    assert "(1 diverged)" in robustness_page(
        summarize_robustness(scores), {"trajectories": 3, "cycles": 12, "ensemble_size": 5}
    )


def test_a_gap_that_nothing_follows_is_refused():
    with pytest.raises(ValueError, match="must be more than 12"):
        dataclasses.replace(DESIGN, gap=6)
