"""Observations of a test split without its truths, for analyses that are made elsewhere."""

import hashlib

import numpy as np
import xarray as xr

from mnmef.data.twin import at_level

DIGEST = "observations_sha256"
"""Attribute of a file of observations, and of analyses that were made from them."""


def observations_digest(observation: np.ndarray) -> str:
    """Digest observations (T, K, d), as SHA-256 of their shape and of their numbers in single precision."""
    values = np.asarray(observation, dtype="<f4")
    plain = np.where(np.isnan(values), np.float32(np.nan), values)
    return hashlib.sha256(str(plain.shape).encode() + plain.tobytes()).hexdigest()


def without_truths(split: xr.Dataset, sigma_y: float) -> xr.Dataset:
    """Return what a filter may know of a split at one noise level.

    Parameters
    ----------
    split : Dataset
        A tune or test split.
    sigma_y : float
        Noise level, state units.

    Returns
    -------
    Dataset
        `observation` (trajectory, cycle, observed), NaN where missing, and `first_ensemble` (trajectory, member,
        state), of which all filters of N members take the first N. The attributes experiment, split, sigma_y and
        `DIGEST` are those that analyses of them must have.

    Raises
    ------
    ValueError
        For a noise level that the split does not have.
    """
    part = at_level(split, sigma_y).drop_vars(("truth", "sigma_y"))
    digest = observations_digest(part["observation"].values)
    title = split.attrs["title"].replace("a twin experiment", "a twin experiment, its observations")
    return part.assign_attrs({"title": title, "sigma_y": sigma_y, DIGEST: digest})
