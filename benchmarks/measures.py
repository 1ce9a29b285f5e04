"""Measures of the code that `make check` prints and holds to limits: `python -m benchmarks.measures`.

Modules, functions and parameters are counted in mnmef/, workflow_scripts/ and benchmarks/; lines of code, without
docstrings, comments and blank lines, in mnmef/. A function whose parameters hide in `**options` counts as too many.
"""

import ast
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("mnmef", "workflow_scripts", "benchmarks")
LIMITS = {"module_lines": 350, "function_lines": 60, "parameters": 8, "code_lines": 9813, "entries": 20}
"""Of the code lines about 7,340 do what the package did when it held the paper alone (8,649 then; the aim is 7,000).
The others are for experiments from outside (373), observations of any kind and own filters (462), baselines and scores
that the field knows (568), DAPPER (314), local analyses trained through cycles (313), what is given from outside (237),
and restarts and innovations (202). Lowered whenever code goes."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def code_lines(path: Path) -> int:
    """Number of lines of a file that hold code."""
    texts = {
        line
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    empty = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    with path.open("rb") as file:
        used = {
            line
            for token in tokenize.tokenize(file.readline)
            if token.type not in (*empty, tokenize.ENCODING)
            for line in range(token.start[0], token.end[0] + 1)
        }
    return len(used - texts)


def parameters(function: Function) -> int:
    """Number of parameters of a function, without the object or class of a method."""
    given = function.args
    names = [each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def faults(path: Path, name: str) -> Iterator[str]:
    """What in a file is over a limit."""
    text = path.read_text(encoding="utf-8")
    if text.count("\n") > LIMITS["module_lines"]:
        yield f"{name}: {text.count(chr(10))} lines"
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, Function):
            continue
        length = (node.end_lineno or node.lineno) - node.lineno + 1
        if length > LIMITS["function_lines"]:
            yield f"{name}:{node.lineno} {node.name}: {length} lines"
        if parameters(node) > LIMITS["parameters"]:
            yield f"{name}:{node.lineno} {node.name}: {parameters(node)} parameters"
        if node.args.kwarg is not None:
            yield f"{name}:{node.lineno} {node.name}: parameters hide in **{node.args.kwarg.arg}"


def main() -> int:
    """Print the measures; return 1 if one is over its limit."""
    files = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    found = [fault for path in files for fault in faults(path, str(path.relative_to(ROOT)))]
    lines = sum(code_lines(path) for path in files if path.is_relative_to(ROOT / "mnmef"))
    entries = [path.name for path in (ROOT / "mnmef").iterdir() if not path.name.startswith(("__pycache__", "."))]
    print(
        f"{len(files)} modules; {len(found)} over the limits of {LIMITS['module_lines']} lines a module, "
        f"{LIMITS['function_lines']} a function, {LIMITS['parameters']} parameters; mnmef: {lines} lines of code "
        f"(at most {LIMITS['code_lines']}), {len(entries)} entries (at most {LIMITS['entries']})"
    )
    print(*found, sep="\n", end="\n" if found else "")
    return int(bool(found) or lines > LIMITS["code_lines"] or len(entries) > LIMITS["entries"])


if __name__ == "__main__":
    sys.exit(main())
