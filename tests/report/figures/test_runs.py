"""Figures 11, C.13 and on calibration show what they are given, at any scale."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mnmef.core.names import METHODS
from mnmef.evaluation import calibration
from mnmef.report.figures.calibration import (
    LOWEST,
    NOMINAL,
    binned_spread_skill,
    figure_rank_histograms,
    figure_spread_skill,
)
from mnmef.report.figures.curves import STRATEGY_LOOKS, figure_tuning_curves
from mnmef.report.figures.linear import figure_linear

PUBLISHED = pd.read_csv("resources/published/finetune_strategy_figure_11.csv")
CYCLES, MEMBERS = 60, 10


def evaluation(experiment, method, sigma_y, lost=False):
    rng = np.random.default_rng(0)
    dims = ("ensemble_size", "trajectory", "cycle")
    spread = rng.uniform(1.0, 2.0, (2, 3, CYCLES))
    run = xr.Dataset(
        {
            "spread": (dims, spread),
            "error_norm": (dims, 3.0 * spread * np.sqrt((np.array([5, 10]) + 1) / np.array([5, 10]))[:, None, None]),
            "rank_count": (("ensemble_size", "trajectory", "rank"), rng.integers(1, 9, (2, 3, MEMBERS + 1))),
        },
        coords={"ensemble_size": [5, MEMBERS]},
        attrs={"experiment": experiment, "method": method, "sigma_y": str(sigma_y), "state_size": 9},
    )
    if lost:
        run["spread"][:] = np.nan
        run["rank_count"][:] = 0
    return run


RUNS = [
    evaluation(experiment, method, level)
    for experiment, methods in (("lorenz63", ["esrf"]), ("lorenz96", ["letkf", "esrf"]))
    for method in methods
    for level in (1.0, 0.7)
]


def test_a_rank_histogram_is_relative_to_equal_frequencies():
    run = evaluation("lorenz96", "letkf", 1.0)
    run["rank_count"].values[1, :, 3] = 0
    figure = figure_rank_histograms([run], MEMBERS)
    (patch,) = figure.axes[0].patches
    values = patch.get_data().values
    counts = run["rank_count"].values[1].sum(0)
    np.testing.assert_allclose(np.delete(values, 3), np.delete(counts / counts.mean(), 3))
    # A rank that never occurs is drawn at the edge, since its logarithm is nowhere.
    assert values[3] == LOWEST == figure.axes[0].get_ylim()[0]


def test_every_filter_has_a_row_and_every_system_a_column_and_what_was_not_run_is_empty():
    figure = figure_rank_histograms(RUNS, MEMBERS)
    axes = np.array(figure.axes).reshape(2, 2)
    # The order is that of the legends: LETKF before ESRF.
    assert [[axis.get_visible() for axis in row] for row in axes] == [[False, True], [True, True]]
    assert [len(axis.patches) for axis in axes.ravel()] == [0, 2, 2, 2]


def test_a_filter_that_always_diverged_says_so():
    figure = figure_rank_histograms([evaluation("ks", "enkf", 1.0, lost=True)], MEMBERS)
    assert "all diverged" in [text.get_text() for text in figure.axes[0].texts]


def test_groups_of_cycles_have_equal_sizes_and_rising_spread():
    run = evaluation("lorenz96", "letkf", 1.0).sel(ensemble_size=MEMBERS)
    spread, error = binned_spread_skill(run, MEMBERS)
    assert len(spread) == 10
    assert (np.diff(spread) > 0).all()
    # The error is made equal to the spread of a calibrated ensemble in each cycle.
    np.testing.assert_allclose(spread, error)
    lost = evaluation("lorenz96", "letkf", 1.0, lost=True).sel(ensemble_size=MEMBERS)
    assert [part.size for part in binned_spread_skill(lost, MEMBERS)] == [0, 0]


def test_spread_and_skill_of_the_largest_noise_level_are_drawn_for_each_filter():
    rows = [
        (r.attrs["experiment"], float(r.attrs["sigma_y"]), r.attrs["method"], n, 0.9, 0.93, 0)
        for r in RUNS
        for n in (5, MEMBERS)
    ]
    columns = ["experiment", "sigma_y", "method", "ensemble_size", "spread_error_ratio", "coverage_95", "n_diverged"]
    figure = figure_spread_skill(pd.DataFrame(rows, columns=columns), RUNS, MEMBERS)
    axes = np.array(figure.axes).reshape(3, 2)
    for column, methods in enumerate((["esrf"], ["letkf", "esrf"])):
        for row in range(3):
            colors = {line.get_color() for line in axes[row, column].lines}
            assert colors == {"black", *(METHODS[method].color for method in methods)}
        assert "$\\sigma_y$ = 1" in axes[0, column].get_title()
    assert calibration.COVERAGE == NOMINAL


def curves(epochs, sizes=(20, 40), lost=False):
    rng = np.random.default_rng(0)
    rows = [
        ("lorenz96", 1.0, n, kind, e, 20 * e, t, np.nan if lost and t == 0 else 0.4 + 0.01 * rng.standard_normal())
        for n in sizes
        for kind in STRATEGY_LOOKS
        for e in epochs
        for t in range(5)
    ]
    names = ["experiment", "sigma_y", "ensemble_size", "parameters", "epoch", "step", "trajectory", "rrmse"]
    return pd.DataFrame(rows, columns=names)


@pytest.mark.parametrize("lost", [False, True])
def test_curves_are_means_over_survivors_beside_the_published_ones(lost):
    table = curves((0, 20, 50), lost=lost)
    figure = figure_tuning_curves(table, PUBLISHED, 800, seed=0)
    assert len(figure.axes) == 2
    for axis, size in zip(figure.axes, (20, 40), strict=True):
        for kind, look in STRATEGY_LOOKS.items():
            part = table[(table["ensemble_size"] == size) & (table["parameters"] == kind)]
            lines = [line for line in axis.lines if line.get_color() == look.color]
            drawn = [line.get_ydata() for line in lines if line.get_linestyle() == "-"]
            assert any(np.allclose(part.groupby("epoch")["rrmse"].mean(), y) for y in drawn if len(y) == 3)
            assert [len(line.get_ydata()) for line in lines if line.get_linestyle() == "--"] == [11]
        assert "epoch 50: 1000 optimizer steps" in axis.get_xlabel()
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert any("diverged" in label for label in labels) == lost


def test_medians_count_diverged_trajectories_and_crosses_show_them():
    cycles = np.arange(1, 31)
    runs = []
    for filter_name, loss, decay, lost in (
        ("sampling", "none", 0.0, 0),
        ("enkf", "none", 0.0, 0),
        ("mnmef", "nl2", 0.0, 2),
        ("mnmef", "nl2", 0.01, 0),
    ):
        distance = np.tile(np.arange(1.0, 6.0)[:, None], 30)
        distance[:lost, 10:] = np.inf
        runs.append(
            xr.Dataset(
                {
                    "wasserstein": (("trajectory", "cycle"), distance),
                    "prior_distance": (("trajectory", "cycle"), np.full((5, 30), 9.0)),
                    "diverged_at": ("trajectory", np.where(np.arange(5) < lost, 10, -1)),
                },
                coords={"cycle": cycles},
                attrs={"filter": filter_name, "loss": loss, "weight_decay": decay},
            )
        )
    figure = figure_linear(runs, 20)
    (axis,) = figure.axes
    lines = {line.get_color(): line.get_ydata() for line in axis.lines if len(line.get_xdata()) == 30}
    assert lines["black"].tolist() == [3.0] * 30
    assert lines[METHODS["mnmef_finetuned"].color].tolist() == [3.0] * 10 + [5.0] * 20
    crosses = [line for line in axis.lines if line.get_marker() == "x"]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in crosses] == [(11, 9.0), (11, 9.0)]
    assert any("2 of 5 diverged" in text.get_text() for text in axis.texts)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {"MNMEF, no weight decay", "MNMEF, weight decay 0.01", "EnKF (untuned)"} < set(labels)
