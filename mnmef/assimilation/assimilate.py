"""Assimilation of observations without a known truth, with any filter of this package."""

import numpy as np
import torch
import xarray as xr

from mnmef.assimilation.cycling import noise_source, run_filter
from mnmef.core.seeds import numpy_generator
from mnmef.data.twin import simulate_truth
from mnmef.experiments.experiment import Experiment
from mnmef.filters.base import Filter
from mnmef.io.files import variable


def climatological_states(experiment: Experiment, members: int, seed: int = 0) -> np.ndarray:
    """Draw a first ensemble (N, Nx) of independent states on the attractor of `experiment`."""
    rng = numpy_generator(seed, experiment.name, "assimilation", "first_ensemble")
    return simulate_truth(experiment, members, 0, rng)[:, 0]


def with_gaps(observations: np.ndarray | xr.DataArray) -> np.ndarray:
    """Return observations, NaN where they are missing or masked, in double precision."""
    values = observations.to_masked_array() if isinstance(observations, xr.DataArray) else observations
    return np.ma.filled(np.ma.asarray(values, dtype=float), np.nan)


def assimilate(
    filter_: Filter,
    experiment: Experiment,
    observations: np.ndarray | xr.DataArray,
    *,
    members: int = 10,
    first_ensemble: np.ndarray | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Estimate the states behind observations with a filter.

    Parameters
    ----------
    filter_, experiment : Filter, Experiment
        The filter; the dynamics, the observed components (`experiment.observed`) and the cycle length.
    observations : ndarray, masked array or DataArray (K, d)
        Observations at K times, one cycle (`experiment.cycle_length` time units) apart; NaN and masked are missing.
    members, seed : int
        Size N of a climatological first ensemble; seed of this ensemble and of the filter's perturbations.
    first_ensemble : ndarray (N, Nx), optional
        Ensemble one cycle before the first observation. By default climatological states, from which a filter needs
        some cycles to find the truth.

    Returns
    -------
    Dataset
        `mean` and `deviation` (cycle, state): analysis mean, and standard deviation of the analysis ensemble (divisor
        N - 1); NaN from the cycle on at which the filter diverged.

    Raises
    ------
    ValueError
        If shapes do not fit the experiment or an observation is infinite.
    """
    values = with_gaps(observations)
    if values.ndim != 2:
        raise ValueError(f"observations must be an array (cycles, observed components), not of shape {values.shape}")
    first = climatological_states(experiment, members, seed) if first_ensemble is None else np.asarray(first_ensemble)
    if first.ndim != 2:
        raise ValueError(f"first_ensemble must be an array (members, components), not of shape {first.shape}")
    # Networks compute in the precision of their weights, classical analyses in double (`Experiment.model_dtype`).
    dtype = torch.float32 if isinstance(filter_, torch.nn.Module) else torch.float64
    count = len(first)
    with torch.no_grad():
        record = run_filter(
            filter_,
            experiment,
            torch.from_numpy(first).to(dtype)[None],
            torch.from_numpy(values).to(dtype)[None],
            # An unknown truth: errors of the record are NaN, means are not.
            torch.full((1, len(values), experiment.state_size), torch.nan, dtype=dtype),
            noise_source(seed, filter_.name, count, (1, count, experiment.observation_size)),
            traced=1,
        )
    texts = {"mean": "analysis mean", "deviation": "standard deviation of the analysis ensemble"}
    return xr.Dataset(
        {name: variable(("cycle", "state"), getattr(record, name)[0].numpy(), text) for name, text in texts.items()},
        coords={"cycle": variable("cycle", np.arange(1, len(values) + 1), "assimilation cycle", None)},
        attrs={"experiment": experiment.name, "filter": filter_.name, "members": count},
    )
