"""Resume files: finished parts of a long computation, from which an interrupted one goes on."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mnmef.io.files import write_text

Key = Sequence[Any]
"""Key of a result: texts, numbers and None."""


def earlier(path: Path) -> Path:
    """Return the file of the state before the newest."""
    return path.with_suffix(f".earlier{path.suffix}")


def drop_states(path: str | Path) -> None:
    """Remove the files of all states that were written to `path`, those of writers that were killed included."""
    path = Path(path)
    for leftover in (path, earlier(path), *path.parent.glob(f".{path.name}.*")):
        leftover.unlink(missing_ok=True)


class ResumeFile:
    """Finished parts of a computation by their keys, in a JSON file that is rewritten atomically with every addition.

    The file before it stays beside it, in case the newest is damaged on the disk.

    Parameters
    ----------
    path : str, Path or None
        The file; None keeps nothing on disk.
    digest : str
        Digest of everything else that decides results, such as code and data. A file with another digest, or one that
        cannot be read, is replaced, and a printed line says so.
    """

    def __init__(self, path: str | Path | None = None, digest: str = "") -> None:
        self.path, self.digest = None if path is None else Path(path), digest
        self.results: dict[str, Any] = {}
        if self.path is not None:
            found = (self._read(file) for file in (self.path, earlier(self.path)) if file.exists())
            self.results = next((results for results in found if results is not None), {})

    def _read(self, path: Path) -> dict[str, Any] | None:
        """Return the results in a file, or None; a file that cannot be used is removed."""
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            if kept["digest"] == self.digest and kept["sha256"] == _checksum(kept["results"]):
                return dict(kept["results"])
            problem = "is of other code or data" if kept["digest"] != self.digest else "is damaged"
        except (ValueError, TypeError, KeyError):
            problem = "is no resume file, or a damaged one"
        print(f"{path} {problem}: going on from an earlier state, or anew", flush=True)
        path.unlink()
        return None

    def __contains__(self, key: Key) -> bool:
        return _text(key) in self.results

    def __getitem__(self, key: Key) -> Any:
        return self.results[_text(key)]

    def add(self, results: Mapping[Any, Any] | Iterable[tuple[Key, Any]]) -> None:
        """Keep results by their keys, in memory and on disk."""
        self.results |= {_text(key): value for key, value in dict(results).items()}
        if self.path is not None:
            content = {"digest": self.digest, "sha256": _checksum(self.results), "results": self.results}
            if self.path.exists():
                self.path.replace(earlier(self.path))
            write_text(json.dumps(content, indent=0), self.path)


def _checksum(results: Mapping[str, Any]) -> str:
    """Compute the SHA-256 of results: a flipped bit of a number is valid JSON."""
    return hashlib.sha256(json.dumps(results).encode()).hexdigest()


def _text(key: Key) -> str:
    return json.dumps(list(key))
