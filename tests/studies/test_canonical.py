"""Expected scores: read as their files have them, run, and judged."""

import re

import numpy as np
import pandas as pd
import pytest
import yaml

from mnmef.config.loading import load_config
from mnmef.experiments.files import known_experiments, read_experiment, shipped_experiments
from mnmef.scores.canonical import gather_canonical
from mnmef.studies.canonical import COLUMNS, expected_rows, run_canonical

EXPECTED = [name for name in known_experiments() if read_experiment(name).get("expected")]


@pytest.mark.parametrize("name", EXPECTED)
def test_every_row_makes_its_filter_and_says_where_its_score_is_from(name):
    for row in expected_rows(name):
        assert row.rmse > 0
        assert row.source.startswith("dapper.mods.")
        assert {row.trajectories, row.cycles, row.burn_in} & {0, 1} == set()
    rows = expected_rows(name, 0.5, seed=7)
    assert [row.trajectories for row in rows] == [row.trajectories // 2 for row in expected_rows(name)]
    assert all(row.options.seed == 7 for row in rows)


def test_the_options_of_a_row_are_those_of_its_filter_in_dappers_units():
    row = next(row for row in expected_rows("lorenz96_full") if row.method == "letkf")
    assert (row.setting, row.options.rotation) == ((1.04, 4), True)
    assert row.named == "inflation 1.04, localization_radius 4, rotation"
    smoother = expected_rows("lorenz96_nonlinear_020")[0]
    assert (smoother.lag, smoother.options.hyperprior, smoother.setting) == (4, 2.0, (1.0, None))


def test_an_experiment_without_expected_scores_is_named():
    with pytest.raises(ValueError, match="lorenz96 has no expected scores"):
        expected_rows("lorenz96")


@pytest.mark.parametrize("scale", ["quick", "laptop", "paper"])
@pytest.mark.parametrize("name", shipped_experiments())
def test_each_shipped_experiment_can_be_run_by_the_whole_workflow(root, name, scale):
    given = {"experiments": [name], "scale": scale}
    run = load_config(yaml.safe_load((root / "config.yaml").read_text()), given)
    assert run.descriptions[name]["steps_per_cycle"] >= 1


def test_a_short_run_has_a_row_for_each_expected_score_and_dapper_beside_it():
    table = run_canonical("lorenz63_full", fraction=0.03, seed=1)
    assert list(table.columns) == list(COLUMNS)
    assert table["method"].tolist() == [row.method for row in expected_rows("lorenz63_full")]
    assert (table["n_diverged"] == 0).all()
    assert ((table["low"] < table["rmse"]) & (table["rmse"] < table["high"])).all()
    # The same truths, observations and first ensembles: what is random in the analyses matters little by comparison.
    both = table.dropna(subset=["rmse_dapper"])
    assert len(both) >= 3
    np.testing.assert_allclose(both["rmse_dapper"], both["rmse_same"], rtol=0.5)
    assert (both["times_faster"] > 1).all()
    rows, shown, notes = gather_canonical([table, table])
    assert len(rows) == len(shown) == 2 * len(table)
    assert f"{2 * table['reproduced'].sum()} of {len(rows)}" in " ".join(notes[0].split())


def test_observations_of_the_laplace_experiment_have_its_noise():
    from mnmef.experiments.load import load_experiment

    draws = np.random.default_rng(0).standard_normal((2000, 40))
    noise = load_experiment("lorenz96_laplace").observation.simulate(np.zeros((2000, 80)), [1.0], draws, None)[0]
    assert noise.var() == pytest.approx(1.0, rel=0.03)
    assert (noise**4).mean() == pytest.approx(6.0, rel=0.1)  # of Laplace's distribution; 3 of Gauss's


def test_the_page_of_the_documentation_is_that_of_its_table(root):
    from mnmef.report.tables import markdown_table

    folder = root / "docs" / "results"
    _, shown, notes = gather_canonical([pd.read_csv(folder / "canonical_expected.csv")])
    page = markdown_table(shown, title="Scores that the field knows", notes=notes)
    # DAPPER, once imported, changes the padding of tabulate.
    said, expected = (re.sub(r"[ :-]+", " ", text) for text in ((folder / "canonical.md").read_text(), page))
    assert said == expected


def test_no_score_is_reproduced_by_the_scatter_of_its_trajectories(root):
    table = pd.read_csv(root / "docs" / "results" / "canonical_expected.csv")
    assert (abs(table["rmse"] / table["expected"] - 1.0)[table["reproduced"]] <= 0.2).all()
