"""Checksums of the files between stages: what a disk or a copy has changed is found by whoever reads it next.

Beside each file lies a hidden one with its SHA-256, which `sha256sum --check` reads as well. A list for a whole folder
would need a lock when jobs end at the same time, which not all file systems of clusters have.
"""

import glob
import hashlib
from collections.abc import Iterable
from pathlib import Path

from mnmef.io.files import write_text


def _sidecar(path: Path) -> Path:
    """Return the file with the checksum of the file at `path`."""
    return path.with_name(f".{path.name}.sha256")


def checksum(path: str | Path) -> str:
    """Compute the SHA-256 of a file, as 64 hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def record(paths: Iterable[str | Path]) -> None:
    """Keep the checksum of each file of `paths` beside it."""
    for path in map(Path, paths):
        write_text(f"{checksum(path)}  {path.name}\n", _sidecar(path))


def forget(paths: Iterable[str | Path]) -> None:
    """Remove the checksums of files that are about to be written anew, and what a killed writer has left of them."""
    for path in map(Path, paths):
        for hidden in path.parent.glob(f".{glob.escape(path.name)}.*"):
            hidden.unlink(missing_ok=True)


def check(path: str | Path) -> None:
    """Compare a file with its checksum; one without is taken as it is.

    Raises
    ------
    ValueError
        If it is another file than the one that was recorded; the text names it and the remedy.
    """
    sidecar = _sidecar(Path(path))
    if sidecar.exists() and sidecar.read_bytes().split()[:1] != [checksum(path).encode()]:
        raise ValueError(
            f"{path} is not as it was written: its SHA-256 is not the one in {sidecar}. The disk, a copy or an edit "
            "has changed it. Delete it and run the same command again, which makes it anew"
        )


def read(folder: str | Path) -> dict[Path, str]:
    """Return the checksums that were recorded below `folder`, by the path of the file, relative to it."""
    found = {}
    for sidecar in sorted(Path(folder).rglob(".*.sha256")):
        path = sidecar.with_name(sidecar.name[1 : -len(".sha256")])
        found[path.relative_to(folder)] = (sidecar.read_text(errors="replace").split() or [""])[0]
    return found
