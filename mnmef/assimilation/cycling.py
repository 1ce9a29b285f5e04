"""The assimilation loop of evaluation and search, batched over settings and trajectories.

Training calls the same `Filter.cycle` (`mnmef.learning.trainer`), with optimizer steps in between.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mnmef.core.devices import upload
from mnmef.core.hardware import keep_freed_memory
from mnmef.core.seeds import torch_generator
from mnmef.experiments.experiment import Experiment
from mnmef.filters.base import CycleResult, Filter, check_made_for

OnCycle = Callable[[int, CycleResult, Tensor], Any]
"""A function of the index of a cycle, its result and the truth (T, Nx)."""


@dataclass
class CycleRecord:
    """Scores of every cycle of a run, on the CPU. Leading dimensions (...) are those of the first ensemble.

    Scores are NaN from the cycle on at which the trajectory diverged.

    Parameters
    ----------
    error_norm, forecast_error_norm : Tensor (..., K)
        Euclidean norms of analysis mean minus truth, and of forecast mean minus truth, state units.
    truth_norm : Tensor (..., K)
        Euclidean norm of the truth.
    spread : Tensor (..., K)
        Root of the mean over components of the variance of the analysis ensemble (divisor N - 1).
    mean, deviation : Tensor (traced, K, Nx) or None
        Analysis mean and standard deviation of the traced trajectories, if any.
    diverged_at : Tensor (...)
        First cycle at which the ensemble was non-finite, -1 for none.
    state_size : int
        Number of components Nx.
    """

    error_norm: Tensor
    forecast_error_norm: Tensor
    truth_norm: Tensor
    spread: Tensor
    mean: Tensor | None
    deviation: Tensor | None
    diverged_at: Tensor
    state_size: int

    @property
    def rmse(self) -> Tensor:
        """Root-mean-square analysis error (..., K) over components."""
        return self.error_norm / self.state_size**0.5


def run_filter(
    filter_: Filter,
    experiment: Experiment,
    first_ensemble: Tensor,
    observations: Tensor,
    truth: Tensor,
    draw_noise: Callable[[], Tensor] | None = None,
    *,
    traced: int = 0,
    on_cycle: OnCycle | None = None,
) -> CycleRecord:
    """Run a filter over all cycles and record its scores.

    A trajectory with a non-finite ensemble has diverged: its scores are NaN from then on, and it starts again alone.

    Parameters
    ----------
    filter_, experiment : Filter, Experiment
        The filter; the dynamics and the observation operator.
    first_ensemble : Tensor (..., N, Nx)
        Ensemble one cycle before the first observation.
    observations, truth : Tensor (T, K, d), (T, K, Nx)
        Of T trajectories, NaN where missing; broadcast against the leading dimensions (..., T).
    draw_noise : callable, optional
        Returns standard normal draws (T, N, d) of a cycle, which all settings share, if the filter needs noise.
    traced : int
        Number of leading trajectories with a record of mean and deviation, for a first ensemble (T, N, Nx).
    on_cycle : OnCycle, optional
        Called after every cycle.

    Returns
    -------
    CycleRecord

    Raises
    ------
    ValueError
        For another experiment than the filter's, shapes that do not fit, an infinite observation, or missing noise.
    """
    if filter_.needs_noise and draw_noise is None:
        raise ValueError(f"filter {filter_.name!r} perturbs observations: draw_noise is needed")
    check_made_for(filter_, experiment)
    _check_inputs(experiment, first_ensemble, observations, truth)
    keep_freed_memory()
    record = _empty_record(first_ensemble, observations.shape[-2], traced)
    draw = draw_noise if filter_.needs_noise else None
    # A diverged trajectory starts anew with all that a smoother carries.
    carry = fresh = filter_.start(first_ensemble)
    for k in range(observations.shape[-2]):
        noise = None if draw is None else upload(draw().to(first_ensemble.dtype), first_ensemble.device)
        result = filter_.cycle(carry, observations[:, k], experiment, noise)
        mean = result.analysis.mean(-2)
        finite = mean.isfinite().all(-1)  # a mean is not finite if a member is not
        record.diverged_at = torch.where(~finite & (record.diverged_at < 0), k, record.diverged_at)
        is_whole = finite.device.type == "cpu" and bool(finite.all())  # a GPU would be waited for
        carry = result.carry if is_whole else _replace(result.carry, fresh, finite)
        _store(record, k, result, mean, truth[:, k])
        if on_cycle is not None:
            on_cycle(k, result, truth[:, k])
    return _on_cpu(record)


def in_turn(*callbacks: OnCycle) -> OnCycle:
    """Return a callback of `run_filter` that calls others in turn."""
    return lambda *cycle: [callback(*cycle) for callback in callbacks]


def noise_source(seed: int, method: str, members: int, shape: tuple[int, ...]) -> Callable[[], Tensor]:
    """Return a function that draws standard normals from one stream.

    Parameters
    ----------
    seed : int
        Seed of the config.
    method : str
        Label of the stream.
    members : int
        Ensemble size N, which has a stream of its own.
    shape : tuple of int
        Shape of the draws, (T, N, d).
    """
    generator = torch_generator(seed, "analysis", method, members)
    return lambda: torch.randn(shape, generator=generator)


def _check_inputs(experiment: Experiment, first_ensemble: Tensor, observations: Tensor, truth: Tensor) -> None:
    if first_ensemble.shape[-1] != experiment.state_size or truth.shape[-1] != experiment.state_size:
        raise ValueError(
            f"{experiment.title} has {experiment.state_size} components, but the first ensemble has "
            f"{first_ensemble.shape[-1]} and the truth {truth.shape[-1]}"
        )
    if first_ensemble.shape[-2] < 2:
        raise ValueError(f"an ensemble needs at least 2 members, not {first_ensemble.shape[-2]}")
    if observations.shape[-1] != experiment.observation_size:
        raise ValueError(
            f"{experiment.title} has {experiment.observation_size} observed components, "
            f"but observations have {observations.shape[-1]}"
        )
    if bool(observations.isinf().any()):
        raise ValueError("observations contain infinite values; an observation is a number, or NaN where it is missing")


def _empty_record(first: Tensor, cycles: int, traced: int) -> CycleRecord:
    *shape, _, size = first.shape
    scores = [first.new_full((*shape, cycles), torch.nan, dtype=torch.float64) for _ in range(4)]
    trace = [first.new_full((traced, cycles, size), torch.nan) if traced else None for _ in range(2)]
    diverged_at = first.new_full(shape, -1, dtype=torch.int64)
    return CycleRecord(scores[0], scores[1], scores[2], scores[3], trace[0], trace[1], diverged_at, size)


def _on_cpu(record: CycleRecord) -> CycleRecord:
    """Bring the tensors of a record to the CPU."""
    for name, part in list(vars(record).items()):
        if isinstance(part, Tensor):
            setattr(record, name, part.cpu())
    return record


def _store(record: CycleRecord, k: int, result: CycleResult, mean: Tensor, truth: Tensor) -> None:
    """Record the scores of cycle k; mean (..., Nx) is that of the analysis, truth (T, Nx)."""
    alive = record.diverged_at < 0
    # Tensor.var takes ten times as long over this axis.
    variance = (result.analysis - mean.unsqueeze(-2)).square_().sum(-2) / (result.analysis.shape[-2] - 1)
    values = (
        (record.error_norm, torch.linalg.vector_norm(mean - truth, dim=-1)),
        (record.forecast_error_norm, torch.linalg.vector_norm(result.forecast.mean(-2) - truth, dim=-1)),
        (record.truth_norm, torch.linalg.vector_norm(truth, dim=-1).expand(alive.shape)),
        (record.spread, variance.mean(-1).sqrt()),
    )
    for target, value in values:
        target[..., k] = value.to(torch.float64).where(alive, torch.nan)
    for kept, value in ((record.mean, mean), (record.deviation, variance.sqrt())):
        if kept is not None:
            traced = len(kept)
            kept[:, k] = value[:traced].where(alive[:traced, None], torch.nan)


def _replace(carry: object, fresh: object, finite: Tensor) -> object:
    """Return `carry` where `finite`, `fresh` elsewhere: a tensor (..., N, Nx), or a tuple of tensors and of numbers,
    which stay.
    """
    if isinstance(carry, Tensor) and isinstance(fresh, Tensor):
        return carry.where(finite[..., None, None], fresh)
    if isinstance(carry, tuple) and isinstance(fresh, tuple):
        return tuple(_replace(c, f, finite) for c, f in zip(carry, fresh, strict=True))
    return carry
