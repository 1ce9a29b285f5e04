"""Error, time and memory of filters on many more variables than in training and search."""

import gc
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from mnmef.assimilation.metrics import mean_over_survivors, relative_rmse
from mnmef.assimilation.twin import TwinData, run_on_twin
from mnmef.core.clock import now
from mnmef.core.hardware import give_freed_memory_back
from mnmef.core.seeds import numpy_generator
from mnmef.experiments.experiment import Experiment
from mnmef.studies.runs import Candidate, simulate_twin

SCALING_COLUMNS = [
    *("engine", "state_size", "rrmse", "rrmse_std", "relative_rms", "n_trajectories", "n_diverged", "n_cycles"),
    *("seconds_per_cycle", "seconds_per_cycle_median", "timed_cycles", "memory_mb"),
]
"""Columns of the table.

rrmse: R-RMSE without burn-in, mean over trajectories, and rrmse_std, their standard deviation, NaN of a single one.
relative_rms: root of the summed squares of the error over that of the truth, all trajectories and cycles together. It
alone compares grids: R-RMSE averages roots, which fluctuate less on a longer grid and so have a larger mean.
seconds_per_cycle: the fastest of the timed_cycles of one trajectory, and their median; seconds of the CPU, of which a
job has one, or, on a GPU, of the clock. memory_mb: peak of these cycles above what the process held before, NaN where
the machine does not tell.
"""


@dataclass(frozen=True)
class GridPlan:
    """Sizes of the run on each grid.

    Parameters
    ----------
    points : int
        Grid points of all trajectories together; there is at least one trajectory.
    cycles : int
        Cycles of each trajectory, scored from the first one on.
    timed_cycles : int
        Cycles of one trajectory by itself that are timed, after a first one that does not count.
    ensemble_size : int
        Number of members N.
    """

    points: int
    cycles: int
    timed_cycles: int
    ensemble_size: int

    def trajectories(self, state_size: int) -> int:
        """Return the number of trajectories on a grid."""
        return max(1, self.points // state_size)


def longer(experiment: Experiment, state_size: int) -> Experiment:
    """Return the experiment with more variables, stepped by array operations.

    Compiled steps advance many states together, which is a waste on the few states of a long grid.
    """
    made = experiment.with_system({"state_size": state_size})
    made.system.has_compiled_steps = False
    return made


def simulate_grid(experiment: Experiment, sigma_y: float, plan: GridPlan, seed: int) -> TwinData:
    """Draw first ensemble (T, N, Nx), observations (T, K, d) and truth (T, K, Nx) on a grid, in single precision."""
    size = experiment.state_size

    def stream(label: str) -> np.random.Generator:
        return numpy_generator(seed, "scaling", size, label)

    sizes = (plan.trajectories(size), plan.cycles, plan.ensemble_size)
    return simulate_twin(experiment, sigma_y, sizes, stream, np.float32)


def measure(candidate: Candidate, experiment: Experiment, sigma_y: float, plan: GridPlan, *, seed: int) -> pd.DataFrame:
    """Score and time a filter on the grid of an experiment.

    Parameters
    ----------
    candidate : Candidate
        It makes the filter for an experiment.
    experiment : Experiment
        Of the grid, as `longer` makes it.
    sigma_y : float
        Standard deviation of observation noise, state units.
    plan : GridPlan
    seed : int
        Root of truths, ensembles and noise.

    Returns
    -------
    DataFrame
        One row of `SCALING_COLUMNS`.
    """
    engine, size, device = candidate.name, experiment.state_size, candidate.device
    data = [t.to(device, candidate.dtype) for t in simulate_grid(experiment, sigma_y, plan, seed)]
    experiment = replace(experiment, model_dtype=torch.float32)
    alone = [data[0][:1], *(t[:1, : plan.timed_cycles + 1] for t in data[1:])]
    stream, stamps = f"scaling/{engine}/{size}", list[float]()
    gc.collect()
    before = reset_peak()
    # The filter belongs to the measurement: tables of its own may be what takes most.
    filter_ = candidate.make(experiment)
    run_on_twin(
        filter_,
        experiment,
        alone,
        seed=seed,
        stream=f"{stream}/timed",
        on_cycle=lambda *_: stamps.append(now(device, of_process=True)),
    )
    memory = peak_megabytes() - before
    record = run_on_twin(filter_, experiment, data, seed=seed, stream=stream, title=f"{engine} D={size}")
    error, norm = record.error_norm.numpy(), record.truth_norm.numpy()
    scores = relative_rmse(error, norm)
    mean, deviation, diverged = mean_over_survivors(scores)
    alive = np.isfinite(scores)
    squares = (np.square(norms[alive]).sum() for norms in (error, norm))
    return as_row(engine, size, np.diff(stamps)).assign(
        rrmse=mean,
        rrmse_std=deviation if alive.sum() > 1 else np.nan,
        relative_rms=np.sqrt(np.divide(*squares)) if alive.any() else np.nan,
        n_trajectories=len(scores),
        n_diverged=diverged,
        n_cycles=error.shape[1],
        memory_mb=memory,
    )


def as_row(engine: str, state_size: int, seconds: Sequence[float] | np.ndarray) -> pd.DataFrame:
    """Return a table of one row from the seconds of each timed cycle; the other columns are NaN."""
    times = [float(np.min(seconds)), float(np.median(seconds)), len(seconds)]
    columns = ["engine", "state_size", "seconds_per_cycle", "seconds_per_cycle_median", "timed_cycles"]
    return pd.DataFrame([[engine, state_size, *times]], columns=columns).reindex(columns=SCALING_COLUMNS)


STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
"""Files in which Linux tells a process its memory, and which takes a 5 to forget the peak."""


def reset_peak() -> float:
    """Forget the peak of this process's resident memory; return its present size in megabytes, NaN if unknown."""
    give_freed_memory_back()
    try:
        CLEAR.write_text("5")
    except OSError:
        return float("nan")
    return _status("VmRSS")


def peak_megabytes() -> float:
    """Return the peak of the resident memory since `reset_peak`, in megabytes; NaN if unknown."""
    return _status("VmHWM")


def _status(key: str) -> float:
    """Return an entry of the process's status in megabytes, NaN if unknown."""
    found = re.search(rf"^{key}:\s*(\d+)", STATUS.read_text(), re.MULTILINE) if STATUS.exists() else None
    return int(found[1]) * 1024 / 1e6 if found else float("nan")
