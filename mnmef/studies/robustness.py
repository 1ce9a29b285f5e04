"""How filters fare where they were not trained or tuned: other noise, other dynamics, other first ensembles, a gap.

The same weights (learned filters) and the same inflation and radius (classical ones) in all conditions. What changes
with the condition is the noise level sigma_y that the filter is told, which enters its gain, and the model that it
forecasts with. Truths and observations are drawn for this purpose; no split sees them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from mnmef.assimilation.cycling import noise_source, run_filter
from mnmef.assimilation.metrics import relative_rmse
from mnmef.core.seeds import numpy_generator
from mnmef.data.twin import simulate_truth
from mnmef.filters.base import CycleResult, Filter
from mnmef.filters.classical import make_classical
from mnmef.learning.checkpoints import load_checkpoint
from mnmef.systems import System, make_system
from mnmef.systems.lorenz96 import Lorenz96

FilterMaker = Callable[[float], Filter]
"""The filter for a noise level, its weights or settings unchanged."""


@dataclass(frozen=True)
class Condition:
    """What a filter is put to.

    name: of the kind of condition. value: what tells conditions of a kind apart, None where there is one. sigma_y: of
    the observations, known to the filter. forcing, model_forcing: F of the truth and of the filter's model, None: the
    system's own. is_climatological: members are drawn from the attractor and not around the truth. gap: number of
    cycles, in the middle of the run, without observations.
    """

    name: str
    value: float | None
    sigma_y: float
    forcing: float | None = None
    model_forcing: float | None = None
    is_climatological: bool = False
    gap: int = 0


@dataclass(frozen=True)
class Design:
    """Conditions and sizes of the comparison.

    noise_levels: sigma_y beside the one of training. forcings: F beside Lorenz '96's own. gap: in cycles.
    trajectories, cycles: of each condition. ensemble_size: N.
    """

    noise_levels: Sequence[float]
    forcings: Sequence[float]
    gap: int
    trajectories: int
    cycles: int
    ensemble_size: int

    def __post_init__(self) -> None:
        if self.cycles // 2 + self.gap >= self.cycles:
            raise ValueError(
                f"a gap of {self.gap} cycles in the middle of {self.cycles} leaves none after it; "
                f"robustness.cycles must be more than {2 * self.gap}"
            )


class WithGap(Filter):
    """`inner` without an analysis in the cycles from `first` on, `length` of them, which only forecast."""

    name: ClassVar[str] = "with_gap"
    # It draws noise during the gap as well, so that a run with a gap has the draws of the run without.
    needs_noise: ClassVar[bool] = True

    def __init__(self, inner: Filter, first: int, length: int) -> None:
        self.inner, self.gap = inner, range(first, first + length)

    def start(self, ensemble: Tensor) -> tuple[int, Any]:
        """The number of cycles so far, and what the inner filter starts from."""
        return 0, self.inner.start(ensemble)

    def cycle(
        self, carry: tuple[int, Any], observation: Tensor, system: System, noise: Tensor | None = None
    ) -> CycleResult:
        """A cycle of the inner filter, or a forecast alone; for filters that carry an ensemble from cycle to cycle."""
        k, inner = carry
        if k in self.gap:
            forecast = system.propagate(inner)
            return CycleResult(forecast, forecast, (k + 1, forecast))
        result = self.inner.cycle(inner, observation, system, noise)
        return CycleResult(result.forecast, result.analysis, (k + 1, result.carry))


def conditions(system: str, sigma_y: float, design: Design) -> list[Condition]:
    """The conditions of a system, that of the training first; Lorenz '96 alone has a forcing to change."""
    found = [Condition("nominal", None, sigma_y)]
    found += [Condition("sigma_y", level, level) for level in design.noise_levels if level != sigma_y]
    if system == Lorenz96.name:
        own = Lorenz96().forcing
        others = [forcing for forcing in design.forcings if forcing != own]
        found += [Condition("forcing", f, sigma_y, f, f) for f in others]
        found += [Condition("forcing of the truth alone", f, sigma_y, f) for f in others]
    found.append(Condition("climatological first ensemble", None, sigma_y, is_climatological=True))
    found.append(Condition("gap", design.gap, sigma_y, gap=design.gap))
    return found


def forced(system: str, forcing: float | None, model_dtype: torch.dtype | None = None) -> System:
    """The system, with another forcing where one is given. Raises `ValueError` where it has none."""
    made = make_system(system, model_dtype)
    if forcing is not None:
        if not isinstance(made, Lorenz96):
            raise ValueError(f"{made.title} has no forcing to set to {forcing}")
        made.forcing = forcing
    return made


