"""What all tests share."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.copies import ROOT, share_kernels

# Tests are small: a second thread would only get in the way of the other test processes.
os.environ.setdefault("OMP_NUM_THREADS", "1")

GENERATED = shutil.ignore_patterns(
    ".git", ".venv", ".snakemake", "results", "build", "dist", "__pycache__", "*.egg-info", ".*_cache"
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files, so that no process works alone in the end."""
    first = ("test_run.py", "test_beyond.py", "test_tutorial.py")
    items.sort(key=lambda item: (item.path.name not in first, "workflow" not in item.path.parts))


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def rule_blocks() -> Callable[[Path], list[str]]:
    """A function that cuts the rules out of a file that holds functions as well: each ends before the first line that
    is not indented.
    """

    def cut(path: Path) -> list[str]:
        return re.findall(r"^(?:use )?rule \w.*\n(?:(?:[ \t].*)?\n)+", path.read_text(), flags=re.MULTILINE)

    return cut


@pytest.fixture(scope="session")
def copy_sources() -> Callable[[Path], Path]:
    """A function that copies the repository, without anything generated but machine code, to a new folder."""

    def copied(target: Path) -> Path:
        tree = Path(shutil.copytree(ROOT, target, ignore=GENERATED, symlinks=True))
        share_kernels(tree)
        return tree

    return copied


@pytest.fixture(scope="session")
def snakemake() -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """A function that runs Snakemake in a folder; `stdout` of what it returns holds stderr as well."""
    command = [sys.executable, str(ROOT / "tests" / "forked_snakemake.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:

        def run(tree: Path, *arguments: str, timeout: int = 900) -> subprocess.CompletedProcess[str]:
            with tempfile.NamedTemporaryFile() as output:
                server.stdin.write(json.dumps([str(tree), arguments, output.name, timeout, dict(os.environ)]) + "\n")
                server.stdin.flush()
                status = int(server.stdout.readline())
                return subprocess.CompletedProcess(arguments, status, Path(output.name).read_text())

        yield run
        server.stdin.close()
