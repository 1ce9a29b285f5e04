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

# Tests are small: a second thread would only get in the way of the other test processes.
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).parents[1]
KERNELS = "mnmef/kernels"
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


def share_kernels(tree: Path) -> None:
    """Let a copy of the repository use its machine code: numba names a folder of the cache by that of the source."""
    import numba
    from numba.core.caching import UserProvidedCacheLocator

    import mnmef.kernels.compiling  # noqa: F401  chooses the folder

    kept = Path(numba.config.CACHE_DIR)
    shared, own = (UserProvidedCacheLocator.get_suitable_cache_subpath(str(p / KERNELS / "x.py")) for p in (ROOT, tree))
    (kept / shared).mkdir(exist_ok=True)
    folder = tree / KERNELS / "__pycache__" / kept.name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / own).symlink_to(kept / shared)


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
