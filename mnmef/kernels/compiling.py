"""How the kernels of this package are compiled, and where the machine code is kept for the next process.

The innermost loop of a kernel runs over lanes, or a value has a number for each lane, so that the compiler can use
vector instructions. What one lane holds never depends on the others.
"""

import hashlib
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba import njit

try:
    from mnmef.kernels.vectors import IS_ON, distinct  # before the first function is compiled
except ImportError:
    IS_ON = False

    @njit(inline="always")
    def distinct() -> None:
        """Nothing, where there are no hints to the compiler."""


OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy", "fastmath": {"contract"}}
"""Kept for the next process, run beside other threads, with no error for a division by zero, and with a product and a
sum as one instruction.
"""

LINE = 64
"""Bytes of a line of the cache."""

PREFIX = "mnmef-kernels-"
WEEKS = 4
"""After which machine code that nobody has used is removed."""


def _bases(user: str) -> Iterator[Path]:
    """Folders that may hold the cache, the best one first; `user`: the one that the user chose, if any."""
    if user:
        chosen = Path(user)
        yield chosen.parent if chosen.name.startswith(PREFIX) else chosen
    yield Path(__file__).parent / "__pycache__"
    yield Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mnmef"
    warnings.warn("no cache folder is writable: kernels are compiled anew in each process", stacklevel=2)
    yield Path(tempfile.mkdtemp(prefix=PREFIX))


def cache_folder(user: str) -> Path:
    """A writable folder named by the source of all kernels: numba by itself follows the file of a function, and not
    those of the functions that it calls. Folders of other sources that were not used for some weeks are removed.
    """
    digest = hashlib.sha256(bytes([IS_ON]))
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    for base in _bases(user):
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


numba.config.CACHE_DIR = str(cache_folder(numba.config.CACHE_DIR))
# Values of eight numbers become vectors where straight code is vectorized as well as loops.
numba.config.SLP_VECTORIZE = 1


@njit(**OPTIONS)
def aligned_room(size: int, like: np.ndarray) -> np.ndarray:
    """An array of `size` numbers of the type of those of `like`, not set, that begins with a line of the cache: what
    lies in one line is read twice as fast as what lies in two.
    """
    room = np.empty(size + LINE // like.itemsize, like.dtype)
    begin = -(room.ctypes.data // room.itemsize) % (LINE // room.itemsize)
    return room[begin : begin + size]
