"""Figures 8 to 10 show the numbers that they are given."""

import numpy as np
import pandas as pd

from mnmef.report.figures.curves import INFLATION_LOOKS, figure_inflation
from mnmef.report.figures.localization import figure_localization
from mnmef.report.figures.timing import DAPPER_LETKF, FILTERS, figure_timing

SIZES = [5, 10]


def curve(axis, color, style="-"):
    """The numbers of the line of a color and style, NaN left out."""
    lines = [line for line in axis.lines if line.get_color() == color and line.get_linestyle() == style]
    assert lines
    return np.asarray(lines[0].get_ydata(), dtype=float).tolist()


def timings(device="cpu"):
    rows = [
        ("ks", 0.7, method, device, "chip", 1, size, batch, part, 1e-3 * size * batch, 1e-4, 1.0, 3)
        for method in ("mnmef", "enkf", DAPPER_LETKF)
        for size in SIZES
        for batch in ((1,) if method == DAPPER_LETKF else (1, 8))
        for part in ("forecast", "analysis")
    ]
    columns = ["experiment", "sigma_y", "method", "device", "hardware", "threads", "ensemble_size", "batch", "part"]
    return pd.DataFrame(rows, columns=[*columns, "seconds", "seconds_low", "seconds_high", "repeats"])


def test_figure_8_has_forecast_and_analysis_apart_and_says_what_was_timed_on_what():
    published = pd.read_csv("resources/published/seconds_per_step_figure_8.csv")
    figure = figure_timing(pd.concat([timings(), timings("cuda")]), published)
    alone, together, forecast = figure.axes
    for axis, batch in ((alone, 1), (together, 8), (forecast, 1)):
        assert curve(axis, FILTERS["mnmef"].color) == [0.005 * batch, 0.01 * batch]
    # Published, at the sizes that are run: on KS, MNMEF on a CPU.
    assert curve(alone, FILTERS["mnmef"].color, "--") == [0.00926, 0.00981]
    assert curve(alone, FILTERS[DAPPER_LETKF].color, "-.") == [0.005, 0.01]
    legend = figure.legends[0]
    assert legend.get_title().get_text() == "chip, 1 thread; chip; 3 repeats"
    assert {"GPU", "LETKF in DAPPER", "published, CPU"} <= {text.get_text() for text in legend.texts}
    assert "each of 8" in together.get_ylabel()


def test_figure_9_marks_cells_in_which_trajectories_diverged():
    rows = [
        ("ks", level, size, on, 0.6 + 0.2 * (not on), 0.5, 0.9, 4, 0 if on else 1)
        for level in (0.7, 1.0)
        for size in SIZES
        for on in (True, False)
    ]
    columns = ["experiment", "sigma_y", "ensemble_size", "inflation", "rrmse", "rrmse_low", "rrmse_high"]
    scores = pd.DataFrame(rows, columns=[*columns, "n_trajectories", "n_diverged"])
    published = pd.read_csv("resources/published/inflation_ablation_figure_9.csv")
    figure = figure_inflation(scores, published)
    first, second = figure.axes
    assert [axis.get_title()[-3:] for axis in (first, second)] == ["= 1", "0.7"]
    on, off = (INFLATION_LOOKS[state].color for state in (True, False))
    assert curve(first, on) == [0.6, 0.6]
    assert curve(first, off) == [0.8, 0.8]
    assert curve(second, off, "--") == [0.818, 0.722]
    labels = [text.get_text() for text in figure.legends[0].texts]
    assert "hollow: some trajectories diverged" in labels
    assert "at the top edge: all diverged" not in labels


def test_figure_10_has_a_panel_for_each_noise_level_and_size():
    distance = np.arange(21)
    parts = [
        pd.DataFrame(
            {
                "sigma_y": level,
                "ensemble_size": size,
                "distance": distance,
                "weight_mean": size / (1.0 + distance),
                "weight_std": 0.25,
                "taper": np.exp(-distance),
                "radius": 3.0,
            }
        )
        for level in (1.0, 0.7)
        for size in SIZES
    ]
    figure = figure_localization(pd.concat(parts))
    assert len(figure.axes) == 4
    learned, taper = (line.get_ydata() for line in figure.axes[1].lines)
    np.testing.assert_allclose(learned, 10 / (1.0 + distance))
    np.testing.assert_allclose(taper, np.exp(-distance))
    assert "one deviation over cycles (at most 0.2)" in [text.get_text() for text in figure.legends[0].texts]
