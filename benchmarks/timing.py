"""What the benchmarks share: processes that start together, where a timing comes from, and how it is written."""

import argparse
import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path
from threading import BrokenBarrierError
from types import TracebackType
from typing import Any

import pandas as pd

from mnmef.core.clock import elapsed
from mnmef.core.errors import unknown_name
from mnmef.core.hardware import cpu_name
from mnmef.io.files import package_versions, source_commit, write_table, write_text
from mnmef.io.logs import limit_threads

Prepare = Callable[..., Callable[[], Any]]
"""`prepare(index, *arguments)`: what process `index` does before the clock starts; returns what is timed."""


class Team:
    """Processes, one per core and each with one thread of numerical libraries, that start every timed run together.

    They are spawned, hence share nothing with this process, and live until the `with` block ends.
    """

    def __init__(self, processes: int) -> None:
        if processes < 1:
            raise ValueError(f"a benchmark needs at least 1 core, not {processes}")
        self.processes = processes
        limit_threads(1)  # in the environment that the processes inherit, before they load any library
        context = get_context("spawn")
        start = context.Barrier(processes)
        self._pool = ProcessPoolExecutor(processes, mp_context=context, initializer=_join, initargs=(start,))

    def __enter__(self) -> "Team":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._pool.shutdown(cancel_futures=True)

    def time(self, prepare: Prepare, *arguments: Any) -> tuple[float, list[Any]]:
        """Run `prepare(index, *arguments)()` in every process at the same time.

        Returns the wall seconds from the common start until the last one was done, and what each of them returned. An
        exception in one of them is raised here, and ends the team's usefulness.
        """
        # A process takes no second run before all have begun their first, as each waits for the others at the start.
        futures = [self._pool.submit(_timed, prepare, index, *arguments) for index in range(self.processes)]
        errors = [error for error in (future.exception() for future in futures) if error is not None]
        if errors:
            # Whoever waited for the one that failed has a broken barrier to report, which explains nothing.
            raise next((error for error in errors if not isinstance(error, BrokenBarrierError)), errors[0])
        seconds, values = zip(*(future.result() for future in futures), strict=True)
        return max(seconds), list(values)


_START: list[Barrier] = []
"""The common start, in a process of a `Team`; barriers can only be handed over when a process begins."""


def _join(start: Barrier) -> None:
    import torch

    torch.set_num_threads(1)
    _START.append(start)


def _timed(prepare: Prepare, index: int, *arguments: Any) -> tuple[float, Any]:
    try:
        run = prepare(index, *arguments)
    except BaseException:
        _START[0].abort()
        raise
    _START[0].wait()
    return elapsed(run)


def available_cores() -> int:
    """Cores that this process may use, which on a shared machine can be fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def provenance(arguments: argparse.Namespace, definitions: Mapping[str, str]) -> dict[str, Any]:
    """Where and how the timings of a table came about, and what its columns mean."""
    return {
        "cpu": cpu_name(),
        "cores": arguments.cores,
        "versions": package_versions(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": source_commit(),
        "repeats": arguments.repeats,
        "arguments": {name: value for name, value in vars(arguments).items() if name != "out"},
        "definitions": dict(definitions),
    }


def write_report(table: pd.DataFrame, origin: Mapping[str, Any], folder: Path, name: str) -> None:
    """Write `<name>.csv` and, about its origin, `<name>.json` to `folder`, and print the table."""
    write_table(table, folder / f"{name}.csv")
    write_text(json.dumps(origin, indent=2) + "\n", folder / f"{name}.json")
    shown = table.to_string(index=False, na_rep="", float_format=lambda value: f"{value:.3g}")
    print(f"{shown}\n{origin['cpu']}, {origin['cores']} cores, commit {origin['commit']}: {folder / name}.csv, .json")


def base_parser(text: str | None, experiments: Sequence[str]) -> argparse.ArgumentParser:
    """A command line with what all benchmarks can be told."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--experiments", nargs="+", default=list(experiments), help="dynamical systems")
    parser.add_argument("--repeats", type=positive, default=3, help="timings of which the median is taken")
    parser.add_argument("--cores", type=positive, default=available_cores(), help="cores to keep busy")
    parser.add_argument("--out", type=Path, default=Path("results/benchmark"), help="folder for the tables")
    return parser


def positive(text: str) -> int:
    """The whole number in `text`; `argparse.ArgumentTypeError` if it is not at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, not {text!r}")
    return int(text)


def check_names(kind: str, names: Sequence[str], known: Sequence[str]) -> None:
    """Raise `ValueError`, with the nearest name, if one of `names` is none of the `known`."""
    for name in names:
        if name not in known:
            raise ValueError(unknown_name(kind, name, known))
