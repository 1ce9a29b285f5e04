"""Warnings for a reader of results: divergence, no spread, weights beside their range, figures that are left out."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import xarray as xr

from mnmef.io.files import read_dataset

NARROW = 0.01
"""Ratio of spread to error below which an ensemble has practically no spread: most settings have 0.3 to 1.5."""


def run_warnings(evaluations: Iterable[str | Path], left_out: Mapping[str, str]) -> list[str]:
    """Gather the warnings of a run.

    Parameters
    ----------
    evaluations : iterable of path
        The evaluations of all filters.
    left_out : mapping of str to str
        The figures that the config leaves out, and what each needs.

    Returns
    -------
    list of str
        A sentence for each, in Markdown.
    """
    found = [line for path in evaluations for line in _of_evaluation(read_dataset(path, kind="evaluation"))]
    return found + [f"{name} is left out: it needs {needed}." for name, needed in left_out.items()]


def _of_evaluation(run: xr.Dataset) -> Iterator[str]:
    """Yield the warnings of one filter on one experiment."""
    where = f"{run.attrs['method']} on {run.attrs['experiment']}, sigma_y = {run.attrs['sigma_y']}"
    lost = (run["diverged_at"] >= 0).sum("trajectory").to_series()
    parts = [f"{count} of {run.sizes['trajectory']} trajectories at N = {n}" for n, count in lost.items() if count]
    if parts:
        yield f"{where}: diverged in {', '.join(parts)}."
    late = run.isel(cycle=slice(-max(1, run.sizes["cycle"] // 4), None))
    error, spread = (late[name].mean(("trajectory", "cycle")) for name in ("error_norm", "spread"))
    narrow = (spread < NARROW * error / np.sqrt(run.attrs["state_size"])).to_series()
    if narrow.any():
        sizes = ", ".join(str(n) for n in narrow.index[narrow])
        yield f"{where}: the ensemble has less than {NARROW:.0%} of the spread that its error asks for at N = {sizes}."
    if "beside_range" in run.attrs:
        yield f"{where}: {run.attrs['beside_range']}."


def warnings_page(lines: Iterable[str]) -> str:
    """Return warnings as Markdown."""
    return "# Warnings\n\n" + ("\n".join(f"- {line}" for line in lines) or "None.") + "\n"
