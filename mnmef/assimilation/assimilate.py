"""Assimilation of observations for which no truth is known, with any filter of this package."""

import numpy as np
import torch
import xarray as xr

from mnmef.assimilation.cycling import noise_source, run_filter
from mnmef.core.seeds import numpy_generator
from mnmef.data.twin import simulate_truth
from mnmef.filters.base import Filter
from mnmef.systems import System


def climatological_states(system: System, members: int, seed: int = 0) -> np.ndarray:
    """A first ensemble (N, Nx) that knows the climate of `system` alone: independent states on its attractor."""
    rng = numpy_generator(seed, system.name, "assimilation", "first_ensemble")
    return simulate_truth(system, members, 0, rng)[:, 0]


def assimilate(
    filter_: Filter,
    system: System,
    observations: np.ndarray,
    *,
    members: int = 10,
    first_ensemble: np.ndarray | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Estimate the states behind `observations` with `filter_`.

    observations (K, d): the observed components of `system` (`system.observed`, in its units) at K times, one cycle
    (`system.cycle_length` time units) apart.
    first_ensemble (N, Nx): one cycle before the first observation; by default `members` climatological states, from
    which a filter needs some cycles to find the truth. seed: of these states and of the filter's perturbations.
    Returns mean (cycle, state), the analysis mean, and deviation (cycle, state), the standard deviation of the analysis
    ensemble (divisor N - 1); both are NaN from the cycle at which the filter diverged, if it did.
    Raises `ValueError` if shapes do not fit the system or an observation is not a number.
    """
    values = np.asarray(observations, dtype=float)
    if values.ndim != 2:
        raise ValueError(f"observations must be an array (cycles, observed components), not of shape {values.shape}")
    first = climatological_states(system, members, seed) if first_ensemble is None else np.asarray(first_ensemble)
    if first.ndim != 2:
        raise ValueError(f"first_ensemble must be an array (members, components), not of shape {first.shape}")
    # Networks compute in the precision of their weights, classical analyses in double (`System.model_dtype`).
    dtype = torch.float32 if isinstance(filter_, torch.nn.Module) else torch.float64
    count = len(first)
    with torch.no_grad():
        record = run_filter(
            filter_,
            system,
            torch.from_numpy(first).to(dtype)[None],
            torch.from_numpy(values).to(dtype)[None],
            # Nobody knows it: the errors of the record are NaN, its means are not.
            torch.full((1, len(values), system.state_size), torch.nan, dtype=dtype),
            noise_source(seed, filter_.name, count, (1, count, system.observation_size)),
            traced=1,
        )
    assert record.mean is not None
    assert record.deviation is not None
    return xr.Dataset(
        {
            "mean": (("cycle", "state"), record.mean[0].numpy(), {"long_name": "analysis mean", "units": "1"}),
            "deviation": (
                ("cycle", "state"),
                record.deviation[0].numpy(),
                {"long_name": "standard deviation of the analysis ensemble", "units": "1"},
            ),
        },
        coords={"cycle": ("cycle", np.arange(1, len(values) + 1), {"long_name": "assimilation cycle"})},
        attrs={"system": system.name, "filter": filter_.name, "members": count},
    )
