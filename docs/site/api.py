"""Pages of the Python reference: one for each module of the package, by folder."""

import ast
import logging
import re
from collections.abc import Iterator
from pathlib import Path

MODULE = "# {name}\n\n::: {name}\n    options: {{show_root_heading: false}}\n"
ROOT = Path(__file__).parents[2]
LOG = logging.getLogger("mkdocs.plugins.reference")
USED = {
    "Experiments": ["mnmef.experiments.load.load_experiment", "mnmef.experiments.load.experiment_of"],
    "Filters": [
        "mnmef.filters.classical.make_classical",
        "mnmef.learning.checkpoints.load_checkpoint",
        "mnmef.learning.checkpoints.read_card",
        "mnmef.filters.base.Filter",
    ],
    "Systems": ["mnmef.systems.make_system", "mnmef.systems.base.System"],
    "Assimilation": [
        "mnmef.assimilation.assimilate.assimilate",
        "mnmef.assimilation.assimilate.climatological_states",
        "mnmef.scores.innovations.innovation_table",
        "mnmef.scores.innovations.describe_innovations",
        "mnmef.report.figures.innovations.figure_innovations",
    ],
    "Twin experiments": [
        "mnmef.data.twin.simulate_truth",
        "mnmef.data.twin.simulate_split",
        "mnmef.assimilation.cycling.run_filter",
        "mnmef.assimilation.metrics.relative_rmse",
    ],
    "Inside DAPPER": ["mnmef.dapper"],
}
"""What users call, by topic."""


def modules() -> list[tuple[str, Path]]:
    """Return the public modules of the package with their files, packages before their modules."""
    found = []
    for path in sorted((ROOT / "mnmef").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if not any(part.startswith("_") for part in name.split(".")):
            found.append((name, path))
    return sorted(found)


def page_of(name: str) -> str:
    """Return the page of a module."""
    return f"reference/python/{name}.md"


def menu() -> list[dict | str]:
    """Return the entries of the menu: a part for each folder of the package."""
    folders: dict[str, list[dict[str, str]]] = {}
    for name, _ in modules():
        parts = name.split(".")
        if len(parts) > 1:
            folders.setdefault(parts[1], []).append({name.removeprefix("mnmef."): page_of(name)})
    single = [entries[0] for entries in folders.values() if len(entries) == 1]
    several = [{folder: entries} for folder, entries in folders.items() if len(entries) > 1]
    return ["reference/python/README.md", *single, *several]


def pages() -> dict[str, str]:
    """Return the pages; a public name that is not documented is a warning, and so an error of `make docs`."""
    for name, path in modules():
        for missing in undocumented(ast.parse(path.read_text(encoding="utf-8")), name):
            LOG.warning("%s is not documented", missing)
    found = {name: path for name, path in modules() if "." in name}
    rows = [f"| [`{name.removeprefix('mnmef.')}`]({name}.md) | {first_line(path)} |" for name, path in found.items()]
    used = [
        f"## {topic}\n\n" + "\n".join(f"- [`{name}`][{name}]" for name in names) + "\n" for topic, names in USED.items()
    ]
    front = ["# Python\n", "What one calls most, and [all modules](#all-modules).\n", *used]
    front += ["## All modules\n", "| module of `mnmef` | what it is |", "|---|---|", *rows]
    return {
        "reference/python/README.md": "\n".join(front) + "\n",
        **{page_of(name): MODULE.format(name=name) for name in found},
    }


def first_line(path: Path) -> str:
    """Return the first sentence of a module's docstring."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split()).replace("|", "\\|")


def undocumented(node: ast.AST, name: str) -> Iterator[str]:
    """Yield the public modules, classes and functions without a docstring, and parameters that a section of parameters
    leaves out, from `node` inwards.
    """
    if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
        return
    text = ast.get_docstring(node)
    if not text:
        yield name
    elif isinstance(node, ast.FunctionDef) and "Parameters\n---" in text:
        given = {each.arg for each in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)}
        told = set(re.findall(r"\w+", text.split("Parameters\n---")[1].split("\n---")[0]))
        yield from (f"parameter {each} of {name}" for each in sorted(given - told - {"self", "cls"}))
    if isinstance(node, ast.Module | ast.ClassDef):
        for child in node.body:
            if isinstance(child, ast.ClassDef | ast.FunctionDef) and not child.name.startswith("_"):
                yield from undocumented(child, f"{name}.{child.name}")
