"""Measures of the code that `make check` prints and holds to limits: `python -m benchmarks.measures`.

Modules, functions and parameters are counted in mnmef/, workflow_scripts/ and benchmarks/; lines of code, without
docstrings, comments and blank lines, in mnmef/. A function whose parameters hide in `**options` counts as too many.
A system that the package names anywhere but where it is at home is a fault as well: facts of a system are its class's.
"""

import ast
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

from mnmef.systems import SYSTEMS

ROOT = Path(__file__).parents[1]
FOLDERS = ("mnmef", "workflow_scripts", "benchmarks")
LIMITS = {"module_lines": 350, "function_lines": 60, "parameters": 8, "code_lines": 11935, "entries": 20}
"""Of the code lines about 7,300 do what the package did when it held the paper alone (8,649 then; the aim is 7,000).
The others are for experiments from outside, observations of any kind and own filters (1,150 with programs as models,
process noise and their search), baselines and scores that the field knows (570), DAPPER (320), filters trained through
cycles (520), analyses, truths and observations from elsewhere (520), restarts and innovations (340), what is given from
outside and checksums (530), the command line (230), trainings on GPUs (120), a flow and a
learned filter in the plane (240), learning curves, trainings that continue and searches that repeat (60). Lowered
whenever code goes."""

HOMES = ("systems", "kernels", "experiments", "report/claims.py", "report/claims.yaml", "data/published.py")
"""Where the package names systems: they themselves, settings, and what speaks of the paper."""

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


def named_systems() -> Iterator[str]:
    """Lines of mnmef/ outside of `HOMES` with the name of a system, of its class, or a proper noun of its title."""
    titles = re.findall("[A-Z][a-z]+", " ".join(made.title for made in SYSTEMS.values()))
    texts = " ".join([*SYSTEMS, *(made.__name__ for made in SYSTEMS.values()), *titles])
    words = "|".join(sorted(set(re.findall("[A-Za-z]+", texts))))
    pattern = re.compile(rf"(?<![A-Za-z])({words})(?![A-Za-z])", re.IGNORECASE)
    package = ROOT / "mnmef"
    for path in sorted(path for path in package.rglob("*") if path.suffix in (".py", ".yaml", ".j2")):
        if not str(path.relative_to(package)).startswith(HOMES):
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                if pattern.search(line):
                    yield f"{path.relative_to(ROOT)}:{number} names a system: {line.strip()}"


def main() -> int:
    """Print the measures; return 1 if one is over its limit."""
    files = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    found = [fault for path in files for fault in faults(path, str(path.relative_to(ROOT)))]
    lines = sum(code_lines(path) for path in files if path.is_relative_to(ROOT / "mnmef"))
    named = list(named_systems())
    entries = [path.name for path in (ROOT / "mnmef").iterdir() if not path.name.startswith(("__pycache__", "."))]
    print(
        f"{len(files)} modules; {len(found)} over the limits of {LIMITS['module_lines']} lines a module, "
        f"{LIMITS['function_lines']} a function, {LIMITS['parameters']} parameters; mnmef: {lines} lines of code "
        f"(at most {LIMITS['code_lines']}), {len(entries)} entries (at most {LIMITS['entries']}), "
        f"{len(named)} lines that name a system elsewhere than in {', '.join(HOMES)}"
    )
    found += named
    print(*found, sep="\n", end="\n" if found else "")
    return int(bool(found) or lines > LIMITS["code_lines"] or len(entries) > LIMITS["entries"])


if __name__ == "__main__":
    sys.exit(main())
