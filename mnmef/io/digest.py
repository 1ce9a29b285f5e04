"""Digests of source code that change when, and only when, an edit could change a result.

A rule hands the digest of its script over as a param, so that Snakemake reruns it after an edit of the script or of any
module of this project that it imports, directly or not. Comments, docstrings and layout do not count, and an edit of a
module reruns only what depends on it.

The graph of imports is our own. grimp (3.20) finds a package by its name among what Python can import, not by its
folder, so that it cannot tell which modules a script of a copied or another checkout would import; and scripts, which
lie in no package, would have to be read here all the same.
"""

import ast
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PACKAGE = "mnmef"
PLUMBING = frozenset({"mnmef.io.logs"})
"""Modules that cannot change the outputs of a script that imports them."""


@dataclass(frozen=True)
class Source:
    """A parsed file of Python.

    canonical: its text without comments, docstrings and layout. imports: dotted names of the package's modules that it
    imports, with the packages that contain them.
    """

    canonical: str
    imports: tuple[str, ...]


def code_digest(script: str | Path, root: str | Path = ".") -> str:
    """Digest `script` and the modules of the package below `root` that it imports, transitively.

    Returns
    -------
    str
        Sixteen hexadecimal digits.

    Raises
    ------
    FileNotFoundError
        There is no such script.
    SyntaxError
        A file cannot be parsed; the error names it.
    """
    root = Path(root).resolve()
    total = hashlib.sha256(_source(root / script, root).canonical.encode())
    for module, path in sorted(imported_modules(root / script, root).items()):
        total.update(f"{module}\n{_source(path, root).canonical}\n".encode())
    return total.hexdigest()[:16]


def imported_modules(script: str | Path, root: str | Path = ".") -> dict[str, Path]:
    """Return the modules of the package that `script` imports, directly or not, by name; without the plumbing."""
    root = Path(root).resolve()
    found: dict[str, Path] = {}
    waiting = [Path(script)]
    while waiting:
        for name in _source(waiting.pop(), root).imports:
            if name in found or name in PLUMBING:
                continue
            path = _module_file(name, root)
            if path is not None:
                found[name] = path
                waiting.append(path)
    return found


@cache
def _source(path: Path, root: Path) -> Source:
    """Parse a file once."""
    tree = plain_tree(path)
    imports: dict[str, None] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for name in _imported_names(node, path, root):
                parts = name.split(".")
                if parts[0] == PACKAGE:
                    imports.update(dict.fromkeys(".".join(parts[: i + 1]) for i in range(len(parts))))
    return Source(ast.unparse(tree), tuple(imports))


def plain_tree(path: Path) -> ast.Module:
    """Read and parse a file; its syntax tree without docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            # A lone text is a docstring; an emptied body keeps a `pass`.
            node.body = [s for s in node.body if not _is_text(s)] or [ast.Pass()]
    return tree


def files_digest(path: Path) -> str:
    """Digest a file of the user's and what it imports, directly or not, from the folder that it lies in.

    Returns
    -------
    str
        Sixteen hexadecimal digits, the same wherever the folder lies.
    """
    folder, texts = path.parent, {}
    waiting = [path]
    while waiting:
        file = waiting.pop()
        if file.relative_to(folder).as_posix() in texts:
            continue
        tree = plain_tree(file)
        texts[file.relative_to(folder).as_posix()] = ast.unparse(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [alias.name for alias in node.names]
                base = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                for name in base + names + [f"{b}.{n}" for b in base for n in names]:
                    parts = name.split(".")
                    found = (_module_file(".".join(parts[: i + 1]), folder) for i in range(len(parts)))
                    waiting.extend(each for each in found if each is not None)
    total = "".join(f"{name}\n{text}\n" for name, text in sorted(texts.items()))
    return hashlib.sha256(total.encode()).hexdigest()[:16]


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(getattr(statement.value, "value", None), str)


def _imported_names(node: ast.Import | ast.ImportFrom, path: Path, root: Path) -> list[str]:
    """Return the dotted names that a statement in the file at `path` imports."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    package = path.resolve().relative_to(root).parts[: -node.level] if node.level else ()
    base = ".".join((*package, *filter(None, [node.module])))
    # `from package import name` may mean a module or a name of the package.
    return [base, *(f"{base}.{alias.name}" for alias in node.names)]


@cache
def _module_file(name: str, root: Path) -> Path | None:
    base = root.joinpath(*name.split("."))
    candidates = (base.with_suffix(".py"), base / "__init__.py")
    return next((path for path in candidates if path.is_file()), None)
