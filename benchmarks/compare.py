"""Files of results against each other: the same bits, or the same but for rounding."""

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from mnmef.learning.checkpoints import read_tensors

RELATIVE = 0.02
"""Difference of the means of a variable, column or tensor that is allowed between processors: rounding differs, and
what follows from it in a chaotic system, while means over cycles and trajectories stay."""
MEASURED = ("second", "hardware", "memory")
"""Words in the names of what is measured, and so differs from run to run."""


def _numbers(path: Path) -> dict[str, np.ndarray] | None:
    """Return the arrays of a file by name, without measured times; None for one of another kind."""
    if path.suffix == ".nc":
        with xr.open_dataset(path) as dataset:
            found = {str(name): values.to_numpy() for name, values in dataset.load().variables.items()}
    elif path.suffix == ".csv":
        found = {str(name): values.to_numpy() for name, values in pd.read_csv(path).items()}
    elif path.suffix == ".safetensors":
        found = {name: tensor.numpy() for name, tensor in read_tensors(path).items()}
    else:
        return None
    return {name: values for name, values in found.items() if not any(word in name for word in MEASURED)}


def difference(old: Path, new: Path, *, exact: bool) -> str | None:
    """Say in what the file `new` differs from `old`; None for nothing.

    Arrays of NetCDF, CSV and safetensors files are compared, without attributes and measured times; other files byte by
    byte. `exact`: bit by bit; else means may differ by `RELATIVE`.
    """
    before, after = _numbers(old), _numbers(new)
    if before is None or after is None:
        return None if old.read_bytes() == new.read_bytes() else "bytes differ"
    if before.keys() != after.keys():
        return f"has {', '.join(after)} instead of {', '.join(before)}"
    for name, known in before.items():
        found = after[name]
        if known.shape != found.shape or known.dtype != found.dtype:
            return f"{name} has shape {found.shape} of {found.dtype} instead of {known.shape} of {known.dtype}"
        is_number = known.dtype.kind == "f"
        if np.array_equal(known, found, equal_nan=is_number):
            continue
        if exact or not is_number:
            return f"{name} differs in {int((known != found).sum())} of {known.size} entries"
        a, b = (float(np.nanmean(np.abs(each))) for each in (known, found))
        if not abs(a - b) <= RELATIVE * a:
            return f"{name} has the mean size {b:.6g} instead of {a:.6g}"
    return None
