"""Arrays of the user's from files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from mnmef.core.errors import unknown_name


def read_array(path: Path, variable: str | None = None) -> Any:
    """Read an array of any shape and type.

    Parameters
    ----------
    path : Path
        A NetCDF, or an array of NumPy's (.npy).
    variable : str or None
        Of the NetCDF; the only one by default.

    Raises
    ------
    ValueError
        Naming a file that cannot be read, and the variables of a file that has another one or several.
    """
    if path.suffix == ".npy":
        return _opened(path, lambda: np.load(path, allow_pickle=False))
    names = variables_of(path)
    chosen = variable or (names[0] if len(names) == 1 else None)
    if chosen is None:
        raise ValueError(f"{path} has {len(names)} variables, {', '.join(names)}; say which one is meant")
    if chosen not in names:
        raise ValueError(f"{path}: {unknown_name('variable', chosen, names)}")
    return _opened(path, lambda: xr.load_dataset(path)[chosen])


def variables_of(path: Path) -> list[str]:
    """Return the names of the variables of a NetCDF; `ValueError` with the name of a file that cannot be read."""

    def read() -> list[str]:
        with xr.open_dataset(path) as opened:
            return [str(name) for name in opened.data_vars]

    return _opened(path, read)


def _opened(path: Path, read: Callable[[], Any]) -> Any:
    """Return what `read` reads of a file, whatever the libraries of NetCDF and HDF5 raise named by the file."""
    try:
        return read()
    except Exception as error:
        raise ValueError(f"{path} cannot be read as NetCDF, or as an array of NumPy's (.npy): {error}") from error
