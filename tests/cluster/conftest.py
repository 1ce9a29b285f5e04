"""A cluster for all tests here, and Snakemake as a user starts it on one."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster.slurm import Cluster, missing_programs, wait_for

SITE = {
    "# slurm-status-command": "slurm-status-command",
    "  # slurm_partition: your_partition": "  slurm_partition: main",
    "latency-wait: 60": "latency-wait: 5",
}
"""What a site without accounting edits in the profile."""
FOR_TESTS = """
slurm-init-seconds-before-status-checks: 2
slurm-keep-successful-logs: true
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(scope="session")
def cluster():
    """A running cluster."""
    if missing := missing_programs():
        pytest.skip(f"no SLURM here, {', '.join(missing)} not found; `make test-cluster` as root installs it on Debian")
    with Cluster() as running:
        yield running


class Run:
    """`snakemake --profile slurm ARGUMENTS` in the folder `tree`, in the background, with a log in a file."""

    def __init__(self, cluster: Cluster, tree: Path, *arguments: str) -> None:
        self.cluster, self.tree = cluster, tree
        self.log = tree / f"run_{len(list(tree.glob('run_*.log'))) + 1}.log"
        command = [sys.executable, str(Path(__file__).with_name("impatient.py")), "--profile", "slurm", *arguments]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command,
                cwd=tree,
                env=cluster.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=heed_interrupts,
            )

    @property
    def text(self) -> str:
        """What it has said so far."""
        return self.log.read_text()

    @property
    def job_ids(self) -> list[str]:
        """The ids of the jobs of SLURM that it has submitted so far."""
        return re.findall(r"submitted with SLURM jobid (\d+)", self.text)

    def wait_for_job(self, number: int = 1) -> str:
        """Wait for its job with this number, counted from 1, and return the job's id."""
        self.wait_until("submission", lambda: len(self.job_ids) >= number)
        return self.job_ids[number - 1]

    def wait_until(self, what, condition, seconds: float = 180) -> None:
        """Wait for a condition; fail with the log if the run ends before."""

        def reached():
            assert condition() or self.process.poll() is None, self.text[-6000:]
            return condition()

        try:
            wait_for(what, reached, seconds)
        except TimeoutError as error:
            pytest.fail(f"{error}\n{self.text[-6000:]}")

    def end(self, seconds: float = 300) -> str:
        """Wait for its end, which has to be a good one, and return what it said."""
        self.process.wait(seconds)
        assert self.process.returncode == 0, self.text[-6000:]
        return self.text

    def kill(self) -> None:
        """Kill it, as a reboot of the login node would; jobs live on."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def heed_interrupts() -> None:
    # A test run that a script has put into the background ignores them, and so would what it starts.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture(scope="session")
def start(cluster):
    """A function that starts a `Run`; runs that still go on at the end of the tests are interrupted."""
    runs: list[Run] = []

    def started(tree: Path, *arguments: str) -> Run:
        runs.append(Run(cluster, tree, *arguments))
        return runs[-1]

    yield started
    for run in runs:
        if run.process.poll() is None:
            run.process.send_signal(signal.SIGINT)
            try:
                run.process.wait(30)
            except subprocess.TimeoutExpired:
                run.kill()


@pytest.fixture(scope="session")
def site(copy_sources):
    """A function that copies the sources and fills in the profile, as a user of this cluster would."""

    def copied(target: Path) -> Path:
        tree = copy_sources(target)
        profile = tree / "profiles" / "slurm" / "config.yaml"
        text = profile.read_text()
        for old, new in SITE.items():
            assert old in text
            text = text.replace(old, new)
        profile.write_text(text + FOR_TESTS)
        return tree

    return copied


class Clock:
    """What an accident cost, and what else a test has to say; printed after all tests."""

    def __init__(self, record: Callable[[str, object], None]) -> None:
        self.record = record

    def lost(self, what: str, seconds: float) -> None:
        """Say how much work was lost, in seconds."""
        self.say(f"{what}: {seconds:.1f} s of work lost")

    def say(self, text: str) -> None:
        """Print after all tests."""
        self.record("said", text)


@pytest.fixture
def clock(record_property):
    return Clock(record_property)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.section("the cluster")
    for report in terminalreporter.stats.get("passed", []):
        for name, text in report.user_properties if report.when == "call" else []:
            if name == "said":
                terminalreporter.write_line(text)
