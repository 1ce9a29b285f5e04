"""The assimilation loop that evaluation and tuning share, batched over settings and trajectories.

Training drives the same `Filter.cycle` one cycle at a time (`mnmef.learning.trainer`), because it steps its optimizer
in between.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mnmef.core.hardware import keep_freed_memory
from mnmef.core.seeds import torch_generator
from mnmef.filters.base import CycleResult, Filter
from mnmef.systems.base import System


@dataclass
class CycleRecord:
    """Per-cycle scores of a run; leading dimensions (...) are those of the first ensemble, K is the number of cycles.

    error_norm, truth_norm (..., K): Euclidean norms of analysis mean minus truth, and of the truth.
    forecast_error_norm (..., K): the same norm for the forecast mean.
    spread (..., K): root of the mean over components of the analysis ensemble's variance (divisor N - 1).
    diverged_at (...): first cycle at which an ensemble became non-finite, -1 where none did; scores are NaN from there
    on.
    mean, deviation (traced, K, Nx): analysis mean and standard deviation of the traced trajectories, if any were asked
    for.
    """

    error_norm: Tensor
    forecast_error_norm: Tensor
    truth_norm: Tensor
    spread: Tensor
    diverged_at: Tensor
    mean: Tensor | None = None
    deviation: Tensor | None = None
    state_size: int = field(default=0)

    @property
    def rmse(self) -> Tensor:
        """Root-mean-square analysis error (..., K) over components."""
        return self.error_norm / self.state_size**0.5


def run_filter(
    filter_: Filter,
    system: System,
    first_ensemble: Tensor,
    observations: Tensor,
    truth: Tensor,
    draw_noise: Callable[[], Tensor] | None = None,
    *,
    traced: int = 0,
    observe: Callable[[int, CycleResult, Tensor], None] | None = None,
    progress: Callable[[int], None] | None = None,
) -> CycleRecord:
    """Run `filter_` over all cycles and record its scores.

    first_ensemble (..., N, Nx): one cycle before the first observation.
    observations (T, K, d) and truth (T, K, Nx): T trajectories, broadcast against the leading dimensions (..., T).
    draw_noise: returns standard normals (T, N, d), called once per cycle if the filter needs noise; all settings share
        the draws, so that they are compared on equal terms and do not depend on how settings are chunked.
    traced: keep mean and deviation of the first `traced` trajectories (only for a first ensemble (T, N, Nx)).
    observe: sees every cycle: its index, its result and the truth (T, Nx).

    A trajectory whose ensemble becomes non-finite is diverged: it is put back to its first ensemble, so that it costs
    no exception and cannot contaminate others, and its scores are NaN from that cycle on.
    """
    if filter_.needs_noise and draw_noise is None:
        raise ValueError(f"filter {filter_.name!r} perturbs observations: draw_noise is needed")
    _check_inputs(system, first_ensemble, observations, truth)
    keep_freed_memory()
    cycles = observations.shape[-2]
    shape = first_ensemble.shape[:-2]
    record = _empty_record(shape, cycles, system.state_size, first_ensemble, traced)
    # A smoother may look back beyond one cycle, so a diverged trajectory restarts from scratch by re-starting
    # everything it carries.
    carry = filter_.start(first_ensemble)
    fresh = carry
    for k in range(cycles):
        noise = draw_noise().to(first_ensemble) if filter_.needs_noise and draw_noise is not None else None
        result = filter_.cycle(carry, observations[:, k], system, noise)
        mean = result.analysis.mean(-2)
        finite = mean.isfinite().all(-1)  # a mean is not finite if a member is not
        record.diverged_at[~finite & (record.diverged_at < 0)] = k
        carry = result.carry if bool(finite.all()) else _replace(result.carry, fresh, finite)
        _store(record, k, result, mean, truth[:, k], traced)
        if observe is not None:
            observe(k, result, truth[:, k])
        if progress is not None:
            progress(k)
    return record


def noise_source(seed: int, method: str, members: int, shape: tuple[int, ...]) -> Callable[[], Tensor]:
    """A function that returns the next standard normal draws of `shape` from the stream of (method, members)."""
    generator = torch_generator(seed, "analysis", method, members)
    return lambda: torch.randn(shape, generator=generator)


def _check_inputs(system: System, first_ensemble: Tensor, observations: Tensor, truth: Tensor) -> None:
    if first_ensemble.shape[-1] != system.state_size or truth.shape[-1] != system.state_size:
        raise ValueError(
            f"{system.title} has {system.state_size} components, but the first ensemble has {first_ensemble.shape[-1]} "
            f"and the truth {truth.shape[-1]}"
        )
    if first_ensemble.shape[-2] < 2:
        raise ValueError(f"an ensemble needs at least 2 members, not {first_ensemble.shape[-2]}")
    if observations.shape[-1] != system.observation_size:
        raise ValueError(
            f"{system.title} has {system.observation_size} observed components, "
            f"but observations have {observations.shape[-1]}"
        )
    if not bool(observations.isfinite().all()):
        raise ValueError("observations contain non-finite values; every observation must be a number")


def _empty_record(shape: torch.Size, cycles: int, state_size: int, like: Tensor, traced: int) -> CycleRecord:
    def scores() -> Tensor:
        return torch.full((*shape, cycles), torch.nan, dtype=torch.float64)

    def trace() -> Tensor | None:
        return torch.full((traced, cycles, state_size), torch.nan, dtype=like.dtype) if traced else None

    diverged_at = torch.full(shape, -1, dtype=torch.int64, device=like.device)
    return CycleRecord(scores(), scores(), scores(), scores(), diverged_at, trace(), trace(), state_size)


def _store(record: CycleRecord, k: int, result: CycleResult, mean: Tensor, truth: Tensor, traced: int) -> None:
    """Record the scores of cycle k; mean (..., Nx) is that of the analysis, truth (T, Nx)."""
    alive = record.diverged_at < 0
    # Tensor.var takes ten times as long over this axis.
    variance = (result.analysis - mean.unsqueeze(-2)).square_().sum(-2) / (result.analysis.shape[-2] - 1)
    truth_norm = torch.linalg.vector_norm(truth, dim=-1).expand(alive.shape)
    values = (
        (record.error_norm, torch.linalg.vector_norm(mean - truth, dim=-1)),
        (record.forecast_error_norm, torch.linalg.vector_norm(result.forecast.mean(-2) - truth, dim=-1)),
        (record.truth_norm, truth_norm),
        (record.spread, variance.mean(-1).sqrt()),
    )
    for target, value in values:
        target[..., k] = value.to(torch.float64).where(alive, torch.nan).cpu()
    if traced and record.mean is not None and record.deviation is not None:
        keep = alive[:traced, None]
        record.mean[:, k] = mean[:traced].where(keep, torch.nan).cpu()
        record.deviation[:, k] = variance[:traced].sqrt().where(keep, torch.nan).cpu()


def _replace(carry: object, fresh: object, finite: Tensor) -> object:
    """`carry` where `finite`, `fresh` elsewhere, for a tensor (..., N, Nx) or a tuple of tensors and numbers (which
    stay).
    """
    if isinstance(carry, Tensor) and isinstance(fresh, Tensor):
        return carry.where(finite[..., None, None], fresh)
    if isinstance(carry, tuple) and isinstance(fresh, tuple):
        return tuple(_replace(c, f, finite) for c, f in zip(carry, fresh, strict=True))
    return carry
