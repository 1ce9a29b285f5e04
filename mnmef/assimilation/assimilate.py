"""Assimilation of observations without a known truth, with any filter of this package."""

import warnings
from collections.abc import Callable, Collection
from typing import Any

import numpy as np
import torch
import xarray as xr

from mnmef.assimilation.cycling import CycleRecord, OnCycle, in_turn, noise_source, run_filter
from mnmef.assimilation.gross_errors import count_rejected
from mnmef.assimilation.innovations import Innovations
from mnmef.assimilation.inputs import as_ensemble, as_observations, check_single, dates_of, warn_of_members
from mnmef.assimilation.restart import (
    Members,
    advance,
    assumed_noise,
    earlier_run,
    forecasts_done,
    going_on,
    parts_to_save,
    unchanged_streams,
    warn_of_change,
)
from mnmef.core.errors import whole_number
from mnmef.core.seeds import numpy_generator
from mnmef.data.twin import simulate_truth
from mnmef.experiments.experiment import Experiment
from mnmef.filters.base import Filter, parts_of
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
    first_cycle: int = 0,
    save: str | Collection[str] = "moments",
    seed: int = 0,
) -> xr.Dataset:
    """Estimate the states behind observations with a filter.

    Parameters
    ----------
    filter_, experiment : Filter, Experiment
        The filter, run where its weights are, or a `GrossErrorCheck` of one; dynamics, observed components and cycle.
    observations : list, ndarray, masked array, DataFrame, DataArray or Tensor (K, d)
        Observations at K times, one cycle (`experiment.cycle_length` time units) apart; NaN and masked are missing.
    members, seed : int
        Size N of a climatological first ensemble; seed.
    first_ensemble : list, ndarray, DataFrame, DataArray or Tensor (N, Nx), or Dataset, optional
        Ensemble one cycle before the first observation, or the result of an earlier call, to go on bit by bit. By
        default climatological states, from which a filter needs some cycles to find the truth.
    first_cycle : int
        Number of cycles done before, which the result of an earlier call knows.
    save : str or collection of str
        "members", "innovations" (see `Innovations.dataset`) or both are added to the "moments".

    Returns
    -------
    Dataset
        `mean` and `deviation` (divisor N - 1) of the analysis ensemble (cycle, state), dates if any; `last_ensemble`
        (member, state) and what else is carried (`Members.carried`). NaN from cycle `diverged_at` on, -1 for none.

    Raises
    ------
    TypeError
        For arguments of another kind, such as text, or in another order.
    ValueError
        For a filter of another experiment or earlier call, shapes that do not fit, and numbers out of range.
    """
    check_single(filter_, experiment)
    first_ensemble, first_cycle, saved = earlier_run(first_ensemble, first_cycle, experiment)
    values, seed = as_observations(observations, experiment, saved), whole_number("seed", seed, 0)
    if first_ensemble is None:
        first_ensemble = climatological_states(experiment, whole_number("members", members, 2), seed)
    first = as_ensemble(first_ensemble, experiment)
    warn_of_members(filter_, first, saved)
    warn_of_change(saved, filter_.name, seed)
    parts, resumed, count = parts_to_save(save), going_on(filter_, first, first_cycle, saved), len(first)
    seeded = experiment.with_seed(seed, filter_.name, count, after=forecasts_done(first_cycle, saved))
    callbacks: list[Any] = [Members(filter_, seeded, all_cycles="members" in parts)]
    if "innovations" in parts:
        callbacks.append(Innovations(experiment, assumed_noise(filter_), values, seed, first_cycle))
    draw = advance(noise_source(seed, filter_.name, count, (1, count, experiment.observation_size)), first_cycle)
    record = _run(resumed, seeded, first, values, draw, in_turn(*callbacks))
    names = {"experiment": experiment.name, "filter": filter_.name, "members": count, "seed": str(seed)}
    made = _dataset(record, first_cycle, names, *callbacks).assign_coords(dates_of(observations))
    return made.assign(count_rejected(filter_))


def _run(
    filter_: Filter,
    experiment: Experiment,
    first: np.ndarray,
    values: np.ndarray,
    draw_noise: Callable[[], torch.Tensor],
    on_cycle: OnCycle,
) -> CycleRecord:
    """Run a filter from an ensemble (N, Nx) over observations (K, d)."""
    # Networks compute in the precision of their weights, classical analyses in double (`Experiment.model_dtype`).
    networks = (part for part in parts_of(filter_) if isinstance(part, torch.nn.Module))
    weights = next((each for network in networks for each in network.parameters()), torch.zeros(0, dtype=torch.float64))
    dtype, device = weights.dtype, weights.device
    start, observations = (torch.from_numpy(each).to(device, dtype)[None] for each in (first, values))
    # An unknown truth: errors of the record are NaN, means are not.
    truth = torch.full((1, len(values), experiment.state_size), torch.nan, dtype=dtype, device=device)
    with torch.no_grad(), unchanged_streams(filter_):
        return run_filter(filter_, experiment, start, observations, truth, draw_noise, traced=1, on_cycle=on_cycle)


def _dataset(
    record: CycleRecord,
    first_cycle: int,
    attributes: dict[str, Any],
    members: Members,
    innovations: Innovations | None = None,
) -> xr.Dataset:
    """Return what a run of one trajectory gave, and the cycle at which the filter diverged."""
    cycles = first_cycle + np.arange(1, record.rmse.shape[-1] + 1)
    diverged_at = int(record.diverged_at[0])
    if diverged_at >= 0:
        warnings.warn(
            f"{attributes['filter']} diverged at cycle {cycles[diverged_at]} of {cycles[-1]}: its results are NaN from "
            "there on; more members, more inflation or a smaller localization radius may help",
            stacklevel=3,
        )
        # Of all cycles or the last one.
        for ensemble in members.kept[diverged_at - len(cycles) :]:
            ensemble[:] = np.nan
    texts = {"mean": "analysis mean", "deviation": "standard deviation of the analysis ensemble"}
    parts = {key: variable(("cycle", "state"), getattr(record, key)[0].numpy(), text) for key, text in texts.items()}
    text = "first cycle with an ensemble that is not finite, -1 for none"
    parts["diverged_at"] = variable((), cycles[diverged_at] if diverged_at >= 0 else -1, text, None)
    parts["last_ensemble"] = variable(("member", "state"), members.kept[-1], "analysis members of the last cycle")
    if members.all_cycles:
        parts["members"] = variable(("cycle", "member", "state"), np.stack(members.kept), "analysis members")
    parts.update(members.carried() if diverged_at < 0 else {})
    result = xr.Dataset(parts, {"cycle": variable("cycle", cycles, "assimilation cycle", None)}, attributes)
    return result if innovations is None else result.merge(innovations.dataset())
