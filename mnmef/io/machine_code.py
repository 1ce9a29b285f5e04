"""The folders where machine code and the caches of libraries are kept for the next process."""

import hashlib
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

PREFIX = "mnmef-kernels-"
WEEKS = 4
"""After which machine code that nobody has used is removed."""


def _bases(sources: Path, user: str) -> Iterator[Path]:
    """Folders that may hold the cache, the best one first."""
    if user:
        chosen = Path(user)
        yield chosen.parent if chosen.name.startswith(PREFIX) else chosen
    yield sources / "__pycache__"
    yield Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mnmef"
    warnings.warn("no cache folder is writable: kernels are compiled anew in each process", stacklevel=2)
    yield Path(tempfile.mkdtemp(prefix=PREFIX))


def cache_folder(sources: Path, user: str, has_vectors: bool) -> Path:
    """A writable folder named by all source in a folder: numba by itself follows the file of a function, and not those
    of the functions that it calls. Folders of other sources that were not used for some weeks are removed.

    user: the folder that the user chose, or nothing. has_vectors: what else the code depends on.
    """
    digest = hashlib.sha256(bytes([has_vectors]))
    for source in sorted(sources.glob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    for base in _bases(sources, user):
        folder = base / (PREFIX + digest.hexdigest()[:16])
        if not _is_writable(folder):
            continue
        os.utime(folder)
        for other in base.glob(PREFIX + "*"):
            if other.stat().st_mtime < time.time() - WEEKS * 7 * 86400:
                shutil.rmtree(other, ignore_errors=True)
        return folder
    raise AssertionError("the last folder is a new one")


def move_caches(folder: Path) -> list[str]:
    """Let numba and matplotlib keep their caches in `folder` where neither this checkout nor the user's own folders can
    be written; processes that are started later inherit it. Return the variables of the environment that were set.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    settings = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    usual = {"NUMBA_CACHE_DIR": (Path(__file__).parent, cache / "mnmef"), "MPLCONFIGDIR": (settings / "matplotlib",)}
    moved = [name for name, places in usual.items() if name not in os.environ and not any(map(_is_writable, places))]
    for name in moved:
        os.environ[name] = str(folder.resolve() / name.lower())
    return moved


def _is_writable(folder: Path) -> bool:
    """Return whether files can be made in a folder that is there or can be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
