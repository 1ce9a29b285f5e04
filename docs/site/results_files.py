"""The reference of the files under results/, from their declaration in files.yaml."""

from pathlib import Path
from typing import Any

import yaml

DECLARATION = Path(__file__).with_name("files.yaml")
INTRODUCTION = """# Files under results/

Below `results/<scale>/`, with the rule that makes each. Names in braces: an experiment, its noise level `sigma_y`, a
method or filter, and so on. NetCDF files have the attributes `kind`, `experiment`, `settings` (JSON), `seed`, `commit`
and `versions` (JSON). State units are those of the system, in NetCDF files written as 1. Columns of tables without a
unit are counts, names or texts.
"""


def declared() -> dict[str, Any]:
    """Return the declaration: netcdf, tables, columns and others."""
    return yaml.safe_load(DECLARATION.read_text(encoding="utf-8"))


def columns_of(entry: dict[str, Any], columns: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return the columns of a table by their names in the file, each with unit and meaning."""
    names = {key.split("=")[0]: (key.split("=")[-1], value) for key, value in columns.items()}
    return dict(names[name] for name in entry["columns"])


def page() -> str:
    """Return the page."""
    content = declared()
    parts = [INTRODUCTION, "## Data and runs (NetCDF)\n"]
    for path, entry in content["netcdf"].items():
        parts += [f"### `{path}`\n", f"{entry['what']} Made by `{entry['by'].replace(', ', '`, `')}`.\n"]
        parts += ["| variable | dimensions | unit | meaning |", "|---|---|---|---|"]
        for name, (dims, unit, meaning) in entry["variables"].items():
            parts.append(f"| `{name}` | {', '.join(dims)} | {'' if unit == 'none' else unit} | {meaning or name} |")
        parts.append("")
    parts.append("## Tables (CSV)\n")
    for path, entry in content["tables"].items():
        parts += [f"### `{path}`\n", f"{entry['what']} Made by `{entry['by'].replace(', ', '`, `')}`.\n"]
        parts += ["| column | unit | meaning |", "|---|---|---|"]
        for name, (unit, meaning) in columns_of(entry, content["columns"]).items():
            parts.append(f"| `{name}` | {'' if unit == 'none' else unit} | {meaning} |")
        parts.append("")
    parts += ["## Others\n", "| file | content |", "|---|---|"]
    parts += [f"| `{path.replace('|', chr(92) + '|')}` | {what} |" for path, what in content["others"].items()]
    return "\n".join(parts) + "\n"
