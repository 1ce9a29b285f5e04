"""The folder where machine code is kept for the next process."""

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
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                os.utime(folder)
        except OSError:
            continue
        for other in base.glob(PREFIX + "*"):
            if other.stat().st_mtime < time.time() - WEEKS * 7 * 86400:
                shutil.rmtree(other, ignore_errors=True)
        return folder
    raise AssertionError("the last folder is a new one")
