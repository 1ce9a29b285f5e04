"""Robustness of filters away from their training and search: other noise, dynamics, first ensembles, and a gap.

The weights (learned filters), or the inflation and radius (classical ones), are the same in all conditions. The filter
is told the noise level sigma_y of the condition, which enters its gain, and forecasts with the model of the condition.
Truths and observations are drawn for this purpose; no split sees them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from mnmef.assimilation.metrics import relative_rmse
from mnmef.assimilation.twin import TwinData, run_on_twin
from mnmef.core.devices import default_device
from mnmef.core.names import METHODS, stream_of
from mnmef.core.seeds import numpy_generator
from mnmef.data.twin import simulate_truth
from mnmef.experiments.experiment import Experiment
from mnmef.filters.base import CycleResult, Draws, Filter
from mnmef.filters.classical import Setting, make_classical
from mnmef.learning.checkpoints import load_checkpoint
from mnmef.studies.runs import Candidate, simulate_twin


@dataclass(frozen=True)
class Condition:
    """A test condition.

    Parameters
    ----------
    name : str
        Of the kind of condition.
    value : float or None
        Tells conditions of a kind apart; None where there is one.
    sigma_y : float
        Noise level of the observations, which the filter is told, state units.
    options, model_options : mapping
        Options of the system that differ for the truth and for the filter's model.
    is_climatological : bool
        Draw the first members from the attractor instead of around the truth.
    gap : int
        Cycles without observations in the middle of the run.
    """

    name: str
    value: float | None
    sigma_y: float
    options: Mapping[str, float] = field(default_factory=dict)
    model_options: Mapping[str, float] = field(default_factory=dict)
    is_climatological: bool = False
    gap: int = 0


@dataclass(frozen=True)
class Design:
    """Conditions and sizes of the comparison.

    Parameters
    ----------
    noise_levels : sequence of float
        sigma_y beside that of the training, state units.
    options : mapping of str to sequence of float
        Other values of options of the system, on experiments whose system has them.
    gap : int
        Cycles without observations.
    trajectories, cycles : int
        Sizes of each condition.
    ensemble_size : int
        Number of members N.

    Raises
    ------
    ValueError
        If no cycle follows the gap.
    """

    noise_levels: Sequence[float]
    options: Mapping[str, Sequence[float]]
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
    """A filter that only forecasts in the cycles from `first` on, `length` of them."""

    name: ClassVar[str] = "with_gap"
    # It draws noise during the gap as well, so that a run with a gap has the draws of the run without.
    needs_noise: ClassVar[bool] = True

    def __init__(self, inner: Filter, first: int, length: int) -> None:
        self.inner, self.gap = inner, range(first, first + length)

    def start(self, ensemble: Tensor) -> tuple[int, Any]:
        """Return the number of cycles so far, and the carry that the inner filter starts from."""
        return 0, self.inner.start(ensemble)

    def cycle(
        self, carry: tuple[int, Any], observation: Tensor, experiment: Experiment, noise: Draws = None
    ) -> CycleResult:
        """Run a cycle of the inner filter, or a forecast alone; for filters whose carry is an ensemble."""
        k, inner = carry
        if k in self.gap:
            forecast = experiment.propagate(inner)
            return CycleResult(forecast, forecast, (k + 1, forecast))
        result = self.inner.cycle(inner, observation, experiment, noise)
        return CycleResult(result.forecast, result.analysis, (k + 1, result.carry))


def conditions(experiment: Experiment, sigma_y: float, design: Design) -> list[Condition]:
    """Return the conditions of an experiment, the nominal one first; options only where the system has them."""
    found = [Condition("nominal", None, sigma_y)]
    found += [Condition("sigma_y", level, level) for level in design.noise_levels if level != sigma_y]
    for option, values in design.options.items():
        own = getattr(experiment.system, option, None)
        others = [value for value in values if own is not None and value != own]
        found += [Condition(option, v, sigma_y, {option: v}, {option: v}) for v in others]
        found += [Condition(f"{option} of the truth alone", v, sigma_y, {option: v}) for v in others]
    found.append(Condition("climatological first ensemble", None, sigma_y, is_climatological=True))
    found.append(Condition("gap", design.gap, sigma_y, gap=design.gap))
    return found


def draw_condition(experiment: Experiment, condition: Condition, design: Design, seed: int) -> TwinData:
    """Draw first ensemble (T, N, Nx), observations (T, K, d) and truth (T, K, Nx), in double precision.

    All conditions share initial states, normal draws of observations and anomalies of first ensembles, so that they
    are compared on equal terms.
    """
    experiment = experiment.with_system(condition.options)
    count, members = design.trajectories, design.ensemble_size
    size = (count, design.cycles, members)

    def stream(label: str) -> np.random.Generator:
        return numpy_generator(seed, "robustness", experiment.name, label)

    first, observations, truth = simulate_twin(experiment, condition.sigma_y, size, stream)
    if condition.is_climatological:
        climate = simulate_truth(experiment, count * members, 0, stream("climatology"))
        first = torch.from_numpy(climate.reshape(first.shape).astype(np.float64))
    return first, observations, truth


def learned_candidate(
    checkpoint: str | Path, method: str, experiment: Experiment, sigma_y: float, model: Mapping[str, Any]
) -> Candidate:
    """Make the candidate with the weights of a checkpoint that was trained at `sigma_y`, told another noise level.

    The level is in the perturbations of observations and in the R of the gain; mnmef_conv and mnmef_local have
    spread and innovations in units of it, and mnmef's network is told nothing of it.
    """
    name = METHODS[method].filter
    filter_ = load_checkpoint(checkpoint, name=name, experiment=experiment.name, sigma_y=sigma_y, model=model)
    filter_ = filter_.to(default_device())

    def make(level: float) -> Filter:
        if filter_.serves_any_noise:
            return filter_.at_noise(level)
        filter_.sigma_y = level
        return filter_

    return Candidate(method, make, device=default_device())


def classical_candidate(best: pd.DataFrame, method: str, experiment: Experiment, members: int) -> Candidate:
    """Make the candidate with the inflation and radius that the search `best` chose for N = `members`."""
    rows = best[best["ensemble_size"] == members]
    if len(rows) != 1:
        raise ValueError(f"the search of {method} on {experiment.name} has no row for N = {members}")
    setting = Setting.of(rows.iloc[0])
    return Candidate(method, lambda level: make_classical(method, experiment, level, *setting), torch.float64)


def run_conditions(
    candidate: Candidate, experiment: Experiment, sigma_y: float, design: Design, *, seed: int
) -> pd.DataFrame:
    """Score a filter in all conditions.

    Parameters
    ----------
    candidate : Candidate
        It makes the filter for a noise level.
    experiment : Experiment
        Of the nominal condition; its dynamics are computed in single precision.
    sigma_y : float
        Noise level of the nominal condition, state units.
    design : Design
    seed : int
        Root of truths, ensembles and noise.

    Returns
    -------
    DataFrame
        A row for each condition and trajectory. rrmse: R-RMSE over all cycles, without burn-in; NaN where the
        trajectory diverged. Where there is a gap, rrmse_end: relative error at its last cycle; rrmse_after: R-RMSE of
        the cycles after it. recovery_cycles, for a gap and a climatological first ensemble: number of analyses until
        the error is first no larger than its mean over the nominal run of the same trajectory; NaN where it never is.
    """
    title = f"{experiment.name} {candidate.name}"
    stream = f"robustness/{stream_of(candidate.name)}"
    frames, usual = [], np.empty(0)
    for condition in tqdm(conditions(experiment, sigma_y, design), desc=title, unit="condition"):
        data = [t.to(candidate.device, candidate.dtype) for t in draw_condition(experiment, condition, design, seed)]
        model = replace(experiment.with_system(condition.model_options), model_dtype=torch.float32)
        filter_ = candidate.make(condition.sigma_y)
        if condition.gap:
            filter_ = WithGap(filter_, design.cycles // 2, condition.gap)
        record = run_on_twin(filter_, model, data, seed=seed, stream=stream)
        error, norm = record.error_norm.numpy(), record.truth_norm.numpy()
        if condition.name == "nominal":
            usual = error.mean(-1)
        frames.append(_score(error, norm, usual, condition))
    table = pd.concat(frames, ignore_index=True)
    table.insert(0, "experiment", experiment.name)
    table.insert(1, "method", candidate.name)
    return table


def _score(error: np.ndarray, norm: np.ndarray, usual: np.ndarray, condition: Condition) -> pd.DataFrame:
    """Return the scores of a condition from norms (T, K) of the error and of the truth; usual (T,)."""
    begin = error.shape[-1] // 2 + condition.gap if condition.gap else 0
    value = np.nan if condition.value is None else condition.value
    scores = pd.DataFrame({"condition": condition.name, "value": value, "trajectory": np.arange(len(error))})
    scores["rrmse"] = relative_rmse(error, norm)
    scores["rrmse_end"] = error[:, begin - 1] / norm[:, begin - 1] if condition.gap else np.nan
    scores["rrmse_after"] = relative_rmse(error[:, begin:], norm[:, begin:]) if condition.gap else np.nan
    is_upset = condition.gap or condition.is_climatological
    scores["recovery_cycles"] = recovery(error[:, begin:], usual) if is_upset else np.nan
    return scores


def recovery(error: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """Return the number of cycles (T,), at least 1, until error (T, K) is first at most usual (T,); NaN for never."""
    is_low = error <= usual[:, None]
    return np.where(is_low.any(-1), is_low.argmax(-1) + 1.0, np.nan)
