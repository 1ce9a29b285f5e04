"""Figures show what they are given, whatever the scale, and come out the same twice."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mnmef.core.names import METHODS
from mnmef.data.published import KEYS, load_curves
from mnmef.report.figures.curves import figure_curves
from mnmef.report.figures.panels import figure_components, figure_fields
from mnmef.report.figures.style import save_figure

PUBLISHED = load_curves("resources/published/rrmse_figures_1_4_7.csv")


def make_scores(levels=(1.0, 0.7), sizes=(5, 10, 100)):
    rng = np.random.default_rng(0)
    rows = [
        ("lorenz96", s, m, n, rng.uniform(0.2, 1.0), 0.02, 16, 0, 1) for s in levels for m in METHODS for n in sizes
    ]
    names = [*KEYS, "rrmse", "rrmse_std", "n_trajectories", "n_diverged", "n_trainings"]
    table = pd.DataFrame(rows, columns=names).assign(rrmse_training_std=np.nan)
    return table.assign(rrmse_low=table["rrmse"] - 0.01, rrmse_high=table["rrmse"] + 0.01)


def make_improvements(scores):
    ours = scores[scores["method"] == "mnmef_finetuned"].rename(columns={"rrmse": "ours"})
    cell = ["experiment", "sigma_y", "ensemble_size"]
    pairs = scores.merge(ours[[*cell, "ours"]], on=cell).rename(columns={"method": "benchmark"})
    gain = 1 - pairs["ours"] / pairs["rrmse"]
    pairs = pairs.assign(
        method="mnmef_finetuned", improvement=gain, improvement_low=gain - 0.1, improvement_high=gain + 0.1
    )
    return pairs[pairs["benchmark"] != "mnmef_finetuned"].drop(columns="n_diverged")


def draw(scores):
    return figure_curves(scores, make_improvements(scores), PUBLISHED, "lorenz96")


def make_split_and_run(cycles, method="letkf"):
    rng = np.random.default_rng(1)
    split = xr.Dataset(
        {
            "truth": (("trajectory", "cycle", "state"), rng.standard_normal((2, cycles, 40))),
            "observation": (("sigma_y", "trajectory", "cycle", "observed"), rng.standard_normal((1, 2, cycles, 10))),
        },
        coords={"sigma_y": [1.0], "observed": np.arange(0, 40, 4), "cycle": np.arange(1, cycles + 1)},
        attrs={"experiment": "lorenz96"},
    )
    fields = {name: (("traced", "cycle", "state"), rng.random((1, cycles, 40))) for name in ("mean", "deviation")}
    return split, xr.Dataset(fields, attrs={"traced_ensemble_size": 10, "method": method})


def test_a_very_large_ensemble_is_a_level_line_of_its_system_and_noise_level():
    scores = make_scores()
    large = pd.DataFrame(
        [("lorenz96", 1.0, "enkf", 1000, 0.25), ("lorenz96", 0.7, "esrf", 1000, 0.15), ("ks", 1.0, "letkf", 1000, 0.5)],
        columns=["experiment", "sigma_y", "method", "ensemble_size", "rrmse"],
    )
    figure = figure_curves(scores, make_improvements(scores), PUBLISHED, "lorenz96", large)
    for axis, bound in zip(figure.axes, (0.25, 0.15), strict=False):
        levels = [line.get_ydata() for line in axis.lines if line.get_linestyle() == ":"]
        assert levels == [[bound, bound]]
    assert "EnKF or ESRF, $N$ = 1000" in [text.get_text() for text in figure.legends[0].texts]


@pytest.mark.parametrize("levels", [(1.0,), (1.0, 0.7)])
def test_each_filter_is_a_line_through_its_scores_for_each_noise_level(levels):
    scores = make_scores(levels)
    figure = draw(scores)
    assert len(figure.axes) == 2 * len(levels)
    for axis, level in zip(figure.axes, levels, strict=False):
        for method, look in METHODS.items():
            values = scores[(scores["sigma_y"] == level) & (scores["method"] == method)]["rrmse"].to_numpy()
            drawn = [
                line.get_ydata()
                for line in axis.lines
                if line.get_color() == look.color and line.get_linestyle() == "-"
            ]
            assert any(np.array_equal(values, y) for y in drawn)


def test_the_legend_names_published_curves_only_where_there_are_some():
    scores = make_scores()
    figures = [
        figure_curves(scores, make_improvements(scores), published, "lorenz96")
        for published in (PUBLISHED, PUBLISHED[PUBLISHED["experiment"] != "lorenz96"])
    ]
    assert ["published" in [text.get_text() for text in figure.legends[0].texts] for figure in figures] == [True, False]


def test_diverged_cells_are_visible_as_such():
    scores = make_scores()
    scores.loc[scores.query("method == 'enkf' and ensemble_size == 5").index, ["rrmse", "n_diverged"]] = (np.nan, 16)
    scores.loc[scores.query("method == 'esrf' and ensemble_size == 10").index, "n_diverged"] = 3
    labels = [text.get_text() for text in draw(scores).legends[0].get_texts()]
    assert any("some trajectories diverged" in label for label in labels)
    assert any("all diverged" in label for label in labels)


def test_intervals_are_bands_and_several_trainings_have_a_bar():
    scores = make_scores(levels=(1.0,))
    figure = draw(scores)
    assert [len(axis.collections) for axis in figure.axes] == [len(METHODS), len(METHODS) - 1]
    for axis, table, column in zip(
        figure.axes, (scores, make_improvements(scores)), ("rrmse", "improvement"), strict=True
    ):
        drawn = sorted(band.get_datalim(axis.transData).y1 for band in axis.collections)
        key = "method" if column == "rrmse" else "benchmark"
        assert drawn == pytest.approx(sorted(table.groupby(key)[f"{column}_high"].max()))
    again = (scores["method"] == "mnmef_pretrained") & (scores["ensemble_size"] == 10)
    scores.loc[again, ["n_trainings", "rrmse_training_std"]] = (3, 0.05)
    figure = draw(scores)
    assert len(figure.axes[0].collections) == len(METHODS) + 1
    assert "deviation over 3 trainings" in [text.get_text() for text in figure.legends[0].get_texts()]


@pytest.mark.parametrize("cycles", [30, 150])
def test_panels_show_at_most_the_last_hundred_cycles(cycles):
    split, run = make_split_and_run(cycles)
    figure = figure_components(split, {"mnmef_pretrained": run, "letkf": run}, 1.0)
    drawn = figure.axes[0].lines[0].get_xdata()
    assert drawn[-1] == cycles
    assert len(drawn) == min(100, cycles)
    assert len(figure_fields(split, {"mnmef_pretrained": run, "letkf": run}, 1.0).axes) == 8 + 2


def test_a_system_of_which_one_component_is_observed_has_an_unobserved_one_beside_it():
    split, run = make_split_and_run(30)
    split, run = split.isel(observed=[0], state=slice(3)).assign_attrs(experiment="lorenz63"), run.isel(state=slice(3))
    titles = [axis.get_title(loc="left") for axis in figure_components(split, {"esrf": run}, 1.0).axes]
    assert titles == ["ESRF, component 0 (observed)", "ESRF, component 1 (unobserved)"]


def test_an_evaluation_without_a_traced_trajectory_is_an_error_that_says_what_to_change():
    split, run = make_split_and_run(30)
    with pytest.raises(ValueError, match=r"letkf holds no traced trajectory.*traced\.ensemble_size"):
        figure_fields(split, {"letkf": run.drop_vars("mean")}, 1.0)


def test_the_same_figure_is_the_same_file(tmp_path):
    paths = [tmp_path / name for name in ("a.svg", "b.svg", "a.png", "b.png")]
    for first, second in (paths[0::2], paths[1::2]):
        save_figure(draw(make_scores()), first, second)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert paths[2].read_bytes() == paths[3].read_bytes()
