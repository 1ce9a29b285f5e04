"""Our LETKF at the published hyperparameters scores what the paper says it scores."""

import pytest

from mnmef.grids import load_grids, published_winners
from mnmef.published_check import AGREES, check_published


@pytest.mark.slow
def test_letkf_on_lorenz_96_reproduces_the_published_errors_within_5_percent():
    table = published_winners("resources/published/dapper_grid_search_best.csv")
    cells = table.query("system == 'lorenz96' and sigma_y == 1.0 and method == 'letkf' and ensemble_size in (20, 40)")
    assert list(zip(cells["inflation"], cells["localization_radius"], strict=True)) == [(1.05, 3.0), (1.04, 4.0)]
    found = check_published(cells, load_grids("resources/published/search_grids.yaml"), seed=1, trials=64)
    print(found.to_string())
    assert found["published_rmse"].tolist() == [1.5767, 1.3961]
    assert found["published_rrmse"].tolist() == [0.3643, 0.3223]
    assert found["n_diverged"].tolist() == [0, 0]
    assert found["rmse"].tolist() == pytest.approx([1.5767, 1.3961], rel=0.05)
    assert found["rrmse"].tolist() == pytest.approx([0.3643, 0.3223], rel=0.05)
    assert found["verdict"].tolist() == [AGREES, AGREES]
