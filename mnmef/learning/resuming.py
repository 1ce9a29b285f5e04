"""States of trainings on disk: the newest one and, should it be damaged, the one before."""

import zipfile
from pathlib import Path
from typing import Any

import torch

from mnmef.io.files import write_atomically
from mnmef.io.resume import earlier


def keep_state(state: dict[str, Any], path: Path) -> None:
    """Write a state to `path`; the one that is there stays beside it."""
    if path.exists():
        path.replace(earlier(path))
    write_atomically(path, lambda temporary: torch.save(state, temporary))


def last_state(path: Path) -> dict[str, Any] | None:
    """Read the last good state that was written to `path`, if any; a printed line names a file that is damaged."""
    for file in filter(Path.exists, (path, earlier(path))):
        try:
            with zipfile.ZipFile(file) as archive:
                if archive.testzip() is not None:  # torch.load compares no checksums
                    raise zipfile.BadZipFile
            return dict(torch.load(file, weights_only=True, map_location="cpu"))
        except Exception as error:  # a damaged file leads to errors of many kinds
            print(f"{file} is damaged ({type(error).__name__}): going on from an earlier state, or anew", flush=True)
            file.unlink(missing_ok=True)  # the next state would make it the earlier one, in place of a good one
    return None
