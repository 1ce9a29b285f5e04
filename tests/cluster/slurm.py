"""A private SLURM with one node, for tests: on the loopback interface, without systemd, cgroups or accounting.

Daemons are children of this process, in the foreground, so that nothing but what was started here is ever ended. The
node pretends to have enough memory and one GPU; nothing is measured or enforced.
"""

import contextlib
import ctypes
import getpass
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel")
CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthInfo=socket={folder}/munge/socket,cred_expire=20
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
# Ended jobs stay visible, since without accounting Snakemake asks squeue how they ended.
MinJobAge=900
ReturnToService=2
SlurmdTimeout=60
KillWait=3
SchedulerParameters=batch_sched_delay=0,bf_interval=2,sched_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=500
GresTypes=gpu
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=200000 Gres=gpu:1
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def program(name: str) -> str | None:
    """The path of a program of SLURM, which Debian puts where not every user looks."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def missing_programs() -> list[str]:
    """The programs that a cluster needs and this machine lacks."""
    return [name for name in PROGRAMS if program(name) is None]


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that nothing listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def wait_for(what: str, condition: Callable[[], object], seconds: float) -> None:
    """Wait until `condition()` is true; raises `TimeoutError` saying `what` did not happen."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds} s")
        time.sleep(0.1)


def end_with_parent() -> None:
    """Let Linux end this process if the tests are killed."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


class Cluster:
    """The cluster; `with Cluster() as cluster:` brings it up and takes it down."""

    def __init__(self) -> None:
        # Short, since the name of a socket may not be longer than about a hundred characters.
        self.folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))
        self.folder.chmod(0o755)
        for name, mode in (("munge", 0o755), ("state", 0o700), ("spool", 0o755), ("log", 0o755), ("bin", 0o755)):
            (self.folder / name).mkdir()
            (self.folder / name).chmod(mode)
        self.host = socket.gethostname().split(".")[0]
        self.daemons: dict[str, subprocess.Popen] = {}
        self.environment = {
            **os.environ,
            "SLURM_CONF": str(self.folder / "slurm.conf"),
            "PYTHONPATH": str(Path(__file__).with_name("absent")),
        }

    def __enter__(self) -> "Cluster":
        try:
            self._configure()
            self._start("munged", "--foreground", *self._munge_options())
            wait_for("munge", (self.folder / "munge" / "socket").exists, 10)
            self._start("slurmctld", "-D")
            self.start_node()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if "slurmd" in self.daemons:
            self._run("scancel", "--user", getpass.getuser(), timeout=20, check=False)
            with contextlib.suppress(TimeoutError, subprocess.SubprocessError):
                wait_for("the end of all jobs", lambda: not self.queue(), 30)
        for name in reversed(list(self.daemons)):
            self._stop(name)
        shutil.rmtree(self.folder, ignore_errors=True)

    def queue(self) -> dict[str, str]:
        """Ids and states of the jobs that wait or run."""
        lines = self._run("squeue", "--noheader", "--format=%A %T").splitlines()
        return dict(line.split() for line in lines)

    def job(self, job_id: str) -> dict[str, str]:
        """What the controller knows of a job, ended or not."""
        return dict(re.findall(r"(\S+?)=(\S*)", self._run("scontrol", "show", "job", job_id)))

    def cancel(self, job_id: str) -> None:
        """Cancel a job, as its user would."""
        self._run("scancel", job_id)

    def submit(self, command: str, folder: Path, log: Path) -> str:
        """Submit a command as a job in a folder; return the job's id."""
        options = ("--parsable", f"--chdir={folder}", f"--output={log}", "--mem=1000")
        return self._run("sbatch", *options, "--wrap", command).strip()

    def update(self, job_id: str, setting: str) -> None:
        """Change a job, as an administrator would."""
        self._run("scontrol", "update", f"JobId={job_id}", setting)

    def start_node(self) -> None:
        """Start the daemon of the node and wait until it takes jobs."""
        self._start("slurmd", "-D", "-N", self.host)
        states = ("idle", "mixed", "allocated")
        wait_for("the node", lambda: self._run("sinfo", "-h", "-o", "%T", check=False).strip() in states, 60)

    def kill_node(self) -> None:
        """Kill the daemon of the node; processes of its jobs live on."""
        daemon = self.daemons.pop("slurmd")
        daemon.send_signal(signal.SIGKILL)
        daemon.wait()

    def _configure(self) -> None:
        text = CONFIGURATION.format(
            host=self.host,
            user=getpass.getuser(),
            folder=self.folder,
            ports=free_ports(2),
            # More than there are: many jobs of a test wait.
            cpus=2 * max(2, os.cpu_count() or 1),
        )
        (self.folder / "slurm.conf").write_text(text)
        # A GPU needs a device file, any will do.
        (self.folder / "gres.conf").write_text("Name=gpu File=/dev/null\n")
        key = self.folder / "munge" / "key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(128))
        # The executor starts srun without any variable named SLURM_*, and inside a job the others as well: they have to
        # find the configuration by themselves.
        for name in ("srun", "sbatch", "squeue", "scancel", "scontrol"):
            shim = self.folder / "bin" / name
            shim.write_text(f'#!/bin/sh\nSLURM_CONF={self.folder}/slurm.conf exec {program(name)} "$@"\n')
            shim.chmod(0o755)
        self.environment["PATH"] = f"{self.folder / 'bin'}:{os.environ['PATH']}"

    def _munge_options(self) -> list[str]:
        folder = self.folder / "munge"
        files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "seed-file": "seed", "log-file": "log"}
        return ["--force", "--num-threads=2", *(f"--{option}={folder / name}" for option, name in files.items())]

    def _start(self, name: str, *arguments: str) -> None:
        with (self.folder / "log" / f"{name}.log").open("a") as log:
            command = [str(program(name)), *arguments]
            self.daemons[name] = subprocess.Popen(
                command,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=end_with_parent,
            )

    def _stop(self, name: str) -> None:
        daemon = self.daemons.pop(name)
        daemon.terminate()
        try:
            daemon.wait(15)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()

    def _run(self, *command: str, timeout: float = 30, check: bool = True) -> str:
        done = subprocess.run(
            command, env=self.environment, text=True, timeout=timeout, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        if check and done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)} failed: {done.stdout}")
        return done.stdout
