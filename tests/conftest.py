"""What all tests share."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

# Tests are small: a second thread would only get in the way of the other test processes.
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).parents[1]
GENERATED = shutil.ignore_patterns(
    ".git", ".venv", ".snakemake", "results", "build", "dist", "__pycache__", "*.egg-info", ".*_cache"
)


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
    """A function that copies the repository, without anything generated, to a new folder."""
    return lambda target: Path(shutil.copytree(ROOT, target, ignore=GENERATED, symlinks=True))


@pytest.fixture(scope="session")
def snakemake() -> Callable[..., subprocess.CompletedProcess[str]]:
    """A function that runs Snakemake in a folder; `stdout` of what it returns holds stderr as well."""

    def run(tree: Path, *arguments: str, timeout: float = 900) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "snakemake", *arguments]
        return subprocess.run(
            command, cwd=tree, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout
        )

    return run
