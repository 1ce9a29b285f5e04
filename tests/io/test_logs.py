"""Logs of jobs."""

import errno
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from mnmef.io.logs import job_log


@pytest.mark.filterwarnings("default:careful")
def test_output_and_warnings_go_to_the_terminal_and_to_the_log(tmp_path, capsys):
    path = tmp_path / "logs" / "job.log"
    with job_log(path):
        print("a result")
        print("progress", file=sys.stderr)
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("careful", stacklevel=1)
    log, terminal = path.read_text(), capsys.readouterr()
    assert "a result" in log
    assert "a result" in terminal.out
    assert "progress" in log
    assert "progress" in terminal.err


def test_an_exception_passes_on_and_leaves_its_traceback_in_the_log(tmp_path):
    path = tmp_path / "job.log"
    with pytest.raises(ZeroDivisionError), job_log(path):
        1 / 0  # noqa: B018
    assert "Traceback" in path.read_text()
    assert "ZeroDivisionError" in path.read_text()


def test_a_full_disk_ends_the_log_with_a_line_and_hides_no_error(tmp_path, capsys):
    def job():
        with job_log(tmp_path / "job.log"):
            os.dup2(os.open("/dev/full", os.O_WRONLY), file_number(tmp_path / "job.log"))
            print("a result")
            print("another")
            1 / 0  # noqa: B018

    with pytest.raises(ZeroDivisionError):
        job()
    said = capsys.readouterr().out
    assert said.count("job.log cannot be written (No space left on device)") == 1
    assert "a result\nanother" in said


def file_number(path):
    """The number by which this process has the file at `path` open."""
    return next(int(each.name) for each in Path("/proc/self/fd").iterdir() if os.path.realpath(each) == str(path))


def test_the_streams_are_put_back(tmp_path):
    before = sys.stdout, sys.stderr
    with job_log(tmp_path / "job.log"):
        assert sys.stdout is not before[0]
    assert (sys.stdout, sys.stderr) == before


def test_numerical_libraries_get_the_threads_of_the_job(tmp_path, monkeypatch):
    import torch

    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    before = torch.get_num_threads()
    try:
        with job_log(tmp_path / "job.log", threads=1):
            assert torch.get_num_threads() == 1
            assert os.environ["OMP_NUM_THREADS"] == "1"
    finally:
        torch.set_num_threads(before)


def test_a_job_waits_for_a_process_that_still_does_it_and_not_for_one_that_was_killed(tmp_path, root, capsys):
    path = tmp_path / "job.log"
    hold = f"""
import time
from mnmef.io.logs import job_log
with job_log({str(path)!r}):
    print("in", flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", hold], cwd=root, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "in\n"
        with subprocess.Popen(["sh", "-c", f"sleep 0.5; kill -9 {other.pid}"]), job_log(path):
            assert other.wait(timeout=10) == -9
    assert "still does this job; waiting for it" in capsys.readouterr().out
    with job_log(path):
        print("free again")
    assert path.read_text() == "free again\n"


def test_a_file_system_without_locks_says_so_and_the_job_runs(tmp_path, monkeypatch, capsys):
    def no_locks(self, *arguments, **options):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("mnmef.io.logs.FileLock.acquire", no_locks)
    with job_log(tmp_path / "job.log"):
        print("a result")
    assert "The file system has no locks" in capsys.readouterr().out
    assert (tmp_path / "job.log").read_text() == "a result\n"


def test_the_lock_is_a_hidden_file_beside_the_log(tmp_path):
    with job_log(tmp_path / "job.log"):
        assert {path.name for path in tmp_path.iterdir()} == {"job.log", ".job.log.lock"}
