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
from functools import cache
from itertools import accumulate
from pathlib import Path

PLUMBING = frozenset({"mnmef.io.logs", "mnmef.io.manifest"})
"""Modules that cannot change the outputs of a script that imports them."""


def code_digest(script: str | Path, root: str | Path = ".") -> str:
    """Digest `script` and the modules below the folder `root` that it imports, directly or not.

    Returns
    -------
    str
        Sixteen hexadecimal digits, the same wherever the folder lies.

    Raises
    ------
    FileNotFoundError
        There is no such script.
    SyntaxError
        A file cannot be parsed; the error names it.
    """
    root = Path(root).resolve()
    total = hashlib.sha256(_parsed(root / script, root)[0].encode())
    for module, path in sorted(imported_modules(script, root).items()):
        total.update(f"{module}\n{_parsed(path, root)[0]}\n".encode())
    return total.hexdigest()[:16]


def imported_modules(script: str | Path, root: str | Path = ".") -> dict[str, Path]:
    """Return the modules below `root` that `script` imports, directly or not, by name; without the plumbing."""
    root = Path(root).resolve()
    found: dict[str, Path] = {}
    waiting = [root / script]
    while waiting:
        for name in _parsed(waiting.pop(), root)[1]:
            path = _module_file(name, root)
            if path is not None and name not in found and name not in PLUMBING:
                found[name] = path
                waiting.append(path)
    return found


def _parsed(path: Path, root: Path) -> tuple[str, frozenset[str]]:
    """Return the text of a file without comments, docstrings and layout, and the dotted names that it imports, with the
    packages that contain them.
    """
    return _parse(path.read_text(encoding="utf-8"), path, root)


@cache
def _parse(text: str, path: Path, root: Path) -> tuple[str, frozenset[str]]:
    """Parse a file once, until it is edited."""
    tree = plain_tree(text, path)
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = [name.split(".") for node in imports for name in _imported_names(node, path, root)]
    return ast.unparse(tree), frozenset(part for name in names for part in accumulate(name, "{}.{}".format))


def plain_tree(text: str, path: Path) -> ast.Module:
    """Return the syntax tree of the `text` of the file at `path`, without docstrings and what is for type checkers."""
    tree = ast.parse(text, filename=str(path))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            # A lone text is a docstring; an emptied body keeps a `pass`.
            node.body = [s for s in node.body if not (_is_text(s) or _is_for_types(s))] or [ast.Pass()]
    return tree


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(getattr(statement.value, "value", None), str)


def _is_for_types(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.If) and getattr(statement.test, "id", None) == "TYPE_CHECKING"


def _imported_names(node: ast.Import | ast.ImportFrom, path: Path, root: Path) -> list[str]:
    """Return the dotted names that a statement in the file at `path` imports."""
    names = [alias.name for alias in node.names]
    if isinstance(node, ast.Import):
        return names
    package = path.resolve().relative_to(root).parts[: -node.level] if node.level else ()
    base = ".".join((*package, *filter(None, [node.module])))
    # `from package import name` may mean a module or a name of the package.
    return [f"{base}.{name}" for name in names] if base else names


@cache
def _module_file(name: str, root: Path) -> Path | None:
    base = root.joinpath(*name.split("."))
    candidates = (base.with_suffix(".py"), base / "__init__.py")
    return next((path for path in candidates if path.is_file()), None)
