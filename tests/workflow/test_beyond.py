"""Targets beyond the paper at the quick scale, with the shipped weights: they are no part of `all`."""

import pandas as pd
import pytest
import yaml

from tests.declared_files import differences

SHIPPED = ("--config", "scale=quick", "weights=shipped", "experiments=[lorenz96]", "ensemble_sizes=[10]")


@pytest.fixture(scope="module")
def tree(tmp_path_factory, copy_sources):
    return copy_sources(tmp_path_factory.mktemp("beyond") / "tree")


@pytest.mark.slow
def test_the_robustness_table_has_every_condition_for_every_filter(tree, snakemake):
    run = snakemake(tree, "robustness", "--cores", "all", *SHIPPED)
    assert run.returncode == 0, run.stdout[-8000:]
    tables = tree / "results" / "quick" / "tables"
    table = pd.read_csv(tables / "robustness.csv")
    assert set(table["method"]) == {"letkf", "mnmef_finetuned", "mnmef_conv"}
    # As in training, four noise levels, two forcings that the model follows or not, a first ensemble, a gap.
    assert len(table) == 3 * (1 + 4 + 2 * 2 + 1 + 1)
    assert table["rrmse"].between(0.0, 1.5).all()
    nominal = table[table["condition"] == "nominal"]
    assert (nominal["ratio"] == 1.0).all()
    text = (tables / "robustness.md").read_text()
    assert all(f"{score:.3f} ± " in text for score in nominal["rrmse"])
    again = snakemake(tree, "robustness", "--cores", "all", *SHIPPED)
    assert "Nothing to be done" in again.stdout


def test_a_table_without_filters_says_what_it_needs(tree, snakemake):
    run = snakemake(tree, "robustness", "--cores", "1", "--config", "scale=quick", "noise_levels=[0.7]")
    assert run.returncode != 0
    assert "needs the noise level robustness.sigma_y among noise_levels" in run.stdout


@pytest.mark.slow
def test_longer_grids_end_in_a_table_and_a_figure(tree, snakemake):
    run = snakemake(tree, "scaling_dimension", "--cores", "all", *SHIPPED)
    assert run.returncode == 0, run.stdout[-8000:]
    results = tree / "results" / "quick"
    table = pd.read_csv(results / "tables" / "scaling_dimension.csv")
    found = list(zip(table["engine"], table["state_size"], strict=True))
    assert found == [(engine, size) for engine in ("dapper", "letkf", "mnmef_local") for size in (40, 80)]
    assert (table["seconds_per_cycle"] > 0).all()
    assert table.loc[table["engine"] != "dapper", "rrmse"].between(0.0, 1.5).all()
    assert (results / "figures" / "scaling_dimension.png").read_bytes().startswith(b"\x89PNG")
    again = snakemake(tree, "scaling_dimension", "--cores", "all", *SHIPPED)
    assert "Nothing to be done" in again.stdout


@pytest.mark.slow
def test_the_reference_has_a_row_for_each_system_and_level(tree, snakemake):
    settings = ("--config", "scale=quick", "experiments=[lorenz63, lorenz96]")
    run = snakemake(tree, "reference", "--cores", "all", *settings)
    assert run.returncode == 0, run.stdout[-8000:]
    table = pd.read_csv(tree / "results" / "quick" / "tables" / "reference.csv")
    assert table["experiment"].tolist() == ["lorenz63", "lorenz96"]
    assert (table["ensemble_size"] == 200).all()
    # Lorenz '63 has no grid to localize on.
    assert table["method"][0] == "esrf"
    assert table["rrmse"].between(0.0, 0.6).all()


def test_expected_scores_are_run_for_each_canonical_experiment(tree, snakemake):
    table = "results/quick/canonical/lorenz63_short.csv"
    run = snakemake(tree, table, "--cores", "1", *SHIPPED)
    assert run.returncode == 0, run.stdout[-8000:]
    assert pd.read_csv(tree / table)["method"].tolist() == ["enkf_n", "ienkf_sqrt", "particle"]
    plan = snakemake(tree, "canonical", "--dry-run", *SHIPPED).stdout
    files = (tree / "mnmef" / "experiments" / "canonical").glob("*.yaml")
    experiments = [path.stem for path in files if "expected" in yaml.safe_load(path.read_text())]
    assert len(experiments) >= 9
    assert [name for name in experiments if f"canonical/{name}.csv" not in plan] in ([], ["lorenz63_short"])
    assert "Table of scores that the field knows" in plan


@pytest.mark.slow
def test_every_file_that_these_targets_made_is_in_the_reference(tree):
    results = tree / "results" / "quick"
    made = {path.parent.name for path in results.rglob("*.csv")}
    assert {"robustness", "scaling", "reference", "canonical", "tables"} <= made
    assert dict(differences(results)) == {}
