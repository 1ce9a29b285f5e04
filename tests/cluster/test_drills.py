"""Accidents on a cluster: what is lost, and what must not be.

Each has a folder of its own, a copy of one in which the truths of one experiment are there, and trains one filter.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from tests.cluster.slurm import wait_for
from tests.copies import share_kernels

STEPS = 600
SETTINGS = ("--config", "scale=quick", f"training={{steps: {STEPS}, checkpoint_seconds: 0.5}}")
DATA = "results/quick/data/lorenz63_train.nc"
WEIGHTS = "results/quick/training/lorenz63_1.0/mnmef_pretrained.safetensors"
TRAINING = (WEIGHTS, *SETTINGS)
FAIL_ONCE = """
from pathlib import Path
if not Path("failed").exists():
    Path("failed").touch()
    raise SystemExit("the first attempt fails")
"""


def copy(tree: Path, target: Path) -> Path:
    shutil.copytree(tree, target, symlinks=True, ignore=shutil.ignore_patterns("run_*.log"))
    share_kernels(target)
    return target


def resume_files(tree: Path) -> list[Path]:
    """States of unfinished trainings; a name with a leading dot is one that is still being written."""
    return list((tree / "results" / "quick" / "resume").rglob("[!.]*.pt"))


def first_step(tree: Path, steps: int = STEPS) -> int:
    """The step at which the last job of a training of so many steps began, as its log says."""
    log = (tree / "results/quick/logs/train_filter/lorenz63_1.0_mnmef.log").read_text()
    return int(re.search(rf"\| (\d+)/{steps}", log)[1])


def training_process(tree: Path) -> int:
    """The id of the process that trains."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if b".train_filter.py" in (folder / "cmdline").read_bytes() and (folder / "cwd").resolve() == tree:
                return int(folder.name)
        except OSError:
            continue
    raise LookupError(f"nothing trains in {tree}")


def since_last_state(run) -> float:
    """Wait for the end of the run's first job; seconds from its last resume file to its end, known to a second."""
    job_id = run.job_ids[0]
    wait_for("the end of the job", lambda: job_id not in run.cluster.queue(), 60)
    ended = datetime.fromisoformat(run.cluster.job(job_id)["EndTime"]).timestamp()
    return max(0.0, ended - max(path.stat().st_mtime for path in resume_files(run.tree)))


@pytest.fixture(scope="module")
def failed_once(tmp_path_factory, site, start):
    """The finished run of a job whose first attempt failed."""
    tree = site(tmp_path_factory.mktemp("drills") / "base")
    script = tree / "workflow_scripts" / "data" / "simulate_data.py"
    text, _, guard = script.read_text().partition("if __name__")
    script.write_text(f"{text}{FAIL_ONCE}if __name__{guard}")
    run = start(tree, DATA, *SETTINGS)
    run.end()
    return run


@pytest.fixture(scope="module")
def base(failed_once):
    """A folder with the truths."""
    return failed_once.tree


@pytest.fixture(scope="module")
def hung(base, start):
    """A training that hangs once it has left a resume file, in a job of one minute; a retry may take longer."""
    tree = copy(base, base.with_name("hung"))
    run = start(tree, *TRAINING, "--set-resources", "train_filter:runtime=attempt**2")
    run.wait_until("a resume file", lambda: resume_files(tree))
    os.kill(training_process(tree), signal.SIGSTOP)
    return run


@pytest.fixture
def training(base, start, tmp_path):
    """A training that has left a resume file."""
    tree = copy(base, tmp_path / "tree")
    run = start(tree, *TRAINING)
    run.wait_until("a resume file", lambda: resume_files(tree))
    return run


def test_a_job_that_fails_once_is_tried_again_with_more_memory_and_time(failed_once, cluster, clock):
    first, second = (cluster.job(job_id) for job_id in failed_once.job_ids)
    assert first["JobState"] == "FAILED"
    assert second["JobState"] == "COMPLETED"
    assert float(second["MinMemoryNode"].rstrip("MG")) == 2 * float(first["MinMemoryNode"].rstrip("MG"))
    assert first["TimeLimit"] == "00:30:00"
    assert second["TimeLimit"] == "01:00:00"
    clock.lost("a job that fails once", seconds(first["RunTime"]))


