"""Arrays of the user's from files."""

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
    try:
        if path.suffix == ".npy":
            return np.load(path, allow_pickle=False)
        with xr.open_dataset(path) as opened:
            names = [str(name) for name in opened.data_vars]
            chosen = variable or (names[0] if len(names) == 1 else None)
            if chosen in names:
                return opened[chosen].load()
    except Exception as error:  # the NetCDF and HDF5 libraries raise many types
        raise ValueError(f"{path} cannot be read as NetCDF, or as an array of NumPy's (.npy): {error}") from error
    if chosen is None:
        raise ValueError(f"{path} has {len(names)} variables, {', '.join(names)}; say which one is meant")
    raise ValueError(f"{path}: {unknown_name('variable', chosen, names)}")
