"""Analyses that were made elsewhere, from files: the schema (docs/analyses.md), its checks, and their evaluation."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from mnmef.assimilation.cycling import CycleRecord
from mnmef.core.errors import unknown_name
from mnmef.core.names import METHODS
from mnmef.data.observations import DIGEST, observations_digest
from mnmef.data.twin import at_level
from mnmef.evaluation.calibration import Calibration, calibration_dataset
from mnmef.evaluation.evaluate import scores_dataset
from mnmef.experiments.load import experiment_of
from mnmef.filters.base import CycleResult

VARIABLES = {
    "mean": ("trajectory", "cycle", "state"),
    "deviation": ("trajectory", "cycle", "state"),
    "members": ("trajectory", "cycle", "member", "state"),
}
"""Variables of a file of analyses, and their dimensions."""

NAME = r"[A-Za-z]\w*"
ATTRIBUTES = {
    "name": "a name of letters, digits and underscores, such as my_filter",
    "experiment": "the name of an experiment, as in config.yaml",
    "sigma_y": "the noise level of the observations, such as 1.0",
    "split": "'test'",
    "ensemble_size": "a whole number of at least 1",
    DIGEST: "the attribute of this name of the file of observations",
}
"""Attributes of a file of analyses, and what is right."""


@dataclass(frozen=True)
class Header:
    """Head of a file of analyses: what they are of, and who made them.

    Parameters
    ----------
    path : Path
    name : str
        Of what made them.
    experiment : str
    sigma_y : float
        Noise level, state units.
    ensemble_size : int
        Number of members N, 1 for what has none.
    digest : str
        Of the observations that they were made from.
    sizes : mapping of str to int
        Of the dimensions.
    """

    path: Path
    name: str
    experiment: str
    sigma_y: float
    ensemble_size: int
    digest: str
    sizes: Mapping[str, int]

    @property
    def cell(self) -> tuple[str, float, str]:
        """Experiment, noise level and name."""
        return self.experiment, self.sigma_y, self.name

    def check_sizes(self, right: Mapping[str, int]) -> None:
        """Raise `ValueError` if a dimension has another size than is right."""
        for name, size in right.items():
            if self.sizes[name] != size:
                variable = "members" if "member" in self.sizes else "mean"
                raise ValueError(
                    f"{self.path}: variable {variable} has {self.sizes[name]} of dimension {name}; right is {size}, as "
                    "the observations, with NaN where an analysis is missing"
                )


def read_headers(paths: Sequence[str | Path]) -> list[Header]:
    """Read what files of analyses say of themselves.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        Naming the file, the variable or attribute, its value, and what is right; or two files that say the same.
    """
    headers: dict[tuple[Any, ...], Header] = {}
    for header in map(_read_header, map(Path, paths)):
        key = (*header.cell, header.ensemble_size)
        if key in headers:
            said = f"experiment, sigma_y, name and ensemble_size {key}"
            raise ValueError(f"{header.path} and {headers[key].path} have the same {said}; rename one")
        headers[key] = header
    return list(headers.values())


def grouped_headers(
    paths: Sequence[str], sizes: Mapping[str, Mapping[str, int]], noise_levels: Sequence[float]
) -> dict[tuple[str, float, str], list[Header]]:
    """Read what files of analyses say of themselves, by experiment, noise level and name, and hold it to a run.

    Parameters
    ----------
    paths : sequence of str
    sizes : mapping
        By experiment of the run, numbers of `trajectories` and `cycles` of its test split.
    noise_levels : sequence of float
        Those of the run, state units.

    Raises
    ------
    OSError, ValueError
        As `read_headers`, and for what the run does not have.
    """
    found: dict[tuple[str, float, str], list[Header]] = {}
    for header in read_headers(paths):
        for attribute, value, known in (
            ("experiment", header.experiment, sizes),
            ("sigma_y", header.sigma_y, noise_levels),
        ):
            if value not in known:
                raise ValueError(f"{header.path}: {unknown_name(f'{attribute} of this run', value, known)}")
        split = sizes[header.experiment]
        header.check_sizes({"trajectory": split["trajectories"], "cycle": split["cycles"]})
        found.setdefault(header.cell, []).append(header)
    return found


def _read_header(path: Path) -> Header:
    """Read and check the head of one file."""
    with _opened(path) as opened:
        dims = {name: tuple(map(str, opened[name].dims)) for name in VARIABLES if name in opened}
        sizes, given = {str(name): size for name, size in opened.sizes.items()}, dict(opened.attrs)
        kinds = {name: opened[name].dtype for name in dims}
    if ("mean" in dims) == ("members" in dims) or {"deviation", "members"} <= set(dims):
        right = "right are mean, mean and deviation, or members"
        raise ValueError(f"{path} has the variables {', '.join(dims) or 'none'} of {', '.join(VARIABLES)}; {right}")
    for name, found in dims.items():
        right = f"right are {VARIABLES[name]}"
        if set(found) != set(VARIABLES[name]):
            raise ValueError(f"{path}: variable {name} has the dimensions {found}; {right}")
        if kinds[name].kind not in "fiu":
            raise ValueError(f"{path}: variable {name} is of type {kinds[name]}; right are real numbers")
    for name, text in ATTRIBUTES.items():
        if name not in given or not _is_right(name, given[name], sizes):
            said = repr(np.asarray(given[name]).tolist()) if name in given else "missing"
            is_counted = name == "ensemble_size" and "member" in sizes
            right = f"{sizes['member']}, the size of dimension member" if is_counted else text
            raise ValueError(f"{path}: attribute {name} is {said}; right is {right}")
    if given["name"] in METHODS and METHODS[given["name"]].stage != "analyses":
        raise ValueError(
            f"{path}: attribute name is {given['name']!r}, a filter of this project; right is another name"
        )
    return Header(
        path,
        name=given["name"],
        experiment=given["experiment"],
        sigma_y=float(str(given["sigma_y"])),  # 0.7 in single precision, too
        ensemble_size=int(given["ensemble_size"]),
        digest=given[DIGEST],
        sizes={name: sizes[name] for name in VARIABLES["members" if "members" in dims else "mean"]},
    )


def _is_right(name: str, value: Any, sizes: Mapping[str, int]) -> bool:
    """Say whether an attribute has a value that it may have."""
    if name in ("sigma_y", "ensemble_size"):
        try:
            number = float(value)
        except (TypeError, ValueError):
            return False
        if name == "sigma_y":
            return 0 < number < np.inf
        return number >= 1 and number.is_integer() and number == sizes.get("member", number)
    return isinstance(value, str) and bool(re.fullmatch({"name": NAME, "split": "test"}.get(name, ".+"), value))


def _opened(path: Path) -> xr.Dataset:
    """Open a NetCDF of the user's without reading its numbers."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path} of analyses")
    try:
        return xr.open_dataset(path, engine="netcdf4")
    except Exception as error:  # the NetCDF and HDF5 libraries raise many types
        raise ValueError(f"{path} is not a readable NetCDF file ({error})") from error


