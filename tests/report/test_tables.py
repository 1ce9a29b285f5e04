"""Tables for readers say the same as tables for programs."""

import numpy as np
import pandas as pd
import pytest

from mnmef.data.published import load_searches
from mnmef.report.tables import deviation_page, deviation_table, markdown_table

SEARCHES = load_searches("resources/published/dapper_grid_search_best.csv")
COLUMNS = ["experiment", "sigma_y", "method", "ensemble_size", "rrmse_std", "n_trajectories", "n_diverged"]


def test_a_page_has_a_title_aligned_columns_a_dash_for_what_is_missing_and_notes():
    table = pd.DataFrame({"filter": ["a|b", "c"], "error": [1.23456, np.nan], "parameters": [341551, 1]})
    title, empty, head, rule, first, second, _, note = markdown_table(
        table, title="Errors", notes=["of\nours"]
    ).splitlines()
    assert (title, empty, note) == ("# Errors", "", "- of ours")
    assert [cell.strip() for cell in head.split("|")[1:-1]] == ["filter", "error", "parameters"]
    assert [cell.strip() for cell in first.replace("\\|", "/").split("|")[1:-1]] == ["a/b", "1.23", "341551"]
    assert [cell.strip() for cell in second.split("|")[1:-1]] == ["c", "-", "1"]
    assert len({len(line) for line in (head, rule, first, second)}) == 1


def test_the_deviation_of_table_4_is_the_mean_over_sizes_at_which_two_trajectories_survived():
    rows = [
        ("ks", 1.0, "letkf", 5, 0.02, 4, 0),
        ("ks", 1.0, "letkf", 10, 0.04, 4, 2),
        ("ks", 1.0, "letkf", 15, 0, 4, 3),
    ]
    table = deviation_table(pd.DataFrame(rows, columns=COLUMNS), SEARCHES)
    [row] = table.to_dict("records")
    assert row["rrmse_std"] == pytest.approx(0.03)
    assert (row["n_sizes"], row["n_diverged"]) == (2, 5)
    cell = SEARCHES.query(
        "experiment == 'ks' and sigma_y == 1.0 and method == 'letkf' and ensemble_size in (5, 10, 15)"
    )
    assert row["published"] == pytest.approx(cell["rrmse_std_over_trials"].mean())
    [shown] = deviation_page(table).to_dict("records")
    assert shown == {"filter": "LETKF", "Kuramoto-Sivashinsky, 1": f"0.03* ({row['published']:.2g})"}
