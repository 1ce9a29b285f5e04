"""Seconds that DAPPER and the batched engine take for a cycle of each classical filter, on all cores of this machine.

`python -m benchmarks.baselines` writes baselines.csv and baselines.json. Both sides see the same truths, observations
and first ensembles, and the published best inflation and radius. On both, a process per core and one thread each:
DAPPER with a trajectory per process, the batched engine with a chunk of the published search, its forecasts in single
and its analyses in double precision as in the pipeline.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import torch
import xarray as xr
from tqdm import tqdm

from benchmarks.timing import Team, base_parser, check_names, positive, provenance, write_report
from mnmef.assimilation.cycling import noise_source, run_filter
from mnmef.core.clock import cycles_for, now
from mnmef.core.names import LOCALIZED_METHODS
from mnmef.data.published import load_searches
from mnmef.data.twin import load_trial, simulate_split
from mnmef.experiments.files import overlay, shipped_experiments
from mnmef.experiments.load import load_experiment
from mnmef.filters.classical import Setting, make_classical
from mnmef.filters.dapper_bridge import DAPPER_METHODS, run_dapper
from mnmef.search.engines import WORKING_BYTES, settings_per_chunk
from mnmef.search.grids import settings_of
from mnmef.search.trial import Trial

PUBLISHED = Path(__file__).parents[1] / "resources" / "published"
SIZES = (10, 40, 100)
SIGMA_Y = 1.0
SEED = 2504
TRAJECTORIES = 64
"""Trajectories of the published search."""
SEARCHED_CYCLES = 1500
"""Cycles of the published search, whose recorded scores take part of the memory of a chunk."""
CYCLES = 500
"""The most cycles of one timing; the simulated split has one more."""
DAPPER_PROBE, BATCHED_PROBE = 20, 1
"""Cycles of the runs that tell how long a cycle takes, hence the least that are timed. Setting up a run of DAPPER costs
as much as one or two cycles.
"""

DEFINITIONS = {
    "seconds_per_cycle": "wall seconds of a timing on all cores / filter cycles done in it, summed over processes, "
    "settings and trajectories; median over the repeats, in which DAPPER and the batched engine take turns",
    "ratio": "dapper_seconds_per_cycle / batched_seconds_per_cycle",
    "repeats": "timings of each side",
    "dapper_cycles": "cycles of one timing, of one trajectory in each process on which DAPPER does not diverge",
    "batched_cycles": "cycles of one timing, of batch_settings x batch_trajectories trajectories in each process, "
    "after a first cycle that does not count",
    "batch_settings": "as many as the published search would run at a time; here all have the same setting",
    "inflation": "published best one, with localization_radius in grid points, of the nearest published ensemble size",
}


@dataclass(frozen=True)
class Cell:
    """One line of the table: what is run, from the first `members` of `stored` members of the first ensembles."""

    experiment: str
    method: str
    members: int
    stored: int
    setting: Setting
    settings: int


def choose_cells(experiments: Sequence[str], methods: Sequence[str], sizes: Sequence[int]) -> list[Cell]:
    """All combinations that exist, with their published settings and the batch of the published search.

    Raises `ValueError` for a experiment or method that is unknown, with the nearest name, for an ensemble of less than
    2 members, and where no combination exists.
    """
    check_names("experiment", experiments, list(shipped_experiments("paper")))
    check_names("method that DAPPER has", methods, DAPPER_METHODS)
    if min(sizes) < 2:
        raise ValueError(f"an ensemble needs at least 2 members, not {min(sizes)}")
    stored = max(*sizes, *SIZES)
    cells = [
        Cell(experiment, method, members, stored, *published_search(experiment, method, members))
        for experiment in experiments
        for members in sizes
        for method in methods
        if method not in LOCALIZED_METHODS or load_experiment(experiment).is_periodic
    ]
    if not cells:
        raise ValueError(
            f"{', '.join(methods)} cannot run on {', '.join(experiments)}, which has no grid to localize on"
        )
    return cells


def published_search(experiment: str, method: str, members: int) -> tuple[Setting, int]:
    """The published best setting, of the nearest ensemble size that was published, and how many settings the batched
    engine would run at a time in the published search for it.
    """
    winners = load_searches(PUBLISHED / "dapper_grid_search_best.csv")
    same = (
        (winners["experiment"] == experiment) & (winners["method"] == method) & np.isclose(winners["sigma_y"], SIGMA_Y)
    )
    sizes = winners.loc[same, "ensemble_size"]
    best = winners.loc[np.log(sizes / members).abs().idxmin()]
    setting = Setting.of(best)
    searched = settings_of(
        overlay(experiment)["search"], winners, (experiment, SIGMA_Y, method, int(best["ensemble_size"]))
    )
    trial = Trial(experiment, SIGMA_Y, method, members, TRAJECTORIES, SEARCHED_CYCLES, SEED)
    return setting, min(len(searched), settings_per_chunk(load_experiment(experiment), trial, WORKING_BYTES))


@cache
def tuning_split(experiment: str, stored: int) -> xr.Dataset:
    """The simulated tuning split, the same in every process."""
    return simulate_split(load_experiment(experiment), "tune", TRAJECTORIES, CYCLES + 1, [SIGMA_Y], stored, SEED)


def dapper_run(cell: Cell, cycles: int, trajectory: int) -> Callable[[], bool]:
    """A run of DAPPER on one trajectory; it returns whether it came to its end."""
    split = tuning_split(cell.experiment, cell.stored)
    first, observations, _ = (t.numpy() for t in load_trial(split, SIGMA_Y, cell.members, torch.float64, None, cycles))
    experiment = load_experiment(cell.experiment)

    def run() -> bool:
        means = run_dapper(
            cell.method,
            experiment,
            SIGMA_Y,
            first[trajectory],
            observations[trajectory],
            cell.setting,
            seed=trajectory + 1,
        )
        return bool(np.isfinite(means).all())

    return run


def prepare_dapper(index: int, cell: Cell, cycles: int, trajectories: Sequence[int]) -> Callable[[], bool]:
    """DAPPER on the process's own one of `trajectories`."""
    return dapper_run(cell, cycles, trajectories[index])