def evaluate_analyses(
    split: xr.Dataset, headers: Sequence[Header], calibration_stride: int | None = None
) -> xr.Dataset:
    """Score analyses as those of the filters of this project are scored.

    A trajectory in which one is missing counts as one that diverged there: it is no part of means, and is counted.

    Parameters
    ----------
    split : Dataset
        The test split.
    headers : sequence of Header
        Files of one experiment, noise level and name, one for each ensemble size.
    calibration_stride : int or None
        See `EvaluationOptions`; without effect for files without members.

    Returns
    -------
    Dataset
        See `mnmef.evaluation.evaluate.evaluate`.

    Raises
    ------
    ValueError
        Naming a file of another size or made from other observations, and the variable that has infinite values or
        negative deviations.
    """
    first, records, watched = headers[0], {}, {}
    part = at_level(split, first.sigma_y)
    for header in sorted(headers, key=lambda each: each.ensemble_size):
        header.check_sizes({name: split.sizes[name] for name in VARIABLES["mean"]})
        digest = observations_digest(part["observation"].values)
        if header.digest != digest:
            raise ValueError(
                f"{header.path}: attribute {DIGEST} is {header.digest}; right is {digest}, of the observations of "
                f"{first.experiment} at sigma_y = {first.sigma_y}: make the analyses from these"
            )
        given = _load(header)
        truth = torch.from_numpy(part["truth"].values).to(next(iter(given.values())))
        record = _record(given, truth)
        records[header.ensemble_size] = record
        if calibration_stride and "members" in given:
            watch = Calibration(len(truth), header.ensemble_size, experiment_of(split), calibration_stride)
            for k in range(truth.shape[1]):
                members = given["members"][:, k]
                watch(k, CycleResult(members, members, None), truth[:, k])
            watched[header.ensemble_size] = watch.results(record.diverged_at.numpy() >= 0)
    dataset = scores_dataset(records, split, first.name, first.sigma_y)
    if len(watched) < len(records):
        return dataset
    return dataset.merge(calibration_dataset(watched)).assign_attrs(calibration_stride=calibration_stride)


def _load(header: Header) -> dict[str, Tensor]:
    """Load the variables of a file, in single or double precision."""
    with _opened(header.path) as opened:
        given = {name: opened[name].transpose(*VARIABLES[name]).values for name in VARIABLES if name in opened}
    for name, values in given.items():
        bad = np.argwhere(np.isinf(values) | (values < 0 if name == "deviation" else False))
        if len(bad):
            right = "a number of at least 0" if name == "deviation" else "a number"
            raise ValueError(
                f"{header.path}: variable {name} is {values[tuple(bad[0])]} in trajectory {bad[0][0]}, cycle "
                f"{bad[0][1]}; right is {right}, or NaN where it is missing"
            )
    dtype = np.float32 if all(values.dtype == np.float32 for values in given.values()) else np.float64
    return {name: torch.from_numpy(values.astype(dtype)) for name, values in given.items()}


def _record(given: Mapping[str, Tensor], truth: Tensor) -> CycleRecord:
    """Return the scores of analyses against truths (T, K, Nx), NaN from the first on that is missing."""
    if "members" in given:
        mean = given["members"].mean(-2)
        anomalies = given["members"] - mean.unsqueeze(-2)
        variance = anomalies.square_().sum(-2) / (anomalies.shape[-2] - 1)
    else:
        mean = given["mean"]
        variance = given.get("deviation", torch.full_like(mean, torch.nan)).square()
    missing = ~mean.isfinite().all(-1)
    lost = missing.cumsum(-1) > 0

    def kept(values: Tensor) -> Tensor:
        return values.to(torch.float64).masked_fill(lost, torch.nan)

    return CycleRecord(
        error_norm=kept(torch.linalg.vector_norm(mean - truth, dim=-1)),
        forecast_error_norm=torch.full(lost.shape, torch.nan, dtype=torch.float64),
        truth_norm=kept(torch.linalg.vector_norm(truth, dim=-1)),
        spread=kept(variance.mean(-1).sqrt()),
        mean=None,
        deviation=None,
        diverged_at=torch.where(lost.any(-1), lost.int().argmax(-1), -1),
        state_size=truth.shape[-1],
    )
