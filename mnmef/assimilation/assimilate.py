"""Assimilation of observations without a known truth, with any filter of this package."""

import warnings
from typing import Any

import numpy as np
import torch
import xarray as xr

from mnmef.assimilation.cycling import CycleRecord, noise_source, run_filter
from mnmef.assimilation.inputs import as_ensemble, as_observations, warn_of_members
from mnmef.core.errors import check_class, whole_number
from mnmef.core.seeds import numpy_generator
from mnmef.data.twin import simulate_truth
from mnmef.experiments.experiment import Experiment
from mnmef.filters.base import Filter, check_made_for
from mnmef.io.files import variable


def climatological_states(experiment: Experiment, members: int, seed: int = 0) -> np.ndarray:
    """Draw a first ensemble (N, Nx) of independent states on the attractor of `experiment`."""
    rng = numpy_generator(seed, experiment.name, "assimilation", "first_ensemble")
    return simulate_truth(experiment, members, 0, rng)[:, 0]


def assimilate(
    filter_: Filter,
    experiment: Experiment,
    observations: Any,
    *,
    members: int = 10,
    first_ensemble: Any = None,
    seed: int = 0,
) -> xr.Dataset:
    """Estimate the states behind observations with a filter.

    Parameters
    ----------
    filter_, experiment : Filter, Experiment
        The filter; the dynamics, the observed components (`experiment.observed`) and the cycle length.
    observations : list, ndarray, masked array, DataFrame, DataArray or Tensor (K, d)
        Observations at K times, one cycle (`experiment.cycle_length` time units) apart; NaN and masked are missing.
    members, seed : int
        Size N of a climatological first ensemble; seed of this ensemble and of the filter's perturbations.
    first_ensemble : list, ndarray, DataFrame, DataArray or Tensor (N, Nx), optional
        Ensemble one cycle before the first observation. By default climatological states, from which a filter needs
        some cycles to find the truth.

    Returns
    -------
    Dataset
        `mean` and `deviation` (cycle, state): analysis mean, and standard deviation of the analysis ensemble (divisor
        N - 1); NaN from the cycle `diverged_at` on at which the filter diverged, -1 for none. A warning says so, as it
        does of weights tuned for another number of members and of a first ensemble without spread.

    Raises
    ------
    TypeError
        For arguments of another kind, such as text, or in another order.
    ValueError
        If the filter was made for another experiment, shapes do not fit, or a number is out of range.
    """
    check_class("filter_", filter_, Filter)
    check_class("experiment", experiment, Experiment)
    check_made_for(filter_, experiment)
    values, seed = as_observations(observations, experiment), whole_number("seed", seed, 0)
    if first_ensemble is None:
        first = climatological_states(experiment, whole_number("members", members, 2), seed)
    else:
        first = as_ensemble(first_ensemble, experiment)
    warn_of_members(filter_, count := len(first))
    # Networks compute in the precision of their weights, classical analyses in double (`Experiment.model_dtype`).
    dtype = torch.float32 if isinstance(filter_, torch.nn.Module) else torch.float64
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
    return _dataset(record, filter_.name, {"experiment": experiment.name, "filter": filter_.name, "members": count})


def _dataset(record: CycleRecord, name: str, attributes: dict[str, Any]) -> xr.Dataset:
    """Return mean and deviation of a record of one trajectory, and the cycle at which the filter diverged."""
    cycles, diverged_at = np.arange(1, record.rmse.shape[-1] + 1), int(record.diverged_at[0])
    if diverged_at >= 0:
        warnings.warn(
            f"{name} diverged at cycle {cycles[diverged_at]} of {len(cycles)}: its results are NaN from there on; more "
            "members, more inflation or a smaller localization radius may help",
            stacklevel=3,
        )
    texts = {"mean": "analysis mean", "deviation": "standard deviation of the analysis ensemble"}
    parts = {key: variable(("cycle", "state"), getattr(record, key)[0].numpy(), text) for key, text in texts.items()}
    text = "first cycle with an ensemble that is not finite, -1 for none"
    parts["diverged_at"] = variable((), cycles[diverged_at] if diverged_at >= 0 else -1, text, None)
    return xr.Dataset(parts, {"cycle": variable("cycle", cycles, "assimilation cycle", None)}, attributes)