def prepare_survey(index: int, cell: Cell, cycles: int) -> Callable[[], int]:
    """A search, from trajectory `index` on, for one on which DAPPER does not diverge: that would end its run early.

    The run raises `FloatingPointError` if there is none.
    """

    def run() -> int:
        for trajectory in (np.arange(TRAJECTORIES) + index) % TRAJECTORIES:
            if dapper_run(cell, cycles, int(trajectory))():
                return int(trajectory)
        raise FloatingPointError(
            f"DAPPER diverges on every trajectory of {cell.experiment} with {cell.method}, N = {cell.members} and "
            f"{cell.setting} within {cycles} cycles: time fewer cycles (--seconds)"
        )

    return run


def prepare_batched(index: int, cell: Cell, cycles: int) -> Callable[[], float]:
    """The batched engine on all trajectories and `cell.settings` times the same setting. The run returns the seconds of
    `cycles` cycles, after a first one that does not count: it is cheaper for a smoother, whose window is not full.

    What diverges is put back to its first ensemble and goes on, so that its cycles cost the same.
    """
    split = tuning_split(cell.experiment, cell.stored)
    first, observations, truth = load_trial(split, SIGMA_Y, cell.members, torch.float64, None, cycles + 1)
    experiment = load_experiment(cell.experiment, torch.float32)
    inflation, radius = cell.setting
    filter_ = make_classical(
        cell.method,
        experiment,
        SIGMA_Y,
        np.full(cell.settings, inflation),
        None if radius is None else np.full(cell.settings, radius),
    )
    draw = noise_source(
        SEED + index, cell.method, cell.members, (len(first), cell.members, experiment.observation_size)
    )

    def run() -> float:
        ends: list[float] = []
        with torch.no_grad():
            run_filter(
                filter_,
                experiment,
                first.expand(cell.settings, *first.shape),
                observations,
                truth,
                draw,
                on_cycle=lambda *_: ends.append(now()),
            )
        return ends[-1] - ends[0]

    return run


