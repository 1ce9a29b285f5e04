"""The files of a run against docs/site/files.yaml, from which the reference is made."""

import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import xarray as xr

from docs.site.results_files import columns_of, declared

PLACES = {"path": ".+"}


def pattern(path: str) -> re.Pattern[str]:
    """A declared path as a regular expression: `{a|b}` is a or b, `{path}` anything, another name no slash."""
    parts = re.split(r"\{(.*?)\}", path)
    inner = [f"({part})" if "|" in part else PLACES.get(part, "[^/]+") for part in parts[1::2]]
    return re.compile("".join(re.escape(a) + b for a, b in zip(parts[::2], [*inner, ""], strict=True)))


def content_of(path: Path) -> object:
    """What a file has, in the form of the declaration."""
    if path.suffix == ".nc":
        with xr.open_dataset(path) as dataset:
            return {
                name: [list(values.dims), values.attrs.get("units", "none"), values.attrs.get("long_name", "")]
                for name, values in dataset.variables.items()
            }
    return list(pd.read_csv(path, sep="\t" if path.suffix == ".tsv" else ",", nrows=1).columns)


def differences(results: Path) -> Iterator[tuple[str, object]]:
    """Files of results/<scale>/ that are not declared, or as which nothing is; hidden ones are left out."""
    said = declared()
    contents = {path: entry["variables"] for path, entry in said["netcdf"].items()}
    contents |= {path: list(columns_of(entry, said["columns"])) for path, entry in said["tables"].items()}
    for file in sorted(results.rglob("*")):
        name = file.relative_to(results).as_posix()
        if not file.is_file() or file.name.startswith("."):
            continue
        if file.suffix in (".nc", ".csv", ".tsv"):
            found = content_of(file)
            options = [content for path, content in contents.items() if pattern(path).fullmatch(name)]
            if found not in options:
                yield name, found
        elif not any(pattern(path).fullmatch(name) for path in said["others"]):
            yield name, "not declared"
