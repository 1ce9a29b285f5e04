"""Jobs of the workflow: what they read and write is checked and recorded, and what they say is kept.

Output, warnings and tracebacks of a script go to the terminal and to a file.

A log has one writer at a time, and so have the outputs of its job: if Snakemake is killed, its jobs live on, and the
same job of a later run waits for them.
"""

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from io import FileIO
from pathlib import Path
from typing import Any, TextIO

from filelock import FileLock, Timeout

from mnmef.io import manifest


class _Tee:
    """A text stream that writes to `terminal` and to `file`; all other attributes are those of `terminal`.

    A file that cannot be written, on a full disk say, is named once and ends nothing: what failed stays in sight.
    """

    def __init__(self, terminal: TextIO, file: FileIO) -> None:
        self._terminal, self._file, self._is_whole = terminal, file, True

    def write(self, text: str) -> int:
        try:
            self._file.write(text.encode("utf-8", "replace"))
        except OSError as error:
            if self._is_whole:
                self._terminal.write(f"{self._file.name} cannot be written ({error.strerror}): see the terminal\n")
            self._is_whole = False
        return self._terminal.write(text)

    def flush(self) -> None:
        self._terminal.flush()

    def __getattr__(self, name: str) -> object:
        return getattr(self._terminal, name)


@contextmanager
def job(snakemake: Any, threads: int | None = None) -> Iterator[None]:
    """Do a job of Snakemake: with its log, its inputs checked before, and the checksums of its outputs recorded after.

    Parameters
    ----------
    snakemake : Snakemake
        What a script is given.
    threads : int or None
        Number of CPU threads that numerical libraries may use; None: as many as the rule says.

    Raises
    ------
    ValueError
        If an input has changed since the job that wrote it; the text names it and the remedy.
    """
    with job_log(snakemake.log[0], threads or snakemake.threads):
        for path in snakemake.input:
            manifest.check(path)
        manifest.forget(snakemake.output)
        yield
        manifest.record(snakemake.output)


@contextmanager
def job_log(path: str | Path, threads: int = 1) -> Iterator[None]:
    """Copy stdout, stderr (hence warnings and progress bars) and an exception's traceback to a file.

    Exceptions pass on unchanged.

    Parameters
    ----------
    path : str or Path
        The log.
    threads : int
        Number of CPU threads that numerical libraries may use in this job.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    limit_threads(threads)
    with _alone(path), path.open("wb", buffering=0) as file:
        try:
            with redirect_stdout(_Tee(sys.stdout, file)), redirect_stderr(_Tee(sys.stderr, file)):
                yield
        except BaseException:
            # Snakemake reports the exception on the terminal itself, so this copy is for the file only.
            with suppress(OSError):
                file.write(traceback.format_exc().encode("utf-8", "replace"))
            raise


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the lock of the log at `path`, a hidden file beside it; wait while another process holds it."""
    file = path.with_name(f".{path.name}.lock")
    file.touch()  # a folder that cannot be written is an error, and none of locks
    # A lock that is the mere existence of a file would outlive a process that is killed.
    lock = FileLock(file, fallback_to_soft=False, poll_interval=0.2)
    try:
        try:
            lock.acquire(blocking=False)
        except Timeout:
            print(f"A process of an earlier run still does this job; waiting for it (lock {file})", flush=True)
            lock.acquire()
    except OSError as error:
        print(f"The file system has no locks ({error}): two processes could do this job at once", flush=True)
    try:
        yield
    finally:
        lock.release()


def limit_threads(threads: int) -> None:
    """Let torch use `threads` CPU threads if it is loaded, and libraries loaded later as well."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