def seconds(duration: str) -> int:
    """Seconds of hours:minutes:seconds."""
    hours, minutes, rest = (int(part) for part in duration.split(":"))
    return 3600 * hours + 60 * minutes + rest


def test_a_cancelled_training_goes_on_in_the_next_job(hung, training, cluster, clock):
    cluster.cancel(training.wait_for_job())
    lost = since_last_state(training)
    training.end()
    assert cluster.job(training.job_ids[0])["JobState"] == "CANCELLED"
    assert len(training.job_ids) == 2
    assert 0 < first_step(training.tree) < STEPS
    assert cluster.job(training.job_ids[1])["TresPerJob"] == "gres:gpu:1"
    clock.lost("scancel of a training", lost)


def test_a_node_whose_daemon_is_killed_and_restarted_loses_no_job(training, cluster, clock):
    cluster.kill_node()
    began = first_step(training.tree)
    cluster.start_node()
    training.end()
    assert len(training.job_ids) == 1
    assert began == first_step(training.tree) == 0
    clock.lost("the daemon of the node killed and restarted", 0.0)


def test_after_ctrl_c_a_second_start_goes_on(training, start, cluster, clock):
    training.process.send_signal(signal.SIGINT)
    training.process.wait(60)
    lost = since_last_state(training)
    assert cluster.job(training.job_ids[0])["JobState"] == "CANCELLED"
    assert not (training.tree / WEIGHTS).exists()
    again = start(training.tree, *TRAINING)
    again.end()
    assert 0 < first_step(training.tree) < STEPS
    clock.lost("Ctrl-C", lost)


def test_a_second_snakemake_and_one_after_a_kill_leave_the_running_job_alone(training, start, clock):
    process = training_process(training.tree)
    os.kill(process, signal.SIGSTOP)  # so that it is certain to be there still
    second = start(training.tree, *TRAINING)
    assert second.process.wait(60) != 0
    assert "Directory cannot be locked" in second.text
    training.kill()
    subprocess.run([sys.executable, "-m", "snakemake", "--unlock", *SETTINGS], cwd=training.tree, check=True)
    third = start(training.tree, *TRAINING)
    assert third.process.wait(60) != 0
    assert f"`scancel {training.job_ids[0]}`" in third.text
    assert not third.job_ids
    os.kill(process, signal.SIGCONT)
    wait_for("the end of the job", lambda: training.job_ids[0] not in training.cluster.queue(), 180)
    assert "Nothing to be done" in start(training.tree, *TRAINING).end()
    assert first_step(training.tree) == 0
    clock.lost("two Snakemakes, and kill -9 of the first", 0.0)


@pytest.mark.skipif(
    bool(os.environ.get("CLUSTER_FEW")), reason="CLUSTER_FEW leaves out what a cancelled training shows too"
)
def test_a_training_longer_than_the_queue_allows_goes_from_job_to_job(base, start, cluster, tmp_path, clock):
    tree = copy(base, tmp_path / "tree")
    profile = tree / "profiles" / "slurm" / "config.yaml"
    text = profile.read_text()
    assert "train_filter:\n    gpu: 1" in text
    profile.write_text(text.replace("train_filter:\n    gpu: 1", 'train_filter:\n    gres: "gpu:1"'))
    # Each job is over its limit after its first step.
    run = start(tree, WEIGHTS, "--config", "scale=quick", "training={steps: 3, time_limit: 0.0001}")
    run.end()
    jobs = [cluster.job(job_id) for job_id in run.job_ids]
    assert [job["JobState"] for job in jobs] == ["FAILED", "FAILED", "COMPLETED"]
    assert {job["TimeLimit"] for job in jobs} == {jobs[0]["TimeLimit"]}
    assert {job["TresPerNode"] for job in jobs} == {"gres:gpu:1"}
    assert first_step(tree, 3) == 2
    clock.lost("a training in three jobs", 0.0)


def test_a_training_killed_for_its_time_limit_goes_on_in_a_longer_job(hung, cluster, clock):
    hung.end()
    first, second = (cluster.job(job_id) for job_id in hung.job_ids)
    assert first["JobState"] == "TIMEOUT"
    assert second["TimeLimit"] == "00:04:00"
    assert 0 < first_step(hung.tree) < STEPS
    clock.lost("a training that hangs until its time limit", seconds(first["RunTime"]))