def draw_trial(system: str, condition: Condition, design: Design, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """First ensemble (T, N, Nx), observations (T, K, d) and truth (T, K, Nx) of a condition, in double precision.

    All conditions share initial states, normal draws of observations and anomalies of first ensembles, so that they
    are compared on equal terms.
    """
    truth_system = forced(system, condition.forcing)
    count, members = design.trajectories, design.ensemble_size

    def stream(what: str) -> np.random.Generator:
        return numpy_generator(seed, "robustness", system, what)

    states = simulate_truth(truth_system, count, design.cycles, stream("truth")).astype(np.float64)
    truth = states[:, 1:]
    draws = stream("observation").standard_normal((count, design.cycles, truth_system.observation_size))
    observations = truth[..., list(truth_system.observed)] + condition.sigma_y * draws
    if condition.is_climatological:
        first = simulate_truth(truth_system, count * members, 0, stream("climatology")).astype(np.float64)
        first = first.reshape(count, members, -1)
    else:
        anomalies = stream("first_ensemble").standard_normal((count, members, truth_system.state_size))
        first = states[:, :1] + truth_system.first_spread * anomalies
    return torch.from_numpy(first), torch.from_numpy(observations), torch.from_numpy(truth)


def learned_maker(
    checkpoint: str | Path,
    filter_name: str,
    system: str,
    sigma_y: float,
    model: Mapping[str, Any],
    device: torch.device | str = "cpu",
) -> FilterMaker:
    """The filter with the weights of `checkpoint`, trained at `sigma_y`, told another noise level.

    The level is in the perturbations of observations and in the R of the gain, and mnmef_conv has spread and
    innovations in units of it; mnmef's network is told nothing of it.
    """
    filter_ = load_checkpoint(checkpoint, name=filter_name, system=system, sigma_y=sigma_y, model=model).to(device)

    def make(level: float) -> Filter:
        filter_.sigma_y = level
        return filter_

    return make


def classical_maker(best: pd.DataFrame, method: str, system: str, members: int) -> FilterMaker:
    """The classical filter with the settings tuned for N = `members`, a row of the table `best`."""
    rows = best[best["ensemble_size"] == members]
    if len(rows) != 1:
        raise ValueError(f"the search of {method} on {system} has no row for N = {members}")
    inflation, radius = (rows[name].item() for name in ("inflation", "localization_radius"))
    return lambda level: make_classical(
        method, make_system(system), level, float(inflation), None if pd.isna(radius) else float(radius)
    )


def run_conditions(
    make_filter: FilterMaker,
    method: str,
    system: str,
    sigma_y: float,
    design: Design,
    *,
    seed: int,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> pd.DataFrame:
    """Scores of a filter, one row for each condition and trajectory.

    rrmse: R-RMSE over all cycles, without burn-in; NaN where the trajectory diverged. Where there is a gap, rrmse_end:
    relative error at its last cycle; rrmse_after: R-RMSE of the cycles after it. recovery_cycles, for a gap and a
    climatological first ensemble: number of analyses until the error is first no larger than its mean over the nominal
    run of the same trajectory; NaN where it never is.
    dtype: of ensembles. The dynamics are computed in single precision.
    """
    frames = []
    usual: np.ndarray | None = None
    for condition in tqdm(conditions(system, sigma_y, design), desc=f"{system} {method}", unit="condition"):
        error, norm = _run(make_filter, method, system, condition, design, seed, dtype, device)
        # The first condition is the nominal one.
        usual = error.mean(-1) if usual is None else usual
        frames.append(_score(error, norm, usual, condition).assign(system=system, method=method))
    return pd.concat(frames, ignore_index=True)[list(COLUMNS)]


COLUMNS = (
    *("system", "method", "condition", "value", "trajectory"),
    *("rrmse", "rrmse_end", "rrmse_after", "recovery_cycles"),
)


def _run(
    make_filter: FilterMaker,
    method: str,
    system: str,
    condition: Condition,
    design: Design,
    seed: int,
    dtype: torch.dtype,
    device: torch.device | str,
) -> tuple[np.ndarray, np.ndarray]:
    """Norms (T, K) of the error of the analysis mean and of the truth."""
    first, observations, truth = (t.to(device, dtype) for t in draw_trial(system, condition, design, seed))
    model = forced(system, condition.model_forcing, torch.float32)
    filter_ = make_filter(condition.sigma_y)
    if condition.gap:
        filter_ = WithGap(filter_, design.cycles // 2, condition.gap)
    noise = noise_source(seed, f"robustness/{method}", first.shape[1], (*first.shape[:2], model.observation_size))
    with torch.no_grad():
        record = run_filter(filter_, model, first, observations, truth, noise)
    return record.error_norm.numpy(), record.truth_norm.numpy()


def _score(error: np.ndarray, norm: np.ndarray, usual: np.ndarray, condition: Condition) -> pd.DataFrame:
    scores = pd.DataFrame({"trajectory": np.arange(len(error)), "rrmse": relative_rmse(error, norm)})
    begin = 0
    if condition.gap:
        begin = error.shape[-1] // 2 + condition.gap
        scores["rrmse_end"] = error[:, begin - 1] / norm[:, begin - 1]
        scores["rrmse_after"] = relative_rmse(error[:, begin:], norm[:, begin:])
    if condition.gap or condition.is_climatological:
        scores["recovery_cycles"] = recovery(error[:, begin:], usual)
    empty = {"rrmse_end": np.nan, "rrmse_after": np.nan, "recovery_cycles": np.nan}
    value = np.nan if condition.value is None else condition.value
    return scores.assign(
        condition=condition.name, value=value, **{k: v for k, v in empty.items() if k not in scores.columns}
    )


def recovery(error: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """Number of cycles (T,), at least 1, until error (T, K) is first at most usual (T,); NaN where it never is."""
    is_low = error <= usual[:, None]
    return np.where(is_low.any(-1), is_low.argmax(-1) + 1.0, np.nan)
