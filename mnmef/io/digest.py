"""Digests of source code that change when, and only when, an edit could change a result.

A rule hands the digest of its script over as a param, so that Snakemake reruns it after an edit of the script or of any
module of this project that it imports, directly or not. Comments, docstrings and layout do not count, and an edit of a
module reruns only what depends on it.
"""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGE = "mnmef"
PLUMBING = frozenset({"mnmef.io.logs"})
"""Modules that scripts import but that cannot change what a job writes to its outputs."""


def code_digest(script: str | Path, root: str | Path = ".") -> str:
    """A short digest of `script` and of the modules of the package below `root` that it imports, transitively.

    Raises `FileNotFoundError` if there is no such script, `SyntaxError` naming the file that cannot be parsed.
    """
    root = Path(root).resolve()
    total = hashlib.sha256(_canonical(root / script).encode())
    for module, path in sorted(imported_modules(root / script, root).items()):
        total.update(f"{module}\n{_canonical(path)}\n".encode())
    return total.hexdigest()[:16]


def imported_modules(script: str | Path, root: str | Path = ".") -> dict[str, Path]:
    """Names and files of the package's modules that `script` imports, directly or not, without the plumbing."""
    root = Path(root).resolve()
    found: dict[str, Path] = {}
    waiting = [Path(script)]
    while waiting:
        for name in _imported_names(waiting.pop(), root):
            path = _module_file(name, root)
            if path is not None and name not in found and name not in PLUMBING:
                found[name] = path
                waiting.append(path)
    return found


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


@cache
def _canonical(path: Path) -> str:
    """The source without comments, docstrings and layout."""
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            # Texts that stand alone describe what is above them; an emptied body keeps a `pass`.
            node.body = [s for s in node.body if not _is_text(s)] or [ast.Pass()]
    return ast.unparse(tree)


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _imported_names(path: Path, root: Path) -> Iterator[str]:
    """Dotted names below the package that the file imports anywhere, with the packages that contain them."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, path, root)
            # `from package import name` may mean a module or something defined in the package.
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == PACKAGE:
                yield from (".".join(parts[: i + 1]) for i in range(len(parts)))


def _absolute(node: ast.ImportFrom, path: Path, root: Path) -> str:
    if not node.level:
        return node.module or ""
    package = path.resolve().relative_to(root).parts[: -node.level]
    return ".".join((*package, *filter(None, [node.module])))


def _module_file(name: str, root: Path) -> Path | None:
    base = root.joinpath(*name.split("."))
    candidates = (base.with_suffix(".py"), base / "__init__.py")
    return next((path for path in candidates if path.is_file()), None)
