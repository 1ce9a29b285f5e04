"""Wall seconds of a cycle of DAPPER's LETKF, forecast and analysis apart."""

from time import perf_counter

import numpy as np
import pandas as pd

from mnmef.filters.dapper_bridge import dapper_step, run_dapper
from mnmef.studies.timing import Plan, cycles_for
from mnmef.systems.base import System

LEAST_CYCLES = 5
"""Of a timing: setting up a run takes as long as a cycle or two, and is taken off."""


def time_dapper_letkf(
    system: System,
    sigma_y: float,
    first: np.ndarray,
    observations: np.ndarray,
    plan: Plan,
    *,
    inflation: float,
    localization_radius: float,
) -> pd.DataFrame:
    """Rows as of `mnmef.studies.timing.time_filter`, of one trajectory: first ensemble (N, Nx), observations (K >= 2,
    d).

    A run of one cycle, which is as good as all setup, is taken off a run of some more. The forecast is DAPPER's model
    by itself; the analysis is the rest, with what DAPPER keeps of every cycle. It is NaN where DAPPER diverged,
    and where the machine was so busy that less than nothing remains.
    """

    def seconds(cycles: int) -> float:
        began = perf_counter()
        means = run_dapper(
            "letkf",
            system,
            sigma_y,
            first,
            observations[:cycles],
            inflation=inflation,
            localization_radius=localization_radius,
        )
        return perf_counter() - began if np.isfinite(means).all() else np.nan

    seconds(1)  # imports DAPPER
    setup = min(seconds(1) for _ in range(4))
    # A busy machine can make the difference small, but a cycle is no tenth of the setup.
    probe = max(np.nan_to_num(seconds(2) - setup, nan=setup), setup / 10)
    cycles = max(cycles_for(plan.seconds, probe, len(observations) - 1), min(LEAST_CYCLES, len(observations) - 1))
    rows = []
    for repeat in range(1, plan.repeats + 1):
        forecast = _forecast_seconds(system, first, cycles)
        total = (seconds(cycles + 1) - setup) / cycles
        analysis = total - forecast if total > forecast else np.nan
        found = {"forecast_seconds": forecast, "analysis_seconds": analysis}
        rows.append({"repeat": repeat, "cycles": cycles, **found})
    return pd.DataFrame(rows)


def _forecast_seconds(system: System, ensemble: np.ndarray, cycles: int) -> float:
    """Seconds of DAPPER's model for a cycle of the ensemble (N, Nx), mean over `cycles`."""
    step = dapper_step(system.name)
    began = perf_counter()
    for _ in range(cycles):
        state = ensemble.astype(float)
        for index in range(system.steps_per_cycle):
            state = step(state, index * system.step_size, system.step_size)
    return (perf_counter() - began) / cycles
