"""Gates of `assimilate`: its arguments, of whatever kind, become what they mean, or are refused by name."""

import reprlib
import warnings
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr

from mnmef.core.errors import check_class
from mnmef.experiments.experiment import Experiment
from mnmef.filters.base import Filter, check_made_for

TIMES = ("cycle", "time")
"""Names of the first axis of observations."""


def check_single(filter_: Filter, experiment: Experiment) -> None:
    """Raise `TypeError` for what is no filter or experiment, `ValueError` for a filter of another experiment, and one
    with several settings.
    """
    check_class("filter_", filter_, Filter)
    check_class("experiment", experiment, Experiment)
    check_made_for(filter_, experiment)
    if filter_.is_batch:
        raise ValueError(f"{filter_.name} has arrays of inflations or radii; right is one of each, a number")


def warn_of_members(filter_: Filter, first: np.ndarray, saved: xr.Dataset | None = None) -> None:
    """Warn where weights were fine-tuned for another number of members than those of a first ensemble (N, Nx), and of
    one without spread, unless the filter goes on from something else that was `saved`.
    """
    members = len(first)
    if np.allclose(first, first[0], rtol=1e-12, atol=0.0) and (saved is None or "carried" not in saved):
        warnings.warn(
            f"first_ensemble has no spread: its {members} members are the same state, so that no observation can "
            "correct them; right are different states",
            stacklevel=3,
        )
    if filter_.tuned_members not in (None, members):
        warnings.warn(
            f"the weights of {filter_.name} were fine-tuned for {filter_.tuned_members} members, but the ensemble has "
            f"{members}: others may suit it better",
            stacklevel=3,
        )


def as_observations(values: Any, experiment: Experiment, saved: xr.Dataset | None = None) -> np.ndarray:
    """Read observations of an experiment.

    Parameters
    ----------
    values : list, ndarray, masked array, DataFrame, DataArray or Tensor (K, d)
        Real numbers, NaN or masked where they are missing.
    experiment : Experiment
        Source of the number of observed components, and of these.
    saved : Dataset or None
        Result of the run that these go on from.

    Returns
    -------
    ndarray (K, d)
        In double precision, NaN where they are missing.

    Raises
    ------
    TypeError
        For what is no array of real numbers, such as text.
    ValueError
        For another shape, no cycle at all, infinite values, times (see `times_of`) that go back or skip some, and
        labels of the second axis that are the observed components in another order.
    """
    _check_times(values, saved)
    _check_sites(values, experiment)
    array = _as_matrix("observations", values, "cycles, observed components")
    if not len(array):
        raise ValueError("observations have no cycles; right is at least one")
    if array.shape[1] != experiment.observation_size:
        raise ValueError(
            f"{experiment.title} has {experiment.observation_size} observed components, "
            f"but observations have {array.shape[1]}"
        )
    if np.isinf(array).any():
        raise ValueError("observations contain infinite values; an observation is a number, or NaN where it is missing")
    return array


def times_of(values: Any) -> pd.Index | None:
    """Return the times of observations, those of UTC without a zone: the index or, of an array of xarray's, the
    coordinate of its first axis or one called time, dates if there are any; None without times.
    """
    found = [values.index] if isinstance(values, pd.DataFrame) else []
    if isinstance(values, xr.DataArray) and values.ndim == 2:
        along = {name: each for name, each in values.coords.items() if each.dims == values.dims[:1]}
        found = [along[name].to_index() for name in (values.dims[0], "time") if name in along]
    known = [each for each in found if are_dates(each) or each.dtype.kind in "fium"]
    index: Any = max(known, key=are_dates, default=None)
    return index if getattr(index, "tz", None) is None else index.tz_convert(None)


def dates_of(values: Any) -> dict[str, Any]:
    """Return the dates of observations as a coordinate `time` of cycles, in UTC; nothing without dates."""
    index = times_of(values)
    return {} if index is None or not are_dates(index) else {"time": ("cycle", index)}


def are_dates(index: pd.Index) -> bool:
    """Return True for dates, of any calendar."""
    return index.dtype.kind == "M" or isinstance(index, xr.CFTimeIndex)


