"""Faults on purpose: kills, full disks, limits, damaged files, two runs at once, a clock that goes back.

    python tests/faults/campaign.py [--kills 100] [--snakemakes 10] [--damaged 66] [--seed 1]

A small run of the workflow, undisturbed, is the truth. Then one fault after the other is laid on one of its jobs, and
the next run must end with the same bits or stop with an error that names the file. Only processes that this program
has started are killed. The last line says how many faults, how many seconds of work they cost, how many results wrong.
"""

import argparse
import ast
import json
import os
import pickle
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import xarray as xr
from safetensors import safe_open

ROOT = Path(__file__).parents[2]
SMALL = {"feature_size": 8, "width": 8, "heads": 2, "seeds": 2, "hidden_layers": 1}
CONFIG = {
    "scale": "quick",
    "experiments": ["lorenz63"],
    "ensemble_sizes": [5],
    "learned": ["mnmef"],
    "baselines": ["esrf"],
    "training_seeds": {"experiments": []},
    "model": SMALL,
    "data": {"train": {"windows": 16, "window_cycles": 8, "offset_cycles": 2}},
    "search": {"engine": "batched", "cycles": 20, "inflation_stride": 4},
    "training": {"steps": 120, "batch": 8, "checkpoint_seconds": 0.05},
    "finetuning": {"steps": 40, "keep": "last"},
    "evaluation": {"climatology": {"cycles": 20}},
}
TARGETS = ("results/quick/scores.csv", "results/quick/weights.csv", "results/quick/figures/figure_7.svg")
CAPTURE = """
import atexit, shutil, sys, time

def keep():
    main = sys.modules["__main__"]
    if hasattr(main, "__real_file__"):
        shutil.copy(main.__real_file__, f"{FOLDER}/{time.time_ns()}.py")

atexit.register(keep)
"""
"""What Python runs first in each script of the undisturbed run, to keep what Snakemake has made of it."""


def content(path: Path) -> object:
    """What must be the same in a file: all but times that were measured."""
    if path.suffix == ".nc":
        with xr.open_dataset(path) as data:
            kept = data.drop_vars([name for name in data.variables if "seconds" in str(name)]).load()
        return [(n, v.dims, v.values.tobytes(), str(v.attrs)) for n, v in kept.variables.items()], str(kept.attrs)
    if path.suffix == ".safetensors":
        with safe_open(path, framework="np") as file:
            card = json.loads(file.metadata()["card"]) | {"seconds": 0}
            return card, {name: file.get_tensor(name).tobytes() for name in file.keys()}  # noqa: SIM118
    if path.suffix == ".csv":
        table = pd.read_csv(path)
        return table[[name for name in table if not any(t in name for t in ("second", "hour"))]].to_csv()
    return path.read_bytes()


class Job:
    """A job of the undisturbed run: its files and their right content, its seconds, and the jobs that it needs."""

    def __init__(self, kept: Path, folder: Path) -> None:
        given = re.search(r"snakemake = pickle\.loads\((.*?)\); ?from snakemake", kept.read_text(), re.DOTALL)
        snakemake = pickle.loads(ast.literal_eval(given[1]))
        self.kept, self.rule, self.folder, self.seconds = kept, snakemake.rule, folder, 1.0
        self.inputs = [folder / path for path in snakemake.input]
        self.outputs = [folder / path for path in snakemake.output]
        self.log = folder / snakemake.log[0]
        self.right = [content(path) for path in self.outputs]

    def forget(self) -> None:
        """Remove what it wrote, as Snakemake does before a job that failed or was killed is done again."""
        for path in filter(Path.exists, self.outputs):
            path.unlink()

    def is_right(self) -> bool:
        """Whether all outputs are there with the right content, and nothing half-written."""
        left = [p for o in self.outputs for p in o.parent.glob(f".{o.name}.*") if p.suffix != ".sha256"]
        return not left and [content(path) for path in self.outputs] == self.right


