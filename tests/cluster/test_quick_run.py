"""The whole quick run through SLURM: every rule in a job of the cluster, and the same numbers as without one."""

import os
import re
from pathlib import Path

import pandas as pd
import pytest
import xarray as xr

FEW = (
    *("ensemble_sizes=[10]", "learned=[mnmef]"),
    *("linear_gaussian={losses: [nl2]}", "finetuning_curve={ensemble_sizes: [20]}"),
)
"""The same rules for fewer cells: set CLUSTER_FEW, as continuous integration does, where the whole takes too long."""
FEW_BASELINES = {"lorenz63": "ienkf_sqrt", "lorenz96": "letkf", "ks": "letkf"}
"""With it, the classical filter of each experiment."""
QUICK = ("--config", "scale=quick", *(FEW if os.environ.get("CLUSTER_FEW") else ()))


def with_few(tree: Path) -> Path:
    """Write FEW_BASELINES into the experiments' files if CLUSTER_FEW is set."""
    for name, method in FEW_BASELINES.items() if os.environ.get("CLUSTER_FEW") else ():
        path = tree / "mnmef" / "experiments" / "paper" / f"{name}.yaml"
        text, count = re.subn(r"^baselines: .*$", f"baselines: [{method}]", path.read_text(), flags=re.MULTILINE)
        assert count == 1
        path.write_text(text)
    return tree


@pytest.fixture(scope="module")
def finished(tmp_path_factory, site, start):
    """The finished run of `snakemake --profile slurm` on the cluster."""
    tree = with_few(site(tmp_path_factory.mktemp("quick") / "cluster"))
    run = start(tree, *QUICK)
    run.end(900)
    return run


@pytest.fixture(scope="module")
def local(tmp_path_factory, copy_sources, snakemake):
    """A folder with the data and scores of a run on this machine alone."""
    tree = with_few(copy_sources(tmp_path_factory.mktemp("quick") / "local"))
    run = snakemake(tree, "data", "scores", "--cores", "all", *QUICK)
    assert run.returncode == 0, run.stdout[-6000:]
    return tree / "results" / "quick"


def test_every_rule_runs_in_a_job_of_the_cluster(finished, clock):
    done = set(re.findall(r"Finished jobid: \d+ \(Rule: (\w+)\)", finished.text)) - {"all"}
    jobs: dict[str, list[int]] = {}
    for log in (finished.tree / ".snakemake" / "slurm_logs").rglob("*.log"):
        for rule in set(re.findall(r"Finished jobid: \d+ \(Rule: (\w+)\)", log.read_text())):
            jobs.setdefault(rule, []).append(int(log.stem))
    assert {"simulate_data", "search_baseline", "train_filter", "evaluate_learned", "score_filters", "figure_1"} <= done
    assert set(jobs) == done
    assert {str(job) for ids in jobs.values() for job in ids} == set(finished.job_ids)
    steps = int(re.search(r"of (\d+) steps", finished.text)[1])
    clock.say(f"{steps} steps in {len(finished.job_ids)} jobs of SLURM, by rule:")
    for rule, ids in sorted(jobs.items()):
        clock.say(f"  {rule}: {', '.join(str(job) for job in sorted(ids))}")


def test_short_jobs_share_a_job_of_the_cluster(finished):
    assert len(finished.job_ids) < int(re.search(r"of (\d+) steps", finished.text)[1]) / 3


def test_trainings_get_the_gpu(finished, cluster):
    training = [
        log.stem
        for log in (finished.tree / ".snakemake" / "slurm_logs").rglob("*.log")
        if re.search(r"Rule: (train_filter|finetune_filter)\)", log.read_text())
    ]
    assert training
    assert {cluster.job(job)["TresPerJob"] for job in training} == {"gres:gpu:1"}


def test_data_and_scores_are_those_of_a_local_run_to_the_bit(finished, local):
    results = finished.tree / "results" / "quick"
    paths = [path.relative_to(local) for path in sorted(local.glob("*/*.nc"))]
    assert {path.parent.name for path in paths} == {"data", "evaluation", "seeds"}
    for path in paths:
        with xr.open_dataset(local / path) as one, xr.open_dataset(results / path) as other:
            # All but the wall time of an evaluation.
            xr.testing.assert_identical(
                *(each.drop_attrs().drop_vars("seconds", errors="ignore") for each in (one, other))
            )
    for path in ("scores.csv", "trajectories.csv"):
        pd.testing.assert_frame_equal(pd.read_csv(results / path), pd.read_csv(local / path), check_exact=True)


def test_a_second_start_has_nothing_to_do(finished, start):
    again = start(finished.tree, *QUICK)
    assert "Nothing to be done" in again.end(120)
    assert not again.job_ids


def test_a_report_can_be_made_of_it(finished, snakemake):
    run = snakemake(finished.tree, "--report", "report.html", *QUICK)
    assert run.returncode == 0, run.stdout
    assert "train_filter" in (finished.tree / "report.html").read_text()