def _check_times(values: Any, saved: xr.Dataset | None) -> None:
    """Raise `ValueError` if observations have times of their own that are not a cycle apart, but for some jitter, do
    not go on from those of an earlier run, or are their second axis.
    """
    dims = values.dims if isinstance(values, xr.DataArray) else ()
    if len(dims) == 2 and dims[1] in TIMES and dims[0] not in TIMES:
        raise ValueError(f"observations have the axes {dims}; right are cycles, then observed components")
    index = times_of(values)
    if index is None:
        return
    if saved is not None and "time" in saved.coords and are_dates(index):
        index = pd.Index(np.concatenate([saved["time"].to_index(), index]))
    times = np.asarray(index)
    steps = np.diff(times.astype(float) if times.dtype.kind in "fiu" else times)
    steps = (steps if steps.dtype.kind == "f" else steps.astype("timedelta64[us]")).astype(float)
    wrong = np.flatnonzero(~(steps > 0) if not (steps > 0).all() else steps > 1.5 * steps.min(initial=np.inf))
    if len(wrong):
        raise ValueError(
            f"observations: after the time {index[wrong[0]]} comes {index[wrong[0] + 1]}; right are times that are one "
            "cycle apart, with NaN where nothing was observed"
        )


def _check_sites(values: Any, experiment: Experiment) -> None:
    """Raise `ValueError` if the labels of the second axis are the observed components in another order."""
    labels = values.columns if isinstance(values, pd.DataFrame) else None
    if isinstance(values, xr.DataArray) and values.ndim == 2:
        labels = values.indexes.get(values.dims[1])
    right = list(experiment.observation.components or ())
    if labels is not None and set(labels) == set(right) and list(labels) != right:
        raise ValueError(
            f"observations are of the components {reprlib.repr(list(labels))}; right is the order of "
            f"{experiment.name}, {reprlib.repr(right)}"
        )


def as_ensemble(values: Any, experiment: Experiment) -> np.ndarray:
    """Read a first ensemble (N, Nx) of an experiment, of the kinds of `as_observations`, in double precision.

    Raises
    ------
    TypeError
        For what is no array of real numbers.
    ValueError
        For another shape, fewer than two members, and a member that is not finite.
    """
    array = _as_matrix("first_ensemble", values, "members, components")
    if len(array) < 2:
        raise ValueError(f"first_ensemble must have at least 2 members, not {len(array)}")
    if array.shape[1] != experiment.state_size:
        raise ValueError(
            f"{experiment.title} has {experiment.state_size} components, but the first ensemble has {array.shape[1]}"
        )
    bad = np.flatnonzero(~np.isfinite(array).all(1))
    if len(bad):
        raise ValueError(
            f"first_ensemble: member {bad[0]} of 0 to {len(array) - 1} has missing or infinite values; right is a "
            "number for each component"
        )
    return array


def _as_matrix(name: str, values: Any, axes: str) -> np.ndarray:
    """Return real numbers with two axes in double precision, NaN where they are masked."""
    try:
        array = np.ma.asarray(_without_library(values))
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"{name} must be an array ({axes}) of real numbers, not {type(values).__name__}") from error
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name} must be an array ({axes}) of real numbers, not of type {array.dtype}")
    if array.ndim != 2:
        raise ValueError(f"{name} must be an array ({axes}), not of shape {array.shape}")
    return np.ma.filled(array.astype(float, order="C"), np.nan)


def _without_library(values: Any) -> Any:
    """Return what NumPy reads as it is meant: tensors without gradient, gaps of pandas and xarray as NaN or masked."""
    if isinstance(values, torch.Tensor):
        tensor = values.detach().to_dense().cpu()
        return (tensor.double() if tensor.is_floating_point() else tensor).numpy()
    if isinstance(values, pd.DataFrame) and all(dtype.kind in "fiu" for dtype in values.dtypes):
        return values.to_numpy(dtype=float, na_value=np.nan)
    return values.to_masked_array() if isinstance(values, xr.DataArray) else values
