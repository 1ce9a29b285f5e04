"""The target `published_baselines` at the quick scale, from nothing to the summary."""

import pandas as pd
import pytest

from mnmef.studies.published_baselines import PUBLISHED_COLUMNS, VERDICTS, count_verdicts

LORENZ63 = ("--config", "scale=quick", "experiments=[lorenz63]")


@pytest.mark.slow
def test_the_published_searches_end_in_one_table_and_its_summary(tmp_path, copy_sources, snakemake):
    tree = copy_sources(tmp_path / "tree")
    run = snakemake(tree, "published_baselines", "--cores", "all", *LORENZ63)
    assert run.returncode == 0, run.stdout[-8000:]
    results = tree / "results" / "quick"
    found = pd.read_csv(results / "published_baselines.csv")
    assert found.columns.tolist() == list(PUBLISHED_COLUMNS)
    # Five methods, lag 2 among them, at the two ensemble sizes of the quick scale.
    assert len(found) == 5 * 2
    assert "ienks" in set(found["method"])
    assert (found["n_settings"] >= 11).all()
    assert found["n_final"].between(2, 3).all()
    assert (found["n_trials"] == 2).all()
    assert (found["rmse"] <= found["rmse_at_published_setting"]).all()
    summary = pd.read_csv(results / "published_baselines_summary.csv")
    pd.testing.assert_frame_equal(summary, count_verdicts(found))
    assert summary["experiment"].tolist() == ["lorenz63", "all"]
    assert (summary[list(VERDICTS)].sum(axis=1) == 10).all()
    assert "percent_agreeing" in (results / "logs" / "gather_published_baselines.log").read_text()
    assert not list((results / "resume").glob("published_*"))
    again = snakemake(tree, "published_baselines", "--cores", "all", *LORENZ63)
    assert "Nothing to be done" in again.stdout
