"""Files between the stages of the pipeline: self-describing, checked when read, and never half-written.

A file is first written under a temporary name in its own folder and then renamed, so that a reader sees the old file,
the new file or none. Every NetCDF carries where it came from as attributes (`provenance`).
"""

import errno
import json
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

# Files are renamed into place when they are whole, so that readers need no locks, which some file systems do not have.
os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")

CONVENTIONS = "CF-1.10"
FULL_DISK_BYTES = 10_000_000
ARCHIVED_COMMIT = ".archived_commit"
"""File in which git writes the commit of an archive."""


def write_atomically(path: str | Path, write: Callable[[Path], Any]) -> None:
    """Call `write` with a temporary path beside `path`, flush to disk and rename.

    No partial file is left behind.

    Raises
    ------
    OSError
        If the disk is full or the folder cannot be written; the text names `path`. So does a note on any other error.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        raise OSError(error.errno, f"could not write {path}: {error.strerror or error}") from error
    except Exception as error:
        # NetCDF, torch and safetensors report a full disk each by an error of their own that does not say so.
        free = shutil.disk_usage(path.parent).free
        if free > FULL_DISK_BYTES:
            error.add_note(f"{path} was being written: a limit on the size of files can lead to this error as well")
            raise
        raise OSError(errno.ENOSPC, f"could not write {path}: {free} bytes are left on its disk") from error
    finally:
        temporary.unlink(missing_ok=True)


def check_folder(name: str, folder: Path) -> None:
    """Raise `ValueError` with the name of an argument if nothing can be written to its folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(f"{name} {folder} cannot be written: {error.strerror}") from None


def write_text(text: str, path: str | Path) -> None:
    """Write `text` to `path` atomically."""
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_table(table: pd.DataFrame, path: str | Path) -> None:
    """Write `table` to `path` as CSV, floats at full precision, atomically."""
    write_atomically(path, lambda temporary: table.to_csv(temporary, index=False))


def read_table(path: str | Path) -> pd.DataFrame:
    """Read the table at `path`, CSV. Raises `ValueError`, and `FileNotFoundError`, with the file and the remedy."""
    try:
        if b"\0" in Path(path).read_bytes():
            raise ValueError("it has bytes that are no text")
        return pd.read_csv(path)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} does not exist; `snakemake --cores all {path}` makes it") from None
    except (OSError, ValueError) as error:
        remedy = f"delete it and run `snakemake --cores all {path}` to make it anew"
        raise ValueError(f"{path} is not a readable table ({error}): {remedy}") from error


def variable(dims: str | Sequence[str], values: Any, long_name: str, units: str | None = "1") -> tuple[Any, ...]:
    """Return a variable of a Dataset: dimensions, values, and the attributes `long_name` and, if any, `units`."""
    return dims, values, {"long_name": long_name} | ({"units": units} if units else {})


def write_dataset(dataset: xr.Dataset, path: str | Path, *, provenance: Mapping[str, str]) -> None:
    """Write `dataset` to `path` as compressed NetCDF 4, atomically, with `provenance` among its attributes."""
    dataset = dataset.assign_attrs({"Conventions": CONVENTIONS, **dataset.attrs, **provenance})
    numbers = [name for name, values in dataset.data_vars.items() if values.dtype.kind in "fiu"]
    encoding = {name: {"zlib": True, "complevel": 1, "shuffle": True} for name in numbers}
    write_atomically(path, lambda temporary: dataset.to_netcdf(temporary, engine="netcdf4", encoding=encoding))


def read_dataset(
    path: str | Path, *, kind: str, experiment: str | None = None, split: str | None = None, method: str | None = None
) -> xr.Dataset:
    """Load the NetCDF at `path` into memory after checking that this pipeline wrote it.

    Parameters
    ----------
    path : str or Path
        The file.
    kind : str
        Kind that the file must be of, such as "data" or "evaluation" (see `provenance`).
    experiment, split, method : str or None
        Attributes that the file must have; not checked by default.

    Raises
    ------
    FileNotFoundError
        If there is no file.
    ValueError
        If the file is truncated or foreign, or has other attributes; the text names the file and the remedy.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; `snakemake --cores all {path}` makes it")
    remedy = f"delete it and run `snakemake --cores all {path}` to make it anew"
    try:
        with xr.open_dataset(path, engine="netcdf4") as opened:
            dataset = opened.load()
    except Exception as error:  # the NetCDF and HDF5 libraries raise many types for a damaged file
        raise ValueError(f"{path} is not a readable NetCDF file ({error}); it may be truncated: {remedy}") from error
    expected = {"kind": kind, "experiment": experiment, "split": split, "method": method}
    for key, value in expected.items():
        found = dataset.attrs.get(key)
        if value is not None and str(found) != value:
            said = "has no such attribute, so another program wrote it" if found is None else f"says {found!r}"
            raise ValueError(f"{path} should hold {key} = {value!r} but {said}; {remedy}")
    return dataset


def provenance(kind: str, settings: Mapping[str, Any], seed: int) -> dict[str, str]:
    """Return the attributes of origin of a file: kind, settings, seed, commit and versions."""
    return {
        "kind": kind,
        "settings": json.dumps(settings, sort_keys=True),
        "seed": str(seed),
        "commit": source_commit(),
        "versions": json.dumps(package_versions(), sort_keys=True),
        "source": "MNMEF pipeline, after Bach et al., Learning Enhanced Ensemble Filters, arXiv 2504.17836",
    }


@cache
def source_commit() -> str:
    """Return the commit of the checkout of this package, with "-dirty" after edits.

    In a downloaded archive, the commit that git wrote into it; "unknown" where there is neither.
    """
    root = Path(__file__).parents[2]
    # A checkout may belong to another user, in a container say; git is asked to describe it and nothing else.
    trusted = ["-c", f"safe.directory={root}"]
    command = ["git", *trusted, "describe", "--always", "--dirty", "--abbrev=12", "--exclude", "*"]
    try:
        if (root / ".git").exists():
            done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True, timeout=20)
            return done.stdout.strip()
        archived = (root / ARCHIVED_COMMIT).read_text(encoding="utf-8").strip()
        return "unknown" if "$" in archived else archived
    except (OSError, subprocess.SubprocessError):
        return "unknown"


@cache
def package_versions() -> dict[str, str]:
    """Return the versions of Python and of the installed packages that decide numbers."""
    versions = {"python": platform.python_version()}
    for name in ("mnmef", "torch", "numpy", "scipy", "numba", "xarray", "dapper"):
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions
