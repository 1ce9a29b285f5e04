"""Wall seconds of a cycle of DAPPER's LETKF, for figure 8 and for long grids."""

import numpy as np
import pandas as pd

from mnmef.core.clock import cycles_for, elapsed
from mnmef.experiments.experiment import Experiment
from mnmef.filters.classical import Setting
from mnmef.filters.dapper_bridge import dapper_step, run_dapper
from mnmef.studies.scaling import GridPlan, as_row, simulate_grid
from mnmef.studies.timing import TimingPlan

LEAST_CYCLES = 5
"""Of a timing: setting up a run takes as long as a cycle or two, and is taken off."""


def time_dapper_letkf(
    experiment: Experiment,
    sigma_y: float,
    first: np.ndarray,
    observations: np.ndarray,
    plan: TimingPlan,
    setting: Setting,
) -> pd.DataFrame:
    """Time DAPPER's LETKF on one trajectory, forecast and analysis apart.

    A run of one cycle, which is as good as all setup, is taken off a run of some more. The forecast is DAPPER's model
    by itself; the analysis is the rest, with what DAPPER keeps of every cycle.

    Parameters
    ----------
    experiment : Experiment
    sigma_y : float
        Noise level, state units.
    first : array (N, Nx)
        First ensemble.
    observations : array (K, d)
        At least two cycles.
    plan : TimingPlan
    setting : Setting
        Of the LETKF.

    Returns
    -------
    DataFrame
        Rows as of `mnmef.studies.timing.time_filter`. The analysis is NaN where DAPPER diverged, and where the machine
        was so busy that less than nothing remains.
    """

    def run(seen: np.ndarray) -> np.ndarray:
        return run_dapper("letkf", experiment, sigma_y, first, seen, setting)

    def seconds(cycles: int) -> float:
        taken, means = elapsed(lambda: run(observations[:cycles]))
        return taken if np.isfinite(means).all() else np.nan

    seconds(1)  # imports DAPPER
    setup = min(seconds(1) for _ in range(4))
    # A busy machine can make the difference small, but a cycle is no tenth of the setup.
    probe = max(np.nan_to_num(seconds(2) - setup, nan=setup), setup / 10)
    most = len(observations) - 1
    cycles = cycles_for(plan.seconds, probe, most, min(LEAST_CYCLES, most))
    table = pd.DataFrame({"repeat": range(1, plan.repeats + 1), "cycles": cycles})
    pairs = [(_forecast_seconds(experiment, first, cycles), seconds(cycles + 1)) for _ in table.index]
    forecast, total = np.transpose(pairs)
    analysis = (total - setup) / cycles - forecast
    return table.assign(forecast_seconds=forecast, analysis_seconds=np.where(analysis > 0, analysis, np.nan))


def time_dapper_on_grid(
    experiment: Experiment, sigma_y: float, plan: GridPlan, setting: Setting, *, seed: int
) -> pd.DataFrame:
    """Time DAPPER's LETKF on Lorenz '96 with many variables.

    It gives the same analyses as ours on a grid that both can do, and so has seconds alone. The seconds of a run of one
    cycle, the setup, are taken off.

    Parameters
    ----------
    experiment : Experiment
        Of the grid, as `mnmef.studies.scaling.longer` makes it.
    sigma_y : float
        Noise level, state units.
    plan : GridPlan
    setting : Setting
        Of the LETKF.
    seed : int
        Root of truths, ensembles and noise.

    Returns
    -------
    DataFrame
        One row of `mnmef.studies.scaling.SCALING_COLUMNS`.

    Raises
    ------
    FloatingPointError
        If DAPPER diverges.
    """
    first, observations, _ = (t.double().numpy()[0] for t in simulate_grid(experiment, sigma_y, plan, seed))

    def run(seen: np.ndarray) -> np.ndarray:
        return run_dapper("letkf", experiment, sigma_y, first, seen, setting)

    run(observations[:1])  # imports DAPPER
    setup, _ = elapsed(lambda: run(observations[:1]), of_process=True)
    seconds, means = elapsed(lambda: run(observations[: plan.timed_cycles + 1]), of_process=True)
    if not np.isfinite(means).all():
        raise FloatingPointError(
            f"DAPPER's LETKF diverged on {experiment.state_size} variables, so its time says nothing"
        )
    each = max(seconds - setup, 0.0) / plan.timed_cycles
    return as_row("dapper", experiment.state_size, [each]).assign(timed_cycles=plan.timed_cycles)


def _forecast_seconds(experiment: Experiment, ensemble: np.ndarray, cycles: int) -> float:
    """Return the seconds of DAPPER's model for a cycle of the ensemble (N, Nx), mean over `cycles`."""
    system = experiment.system
    step = dapper_step(system)

    def run() -> None:
        for _ in range(cycles):
            state = ensemble.astype(float)
            for index in range(experiment.steps_per_cycle):
                state = step(state, index * system.step_size, system.step_size)

    return elapsed(run)[0] / cycles
