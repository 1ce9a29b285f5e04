"""The figure of long grids."""

import numpy as np
import pandas as pd
import pytest

from mnmef.report.figures.scaling import figure_scaling, growth


def test_growth_is_one_where_the_cost_is_proportional():
    rows = [("a", 40, 9.0), ("a", 400, 2.0), ("a", 4000, 20.0), ("b", 400, 1.0), ("b", 4000, 100.0), ("c", 40, 1.0)]
    table = pd.DataFrame(rows, columns=["engine", "state_size", "seconds"])
    found = growth(table, "seconds")
    assert found["a"] == pytest.approx(1.0)
    assert found["b"] == pytest.approx(10.0)
    assert np.isnan(found["c"])


def test_each_engine_is_drawn_where_it_has_numbers_and_a_guide_is_proportional():
    rows = [("mnmef_local", 40, 0.3, 0.02, 0.31, 0.1, 5.0), ("mnmef_local", 400, 0.29, np.nan, 0.31, 0.8, 50.0)]
    rows.append(("dapper", 40, np.nan, np.nan, np.nan, 0.5, np.nan))
    columns = ["engine", "state_size", "rrmse", "rrmse_std", "relative_rms", "seconds_per_cycle", "memory_mb"]
    figure = figure_scaling(pd.DataFrame(rows, columns=columns))
    error, seconds, memory = figure.axes
    assert [list(line.get_ydata()) for line in error.lines if len(line.get_xdata()) == 2][:1] == [[0.3, 0.29]]
    guide = next(line for line in seconds.lines if line.get_color() == "0.7")
    np.testing.assert_allclose(guide.get_ydata() / guide.get_xdata(), 0.8 / 400)
    assert {text.get_text() for text in figure.legends[0].texts} >= {"LETKF in DAPPER", "MNMEF (local analyses)"}
    assert memory.get_xlabel() == "variables $D$"
