"""Scores that the field knows, beside those of the batched filters and of DAPPER on the same truths and observations.

The expected scores and their settings are data in the files of `mnmef/experiments/canonical`. A score is the time mean
of the analysis RMSE after a burn-in, averaged over trajectories, as DAPPER's `rmse.a`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy import stats

from mnmef.assimilation.cycling import CycleRecord
from mnmef.assimilation.metrics import mean_over_survivors, relative_rmse
from mnmef.assimilation.twin import TwinData, run_on_twin
from mnmef.core.clock import elapsed
from mnmef.core.seeds import numpy_generator
from mnmef.experiments.experiment import Experiment
from mnmef.experiments.files import read_experiment
from mnmef.experiments.load import load_experiment
from mnmef.filters.base import Filter
from mnmef.filters.classical import DEFAULTS, Setting, make_classical
from mnmef.filters.dapper_bridge import assimilation_error, dapper_method, hidden_markov_model
from mnmef.filters.options import Options
from mnmef.scores.canonical import TOLERANCE
from mnmef.studies.runs import simulate_twin

COLUMNS = (
    *("experiment", "sigma_y", "method", "options", "ensemble_size", "expected", "rmse", "low", "high", "reproduced"),
    *("rrmse", "spread_error_ratio", "trajectories", "cycles", "n_diverged", "seconds"),
    *("rmse_dapper", "rmse_same", "trajectories_dapper", "times_faster", "source", "remark"),
)


@dataclass(frozen=True)
class Row:
    """An expected score, and the filter and the run that it is of.

    Parameters
    ----------
    method : str
        One of `CLASSICAL_METHODS`.
    ensemble_size : int
        Number of members N.
    rmse : float
        Expected score, state units.
    source : str
        Where it is from.
    sigma_y : float
        Standard deviation of the observation noise, state units.
    trajectories, cycles, burn_in : int
        Trajectories, their scored cycles, and cycles before these.
    dapper : int
        Leading trajectories that DAPPER runs as well.
    inflation, localization_radius, lag : float, float or None, int
        See `make_classical`.
    options : Options
        Further options of the filter.
    named : str
        The last four, as the file has them.
    remark : str
        What is known of a score that is not reproduced.
    """

    method: str
    ensemble_size: int
    rmse: float
    source: str
    sigma_y: float
    trajectories: int
    cycles: int
    burn_in: int
    dapper: int = 0
    inflation: float = 1.0
    localization_radius: float | None = None
    lag: int = 1
    options: Options = DEFAULTS
    named: str = ""
    remark: str = ""

    @property
    def setting(self) -> Setting:
        """Inflation and localization radius."""
        return Setting(self.inflation, self.localization_radius)

    def make(self, experiment: Experiment) -> Filter:
        """Return the batched filter."""
        return make_classical(self.method, experiment, self.sigma_y, *self.setting, lag=self.lag, options=self.options)


def expected_rows(name: str, fraction: float = 1.0, seed: int = 0) -> list[Row]:
    """Return the expected scores in the file of the experiment `name`.

    Parameters
    ----------
    name : str
    fraction : float
        Of the trajectories and cycles that the file says, for a look; at least 2 trajectories and 4 cycles are run.
    seed : int
        Of the filters' own draws.

    Raises
    ------
    ValueError
        If the file has none.
    """
    content = read_experiment(name)
    if not content.get("expected"):
        raise ValueError(f"the file of experiment {name} has no expected scores")
    return [_row({**content["protocol"], **entry}, fraction, seed) for entry in content["expected"]]


def _row(entry: Mapping[str, Any], fraction: float, seed: int) -> Row:
    """Return the row of an entry of a file."""
    own = {field.name for field in fields(Row)}
    further = {key: value for key, value in entry.items() if key not in own}
    named = {key: entry[key] for key in entry if key in ("inflation", "localization_radius", "lag") or key in further}
    least = {"trajectories": 2, "cycles": 4, "burn_in": 0}
    sizes = {key: max(number, round(fraction * entry[key])) for key, number in least.items()}
    options = Options(seed=seed, **further)
    text = ", ".join(key if value is True else f"{key} {value:g}" for key, value in named.items())
    return Row(**{key: entry[key] for key in entry if key in own} | sizes, options=options, named=text)


def run_canonical(name: str, *, fraction: float = 1.0, seed: int = 0) -> pd.DataFrame:
    """Run all filters with an expected score on an experiment, on the same truths and observations.

    Parameters
    ----------
    name : str
        An experiment with expected scores.
    fraction, seed : float, int
        See `expected_rows`; the seed is also that of truths, observations and first ensembles.

    Returns
    -------
    DataFrame
        A row for each expected score, columns `COLUMNS`. low, high: 95 % interval of `rmse`; reproduced: within
        `TOLERANCE` of the expected score; seconds: of the batched run, on one core; rmse_dapper, rmse_same: DAPPER and
        the batched filter on the `trajectories_dapper` leading trajectories; times_faster: of the batched filter, per
        cycle and trajectory.
    """
    rows = expected_rows(name, fraction, seed)
    experiment = load_experiment(name, torch.float32)
    sizes = [(row.trajectories, row.burn_in + row.cycles, row.ensemble_size) for row in rows]
    stream = partial(numpy_generator, seed, name, "canonical")
    trajectories, cycles, members = (max(each) for each in zip(*sizes, strict=True))
    data = simulate_twin(experiment, rows[0].sigma_y, (trajectories, cycles, members), stream)
    return pd.DataFrame([_scores(row, experiment, data, seed) for row in rows], columns=list(COLUMNS))


def _scores(row: Row, experiment: Experiment, data: TwinData, seed: int) -> dict[str, Any]:
    """Run and score one row."""
    first, observations, truth = data
    some, times = slice(row.trajectories), slice(row.burn_in + row.cycles)
    part = first[some, : row.ensemble_size], observations[some, times], truth[some, times]
    run_on_twin(row.make(experiment), experiment, [part[0], part[1][:, :2], part[2][:, :2]], seed=seed, stream="warm")
    title = f"{experiment.name} {row.method} {row.ensemble_size}"
    run = partial(run_on_twin, row.make(experiment), experiment, part, seed=seed, stream=row.method, title=title)
    seconds, record = elapsed(run, of_process=True)
    values = record.rmse[:, row.burn_in :].mean(-1).numpy()
    (mean, deviation, diverged), (least, errors, most) = mean_over_survivors(values), TOLERANCE
    error = deviation / max(1, len(values) - diverged) ** 0.5
    reach = error * stats.t.ppf(0.975, max(1, len(values) - diverged - 1))
    result = {
        "experiment": experiment.name,
        "sigma_y": row.sigma_y,
        "method": row.method,
        "options": row.named,
        "ensemble_size": row.ensemble_size,
        "expected": row.rmse,
        "rmse": mean,
        "low": mean - reach,
        "high": mean + reach,
        "reproduced": abs(mean / row.rmse - 1.0) <= min(max(least, errors * error / row.rmse), most),
        **_further(record, row),
        "trajectories": len(values),
        "cycles": row.cycles,
        "n_diverged": diverged,
        "seconds": seconds,
        "source": row.source,
        "remark": row.remark,
    }
    if row.dapper:
        per_cycle = seconds / (len(values) * part[1].shape[1])
        result |= _with_dapper(row, experiment, part, values, per_cycle)
    return result


def _further(record: CycleRecord, row: Row) -> dict[str, float]:
    """Return R-RMSE and the ratio of spread and error after the burn-in, means over trajectories."""
    error, truth, spread = (x[:, row.burn_in :].numpy() for x in (record.error_norm, record.truth_norm, record.spread))
    ratio = spread.mean(-1) / (error.mean(-1) / record.state_size**0.5)
    return {
        "rrmse": mean_over_survivors(relative_rmse(error, truth))[0],
        "spread_error_ratio": mean_over_survivors(ratio)[0],
    }


def _with_dapper(
    row: Row, experiment: Experiment, data: TwinData, ours: np.ndarray, per_cycle: float
) -> dict[str, float]:
    """Run DAPPER on the leading trajectories; return its score, ours there, and the ratio of times."""
    first, observations, truth = (part[: row.dapper].double().numpy() for part in data)
    means = np.full(truth.shape, np.nan)

    def run() -> None:
        for t in range(len(first)):
            xp = dapper_method(row.method, row.ensemble_size, row.setting, row.lag, row.options)
            model = hidden_markov_model(experiment, row.sigma_y, first[t], len(observations[t]))
            if assimilation_error(xp, model, observations[t], t + 1) is None:
                means[t] = xp.stats.mu.a

    seconds, _ = elapsed(run, of_process=True)
    times_faster = seconds / (len(first) * observations.shape[1]) / per_cycle
    rmse = np.sqrt(((means - truth) ** 2).mean(-1))[:, row.burn_in :].mean(-1)
    return {
        "rmse_dapper": mean_over_survivors(rmse)[0],
        "rmse_same": mean_over_survivors(ours[: row.dapper])[0],
        "trajectories_dapper": len(first),
        "times_faster": times_faster,
    }
