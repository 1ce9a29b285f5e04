"""Error, time and memory of filters on Lorenz '96 with many more variables than the forty of training and tuning."""

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from mnmef.assimilation.cycling import noise_source, run_filter
from mnmef.assimilation.metrics import mean_over_survivors, relative_rmse
from mnmef.core.hardware import give_freed_memory_back
from mnmef.core.seeds import numpy_generator
from mnmef.data.twin import simulate_truth
from mnmef.filters.base import Filter
from mnmef.systems.lorenz96 import Lorenz96

COLUMNS = (
    *("engine", "state_size", "rrmse", "rrmse_std", "relative_rms", "n_trajectories", "n_diverged", "n_cycles"),
    *("seconds_per_cycle", "seconds_per_cycle_median", "timed_cycles", "memory_mb"),
)
"""What a row says.

rrmse: R-RMSE without burn-in, mean over trajectories, and rrmse_std, their standard deviation, NaN of a single one.
relative_rms: root of the summed squares of the error over that of the truth, all trajectories and cycles together. It
alone compares grids: R-RMSE averages roots, which fluctuate less on a longer grid and so have a larger mean.
seconds_per_cycle: the fastest of the timed_cycles of one trajectory, and their median; seconds of the CPU, of which a
job has one, or, on a GPU, of the clock. memory_mb: peak of these cycles above what the process held before, NaN where
the machine does not tell.
"""


class LongLorenz96(Lorenz96):
    """Lorenz '96 stepped by array operations: the compiled cycle advances 128 states together, which is a waste on the
    few states of a long grid.
    """

    has_compiled_cycle = False


@dataclass(frozen=True)
class Plan:
    """What is run on each grid.

    points: trajectories are as many as make up so many grid points, at least one. cycles: of each, scored from the
    first one on. timed_cycles: of one trajectory by itself, after a first one that does not count. ensemble_size: N.
    """

    points: int
    cycles: int
    timed_cycles: int
    ensemble_size: int

    def trajectories(self, state_size: int) -> int:
        """Number of trajectories on a grid."""
        return max(1, self.points // state_size)


def draw_trial(size: int, sigma_y: float, plan: Plan, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """First ensemble (T, N, Nx), observations (T, K, d) and truth (T, K, Nx) on a grid of `size` points, as in
    `mnmef.data.twin`: stored in single precision, the truth computed in double.
    """
    system, count = LongLorenz96(size), plan.trajectories(size)

    def stream(what: str) -> np.random.Generator:
        return numpy_generator(seed, "scaling", size, what)

    states = simulate_truth(system, count, plan.cycles, stream("truth"))
    draws = stream("observation").standard_normal((count, plan.cycles, system.observation_size), dtype=np.float32)
    anomalies = stream("first_ensemble").standard_normal((count, plan.ensemble_size, size), dtype=np.float32)
    first = states[:, :1] + system.first_spread * anomalies
    truth = torch.from_numpy(states[:, 1:])
    observations = system.observe(truth) + sigma_y * torch.from_numpy(draws)
    return torch.from_numpy(first), observations, truth


def measure(
    make_filter: Callable[[Lorenz96], Filter],
    engine: str,
    state_size: int,
    sigma_y: float,
    plan: Plan,
    *,
    seed: int,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> pd.DataFrame:
    """One row of `COLUMNS` for the filter on a grid of `state_size` points. dtype: of ensembles."""
    system = LongLorenz96(state_size)
    system.model_dtype = torch.float32
    first, observations, truth = (t.to(device, dtype) for t in draw_trial(state_size, sigma_y, plan, seed))
    size = (plan.ensemble_size, system.observation_size)
    noise = noise_source(seed, f"scaling/{engine}/{state_size}/timed", plan.ensemble_size, (1, *size))
    gc.collect()
    before = reset_peak()
    # The filter belongs to the measurement: tables of its own may be what takes most.
    filter_ = make_filter(system)
    stamps: list[float] = []
    timed = slice(plan.timed_cycles + 1)
    with torch.no_grad():
        run_filter(
            filter_,
            system,
            first[:1],
            observations[:1, timed],
            truth[:1, timed],
            noise,
            progress=lambda _: stamps.append(_now(device)),
        )
    memory = peak_megabytes() - before
    noise = noise_source(seed, f"scaling/{engine}/{state_size}", plan.ensemble_size, (len(first), *size))
    with torch.no_grad(), tqdm(total=plan.cycles, desc=f"{engine} D={state_size}", unit="cycle", mininterval=5) as bar:
        record = run_filter(filter_, system, first, observations, truth, noise, progress=lambda _: bar.update())
    error, norm = record.error_norm.numpy(), record.truth_norm.numpy()
    scores = relative_rmse(error, norm)
    alive = np.isfinite(scores)
    mean, deviation, diverged = mean_over_survivors(scores)
    row = {
        "rrmse": mean,
        "rrmse_std": deviation if len(scores) - diverged > 1 else np.nan,
        "relative_rms": np.sqrt(np.square(error[alive]).sum() / np.square(norm[alive]).sum())
        if alive.any()
        else np.nan,
        "n_trajectories": len(scores),
        "n_diverged": diverged,
        "n_cycles": plan.cycles,
        "memory_mb": memory,
    }
    return as_row(engine, state_size, np.diff(stamps), **row)


def as_row(engine: str, state_size: int, seconds: Sequence[float] | np.ndarray, **values: float) -> pd.DataFrame:
    """A table of one row from the seconds of each timed cycle and further columns; what is not given is NaN."""
    times = {
        "seconds_per_cycle": float(np.min(seconds)),
        "seconds_per_cycle_median": float(np.median(seconds)),
        "timed_cycles": len(seconds),
    }
    return pd.DataFrame([{"engine": engine, "state_size": state_size, **times, **values}], columns=list(COLUMNS))


def _now(device: torch.device | str) -> float:
    """Seconds of the CPU, which others on the machine do not take away, or of the clock once a GPU is done."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
        return perf_counter()
    return process_time()


STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
"""Where Linux tells a process its memory, and where it takes a 5 to forget the peak."""


def reset_peak() -> float:
    """Forget the peak of this process's resident memory; returns what it holds now, in megabytes, NaN if unknown."""
    give_freed_memory_back()
    try:
        CLEAR.write_text("5")
    except OSError:
        return float("nan")
    return _status("VmRSS")


def peak_megabytes() -> float:
    """Peak of the resident memory since `reset_peak`, in megabytes; NaN if unknown."""
    return _status("VmHWM")


def _status(key: str) -> float:
    try:
        lines = STATUS.read_text().splitlines()
    except OSError:
        return float("nan")
    kilobytes = next((line.split()[1] for line in lines if line.startswith(f"{key}:")), "nan")
    return float(kilobytes) * 1024 / 1e6
