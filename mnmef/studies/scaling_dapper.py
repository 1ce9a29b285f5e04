"""Seconds per cycle of DAPPER's LETKF on Lorenz '96 with many variables."""

from time import process_time

import numpy as np
import pandas as pd

from mnmef.filters.dapper_bridge import run_dapper
from mnmef.studies.scaling import LongLorenz96, Plan, as_row, draw_trial


def time_dapper(
    state_size: int, sigma_y: float, plan: Plan, *, inflation: float, localization_radius: float, seed: int
) -> pd.DataFrame:
    """The row of DAPPER's LETKF, with seconds alone: it gives the same analyses as ours on a grid that both can do.

    The seconds of a run of one cycle, which are those of its setup, are taken off.
    """
    system = LongLorenz96(state_size)
    first, observations, _ = (t.double().numpy()[0] for t in draw_trial(state_size, sigma_y, plan, seed))
    seconds = []
    for cycles in (1, 1, plan.timed_cycles + 1):  # the first run imports DAPPER
        began = process_time()
        means = run_dapper(
            "letkf",
            system,
            sigma_y,
            first,
            observations[:cycles],
            inflation=inflation,
            localization_radius=localization_radius,
        )
        seconds.append(process_time() - began)
    if not np.isfinite(means).all():
        raise FloatingPointError(f"DAPPER's LETKF diverged on {state_size} variables, so its time says nothing")
    each = max(seconds[2] - seconds[1], 0.0) / plan.timed_cycles
    return as_row("dapper", state_size, [each]).assign(timed_cycles=plan.timed_cycles)
