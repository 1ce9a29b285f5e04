"""Snakemake that itself runs in a job of the cluster."""

import shlex
import sys

from tests.cluster.slurm import wait_for

DATA = "results/quick/data/lorenz63_tune.nc"


def test_snakemake_inside_a_job_submits_jobs_of_its_own(tmp_path, site, cluster):
    tree, log = site(tmp_path / "tree"), tmp_path / "outer.log"
    command = [sys.executable, "-m", "snakemake", "--profile", "slurm", DATA, "--config", "scale=quick"]
    outer = cluster.submit(shlex.join(command), tree, log)
    wait_for("the end of the job", lambda: outer not in cluster.queue(), 600)
    assert cluster.job(outer)["JobState"] == "COMPLETED", log.read_text()[-4000:]
    assert "submitted with SLURM jobid" in log.read_text()
    assert (tree / DATA).exists()
