"""Our LETKF at the published hyperparameters scores what the paper says it scores."""

from pathlib import Path

import pandas as pd
import pytest
import yaml

from mnmef.config.settings import at_scale
from mnmef.data.published import load_searches
from mnmef.experiments.load import load_experiment
from mnmef.search.race import Race
from mnmef.studies.published_baselines import AGREES, comparison_row, published_setting
from mnmef.studies.published_scorer import PublishedSearch, Scorer


@pytest.mark.slow
def test_letkf_on_lorenz_96_reproduces_the_published_errors_within_5_percent():
    table = load_searches("resources/published/dapper_grid_search_best.csv")
    cells = table.query(
        "experiment == 'lorenz96' and sigma_y == 1.0 and method == 'letkf' and ensemble_size in (20, 40)"
    )
    settings = [published_setting(cell) for cell in cells.to_dict("records")]
    assert settings == [(1.05, 3.0), (1.04, 4.0)]
    grid = at_scale(yaml.safe_load(Path("config.yaml").read_text()), "paper", "lorenz96")["search"]
    scorer = Scorer(PublishedSearch(load_experiment("lorenz96"), 1.0, "letkf", grid, seed=1), Race())
    rows = []
    for cell, setting in zip(cells.to_dict("records"), settings, strict=True):
        scores = scorer.scores(cell["ensemble_size"], [setting])
        rows.append(comparison_row(cell, [setting], scores, scorer.trials.scale, published_trials=4))
    found = pd.DataFrame(rows)
    print(found.to_string())
    assert found["published_rmse"].tolist() == [1.5767, 1.3961]
    assert found["published_rrmse"].tolist() == [0.3643, 0.3223]
    assert found["n_diverged"].tolist() == [0, 0]
    assert found["rmse"].tolist() == pytest.approx([1.5767, 1.3961], rel=0.05)
    assert found["rrmse"].tolist() == pytest.approx([0.3643, 0.3223], rel=0.05)
    assert found["verdict"].tolist() == [AGREES, AGREES]