def dapper_seconds(team: Team, cell: Cell, cycles: int, trajectories: Sequence[int]) -> float:
    """Wall seconds of a run of DAPPER in every process, process i on `trajectories[i]`.

    Raises `FloatingPointError` if one of them diverged: that ends its run early.
    """
    elapsed, finite = team.time(prepare_dapper, cell, cycles, trajectories)
    if not all(finite):
        raise FloatingPointError(f"a run of DAPPER diverged on {cell} that did not before")
    return elapsed


def batched_seconds(team: Team, cell: Cell, cycles: int) -> float:
    """Wall seconds of `cycles` cycles of the batched engine in every process."""
    return max(team.time(prepare_batched, cell, cycles)[1])


def time_cells(team: Team, cells: Sequence[Cell], repeats: int, seconds: float) -> pd.DataFrame:
    """A row for each cell, medians over `repeats` timings of about `seconds` each. Columns: see `DEFINITIONS`."""
    return pd.DataFrame(_rows(team, cells, repeats, seconds))


def _rows(team: Team, cells: Sequence[Cell], repeats: int, seconds: float) -> Iterator[dict[str, str | float]]:
    for cell in tqdm(cells, desc="baselines", unit="cell"):
        # DAPPER's first survey and the first run of the batched engine warm up: imports, caches, data.
        _, trajectories = team.time(prepare_survey, cell, DAPPER_PROBE)
        each = dapper_seconds(team, cell, DAPPER_PROBE, trajectories) / DAPPER_PROBE
        dapper_cycles = cycles_for(seconds, each, CYCLES, DAPPER_PROBE)
        _, trajectories = team.time(prepare_survey, cell, dapper_cycles)
        batched_seconds(team, cell, BATCHED_PROBE)
        each = batched_seconds(team, cell, BATCHED_PROBE) / BATCHED_PROBE
        batched_cycles = cycles_for(seconds, each, CYCLES, BATCHED_PROBE)
        theirs, ours = [], []
        for _ in range(repeats):
            elapsed = dapper_seconds(team, cell, dapper_cycles, trajectories)
            theirs.append(elapsed / (team.processes * dapper_cycles))
            elapsed = batched_seconds(team, cell, batched_cycles)
            ours.append(elapsed / (team.processes * TRAJECTORIES * cell.settings * batched_cycles))
        yield {
            "experiment": cell.experiment,
            "method": cell.method,
            "ensemble_size": cell.members,
            "dapper_seconds_per_cycle": median(theirs),
            "batched_seconds_per_cycle": median(ours),
            "ratio": median(theirs) / median(ours),
            "repeats": repeats,
            "dapper_cycles": dapper_cycles,
            "batched_cycles": batched_cycles,
            "batch_trajectories": TRAJECTORIES,
            "batch_settings": cell.settings,
            "inflation": cell.setting[0],
            "localization_radius": math.nan if cell.setting[1] is None else cell.setting[1],
        }


def main(arguments: Sequence[str] | None = None) -> None:
    """Time what the command line asks for, write the table and print it."""
    parser = base_parser((__doc__ or "").partition("\n")[0], list(shipped_experiments("paper")))
    parser.add_argument("--methods", nargs="+", default=list(DAPPER_METHODS), help="classical filters")
    parser.add_argument("--sizes", nargs="+", type=positive, default=list(SIZES), help="ensemble sizes N")
    parser.add_argument("--seconds", type=float, default=1.0, help="how long one timing should last")
    options = parser.parse_args(arguments)
    try:
        cells = choose_cells(options.experiments, options.methods, options.sizes)
    except ValueError as error:
        parser.error(str(error))
    with Team(options.cores) as team:
        table = time_cells(team, cells, options.repeats, options.seconds)
    write_report(table, provenance(options, DEFINITIONS), options.out, "baselines")


if __name__ == "__main__":
    main()