class Campaign:
    """The undisturbed run in `folder`, and counts of the faults that were laid on it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.random = folder, random.Random(seed)
        self.faults, self.wrong, self.lost, self.damaged = Counter(), [], 0.0, 0
        self.skipped: list[str] = []
        arguments = [f"{key}={json.dumps(value)}" for key, value in CONFIG.items()]
        self.options = ["-s", str(ROOT / "Snakefile"), "--cores", "1", "--config", *arguments]
        command = [sys.executable, str(Path(__file__).with_name("forked_jobs.py"))]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"}
        capturing = folder / "capture"
        capturing.mkdir()
        (capturing / "sitecustomize.py").write_text(CAPTURE.replace("{FOLDER}", str(capturing)))
        first = {**environment, "PYTHONPATH": str(capturing)}
        call = [sys.executable, "-m", "snakemake", *TARGETS, *self.options, "--cores", "all"]
        done = subprocess.run(call, cwd=folder, env=first, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise RuntimeError(f"the undisturbed run failed:\n{done.stdout[-4000:]}")
        self.server = subprocess.Popen(command, cwd=ROOT, env=environment, **pipes)
        self.jobs = [Job(kept, folder) for kept in sorted(capturing.glob("[0-9]*.py"))]
        for job in self.jobs:
            job.seconds = self.redo(job)[1]
            if not job.is_right():
                raise RuntimeError(f"{job.rule} does not give the same bits twice")

    def start(self, **request: object) -> None:
        """Let the server start a process."""
        self.server.stdin.write(json.dumps({"folder": str(self.folder), **request}) + "\n")
        self.server.stdin.flush()
        self.process = int(self.server.stdout.readline())
        self.handle = os.pidfd_open(self.process)

    def strike(self, group: bool = False) -> bool:
        """Kill the process that was started, and those that it has started as well; say whether it was still there."""
        try:
            signal.pidfd_send_signal(self.handle, 0)  # its id may be that of a stranger by now
            if group:
                os.killpg(self.process, signal.SIGKILL)
            signal.pidfd_send_signal(self.handle, signal.SIGKILL)
        except ProcessLookupError:
            pass
        return self.wait()[0] == -signal.SIGKILL

    def wait(self) -> tuple[int, float, str]:
        """Wait for the process that was started; return its exit status, its seconds and what it said."""
        end = tuple(json.loads(self.server.stdout.readline()))
        os.close(self.handle)
        return end

    def redo(self, job: Job, **request: object) -> tuple[int, float, str]:
        """Do a job anew, to its end."""
        job.forget()
        self.start(job=str(job.kept), **request)
        return self.wait()

    def snakemake(self, *arguments: str) -> tuple[int, float, str]:
        """Run Snakemake to its end."""
        self.start(snakemake=[*arguments, *self.options])
        return self.wait()

    def judge(self, fault: str, job: Job, end: tuple[int, float, str], spent: float = 0.0) -> None:
        """Count a fault, the seconds that it cost, and a result that is wrong."""
        self.faults[fault] += 1
        self.lost += max(0.0, spent + end[1] - job.seconds)
        if end[0] != 0 or not job.is_right():
            self.wrong.append(f"{fault}, {job.rule}: {end[2][-1500:]}")
            self.redo(job)
        print(self.line(), file=sys.stderr, flush=True)

    def refused(self, fault: str, job: Job, end: tuple[int, float, str], names: list[str]) -> None:
        """Judge a run that must stop with an error that names one of the files."""
        if end[0] == 0 or not any(name in end[2].rpartition("Error")[2] for name in names):
            self.wrong.append(f"{fault}, {job.rule}: named none of {names}: {end[2][-1500:]}")

    def pick(self, *rules: str) -> Job:
        """Pick a job, of some rules."""
        return self.random.choice([job for job in self.jobs if not rules or job.rule in rules])

    def kill(self) -> None:
        """Kill a job, most often a training, at a random moment, and do it again."""
        job = self.pick(*(("train_filter", "finetune_filter") if self.random.random() < 0.6 else ()))
        job.forget()
        begun, moment = time.monotonic(), self.random.uniform(0.0, job.seconds)
        self.start(job=str(job.kept))
        time.sleep(moment)
        if self.strike():
            spent = time.monotonic() - begun
            self.judge("kill -9 of a job", job, self.redo(job), spent)

    def kill_snakemake(self) -> None:
        """Kill Snakemake, with its jobs or without, at a random moment, and start it again."""
        job, begun = self.pick(), time.monotonic()
        job.forget()
        targets = [str(path.relative_to(self.folder)) for path in job.outputs]
        self.start(snakemake=[*targets, *self.options])
        time.sleep(self.random.uniform(0.5, 6.0))
        killed = self.strike(group=self.random.random() < 0.5)
        spent = time.monotonic() - begun
        self.snakemake("--unlock")
        if killed:
            self.judge("kill -9 of Snakemake", job, self.snakemake(*targets), spent)

    def damage(self, path: Path) -> bytes:
        """Truncate a file or flip one of its bits; return what it was."""
        self.damaged += 1
        whole = path.read_bytes()
        if self.random.random() < 0.4:
            path.write_bytes(whole[: self.random.randrange(len(whole))])
        else:
            changed, bit = bytearray(whole), self.random.randrange(8 * len(whole))
            changed[bit // 8] ^= 1 << bit % 8
            path.write_bytes(changed)
        return whole

    def damage_input(self) -> None:
        """Damage a file between two stages; its reader names it, and made anew it is right."""
        results = self.folder / "results"
        pairs = [(p, job) for job in self.jobs for p in job.inputs if p.is_relative_to(results)]
        kind = self.random.choice(sorted({(p.parent.name, p.suffix) for p, _ in pairs}))
        path, job = self.random.choice([each for each in pairs if (each[0].parent.name, each[0].suffix) == kind])
        hit = path.with_name(f".{path.name}.sha256") if self.random.random() < 0.1 else path
        fault = f"damaged {'checksum' if hit != path else path.suffix} of {path.parent.name}"
        whole, end = self.damage(hit), self.redo(job)
        if hit == path or end[0] or not job.is_right():  # the name in a checksum's file does not matter
            self.refused(fault, job, end, [path.name])
        if self.faults[fault]:
            hit.write_bytes(whole)
        else:  # the cure that the error names
            maker = next(each for each in self.jobs if path in each.outputs)
            self.judge(f"{fault}, made anew", maker, self.redo(maker))
        self.judge(fault, job, self.redo(job))

    def damage_state(self) -> None:
        """Damage the newest state of a job that was killed, or both; the next run is right."""
        job = self.pick("train_filter", "finetune_filter", "search_baseline")
        states = self.folder / "results" / "quick" / "resume"
        begun = time.monotonic()
        for _ in range(20):
            job.forget()
            self.start(job=str(job.kept))
            time.sleep(self.random.uniform(0.3, 0.9) * job.seconds)
            self.strike()
            found = sorted(p for p in states.rglob("[!.]*") if p.is_file())
            if found:
                break
        for path in self.random.sample(found, self.random.randint(1, len(found))) if found else []:
            self.damage(path)
        end = self.redo(job)
        if found:
            self.judge(f"damaged {found[0].suffix} to resume from", job, end, time.monotonic() - begun)

    def limit(self, job: Job) -> None:
        """Do a job that may write no file of the size that it needs, and again without the limit."""
        size = max(path.stat().st_size for path in job.outputs)
        for limit in (0, self.random.randrange(size)):
            end = self.redo(job, limit=limit)
            self.refused("limit of the size of files", job, end, [p.name for p in job.outputs] + ["resume"])
            self.judge("limit of the size of files", job, self.redo(job))

    def disk(self, job: Job) -> None:
        """Do a job whose outputs or log lie on a disk that is full or can only be read, and again after it."""
        for path, read_only in ((job.outputs[0], False), (job.outputs[0], True), (job.log, False)):
            job.forget()
            with tmpfs(path.parent) as (full, room):
                fault = "read-only disk" if read_only else f"full disk of {'logs' if path == job.log else 'outputs'}"
                with full(read_only):
                    end = self.redo(job)
                if path != job.log:
                    names = [each.name for each in (*job.outputs, job.log)]  # some logs lie below their outputs
                    self.refused(fault, job, end, [*names, "resume"])
                    end = self.redo(job)
                self.judge(fault, job, end)
                room()

    def clocks(self, job: Job) -> None:
        """Do a job while the clock goes back, and let Snakemake find outputs older than their inputs."""
        self.judge("clock going back", job, self.redo(job, clock=True))
        for path in job.outputs:
            os.utime(path, (0, 10**9))
        targets = [str(path.relative_to(self.folder)) for path in job.outputs]
        self.judge("outputs older than inputs", job, self.snakemake(*targets))

    def two_snakemakes(self) -> None:
        """Start Snakemake while another one works in the folder: it is refused, and the first ends right."""
        job = self.pick("train_filter", "finetune_filter")
        job.forget()
        call = [sys.executable, "-m", "snakemake", str(job.outputs[0].relative_to(self.folder)), *self.options]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        begun = time.monotonic()
        with subprocess.Popen(call, cwd=self.folder, **pipes) as first:
            while first.poll() is None and not any((self.folder / ".snakemake" / "locks").glob("*")):
                time.sleep(0.05)
            second = self.snakemake(*call[3:4])
            said = first.communicate()[0]
        if first.returncode == 0 and second[0] and "lock" not in second[2].lower():
            self.wrong.append(f"two Snakemakes: {second[2][-1500:]}")
        self.judge("two Snakemakes", job, (first.returncode, time.monotonic() - begun, said))

    def end(self) -> None:
        """Judge all files once more."""
        self.wrong += [f"at the end, {job.rule}" for job in self.jobs if not job.is_right()]
        self.server.stdin.close()
        self.server.wait()

    def line(self) -> str:
        """Return what is to be printed."""
        kinds = [f"{count} {kind}" for kind, count in sorted(self.faults.items())]
        count, wrong = sum(self.faults.values()), len(self.wrong)
        skipped = "".join(f"; {reason}" for reason in self.skipped)
        return f"{count} faults ({', '.join(kinds)}{skipped}); {self.lost:.0f} s of work lost; {wrong} wrong results"


@contextmanager
def tmpfs(folder: Path):
    """Lay a small disk over a folder, with what is in it; give a function that fills it or makes it read-only."""
    kept = Path(tempfile.mkdtemp(dir=folder.parent))
    shutil.copytree(folder, kept, dirs_exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "faults", folder], check=True, capture_output=True)
    filler = folder / "filler"

    @contextmanager
    def full(read_only: bool):
        if read_only:
            subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        else:
            with filler.open("wb", buffering=0) as file:
                try:
                    while file.write(bytes(4096)):
                        pass
                except OSError:
                    pass
        try:
            yield
        finally:
            if read_only:
                subprocess.run(["mount", "-o", "remount,rw", folder], check=True)
            filler.unlink(missing_ok=True)

    def keep():
        shutil.copytree(folder, kept, dirs_exist_ok=True)

    try:
        shutil.copytree(kept, folder, dirs_exist_ok=True)
        yield full, keep
    finally:
        subprocess.run(["umount", folder], check=True)
        shutil.copytree(kept, folder, dirs_exist_ok=True)
        shutil.rmtree(kept)


def may_mount(folder: Path) -> str:
    """Say why no disk can be mounted; nothing if one can."""
    probe = folder / "probe"
    probe.mkdir()
    try:
        with tmpfs(probe):
            return ""
    except (OSError, subprocess.CalledProcessError) as error:
        return f"no full and read-only disks: {getattr(error, 'stderr', b'') or error}"


def run(folder: Path, *, kills: int, snakemakes: int, damaged: int, jobs: int | None = None, seed: int = 1) -> Campaign:
    """Run a campaign in an empty folder: so many kills and damaged files, all else once for each of `jobs`."""
    campaign = Campaign(folder, seed)
    chosen = campaign.jobs if jobs is None else campaign.random.sample(campaign.jobs, jobs)
    while campaign.faults["kill -9 of a job"] < kills:
        campaign.kill()
    while campaign.damaged < damaged:
        (campaign.damage_state if campaign.random.random() < 0.2 else campaign.damage_input)()
    refusal = may_mount(folder)
    campaign.skipped += [refusal] if refusal else []
    for job in chosen:
        campaign.limit(job)
        if not refusal:
            campaign.disk(job)
        campaign.clocks(job)
    while campaign.faults["kill -9 of Snakemake"] < snakemakes:
        campaign.kill_snakemake()
    if snakemakes:
        campaign.two_snakemakes()
    campaign.end()
    return campaign


def main() -> int:
    """Run the campaign that the command line asks for; return the exit status."""
    parser = argparse.ArgumentParser(prog="python tests/faults/campaign.py", description="Faults on purpose.")
    for name, count in {"kills": 100, "snakemakes": 10, "damaged": 66, "seed": 1}.items():
        parser.add_argument(f"--{name}", type=int, default=count, help="(default: %(default)s)")
    parser.add_argument("--jobs", type=int, help="jobs with full disks, limits and clocks (default: all)")
    with tempfile.TemporaryDirectory() as folder:
        campaign = run(Path(folder), **vars(parser.parse_args()))
        print(campaign.line())
    print(*campaign.wrong, sep="\n")
    return int(bool(campaign.wrong))


if __name__ == "__main__":
    sys.exit(main())
