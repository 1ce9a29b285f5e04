"""Resume files: finished parts of a long computation, from which an interrupted one goes on."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mnmef.io.files import write_text

Key = Sequence[Any]
"""Key of a result: texts, numbers and None."""


class ResumeFile:
    """Finished parts of a computation by their keys, in a JSON file that is rewritten atomically with every addition.

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
        if self.path is not None and self.path.exists():
            self.results = self._read(self.path)

    def _read(self, path: Path) -> dict[str, Any]:
        """Return the results in the file, or none."""
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            if kept["digest"] == self.digest:
                return dict(kept["results"])
            problem = "is of other code or data"
        except (ValueError, TypeError, KeyError):
            problem = "is no resume file, or a damaged one"
        print(f"{path} {problem}: starting anew", flush=True)
        return {}

    def __contains__(self, key: Key) -> bool:
        return _text(key) in self.results

    def __getitem__(self, key: Key) -> Any:
        return self.results[_text(key)]

    def add(self, results: Mapping[Any, Any] | Iterable[tuple[Key, Any]]) -> None:
        """Keep results by their keys, in memory and on disk."""
        self.results |= {_text(key): value for key, value in dict(results).items()}
        if self.path is not None:
            write_text(json.dumps({"digest": self.digest, "results": self.results}, indent=0), self.path)


def _text(key: Key) -> str:
    return json.dumps(list(key))
