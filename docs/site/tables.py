"""The page of result tables: the CSV files of docs/results/, each with what made it, from sources.yaml beside them."""

from pathlib import Path

import pandas as pd
import yaml
from tabulate import tabulate

FOLDER = Path(__file__).parents[1] / "results"
INTRODUCTION = """# Tables of results

As committed; columns as in [the reference](../reference/files.md) where it has them.
"""


def page() -> str:
    """Return the page; a table without a source, or a source without a table, is an error."""
    sources = yaml.safe_load((FOLDER / "sources.yaml").read_text(encoding="utf-8"))
    files = {path.name for path in FOLDER.glob("*.csv")}
    if files != set(sources):
        raise ValueError(f"docs/results/sources.yaml and the tables beside it differ in {sorted(files ^ set(sources))}")
    parts = [INTRODUCTION]
    for name, source in sources.items():
        table = pd.read_csv(FOLDER / name).dropna(axis=1, how="all")
        numbers = table.select_dtypes("float").columns
        table[numbers] = table[numbers].map(lambda value: "" if pd.isna(value) else f"{value:.4g}")
        cells = table.fillna("").astype(str).map(lambda cell: cell.replace("|", "\\|"))
        text = tabulate(cells, headers="keys", tablefmt="pipe", showindex=False, disable_numparse=True)
        parts.append(f"## {source['title']}\n\n{source['about']}\n\n{text}\n")
        where = f"Commit {source['commit']}; {source['hardware']}"
        parts.append(f"*[{name}]({name}), by `{source['command']}`. {where}.*\n")
    return "\n".join(parts)
