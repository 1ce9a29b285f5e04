"""Run LETKF, as searched on forty variables, on a longer Lorenz '96: the batched one, or DAPPER's for its time."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from mnmef.experiments.experiment import Experiment
from mnmef.filters.classical import Setting, make_classical
from mnmef.io.files import read_table, write_table
from mnmef.io.logs import job
from mnmef.studies.runs import Candidate
from mnmef.studies.scaling import GridPlan, longer, measure
from mnmef.studies.timing_study import time_dapper_on_grid

if TYPE_CHECKING:
    from snakemake.script import snakemake


def scale_baseline(
    *,
    best: Path,
    engine: str,
    description: Mapping[str, Any],
    state_size: int,
    sigma_y: float,
    plan: Mapping[str, Any],
    seed: int,
    table: Path,
) -> None:
    """Write error, time and memory of `engine`, "letkf" or "dapper", on `state_size` variables to `table`."""
    sizes, grid = GridPlan(**plan), longer(Experiment.from_description(description), state_size)
    searched = read_table(best).set_index("ensemble_size").loc[sizes.ensemble_size]
    setting = Setting.of(searched)
    if engine == "dapper":
        found = time_dapper_on_grid(grid, sigma_y, sizes, setting, seed=seed)
    else:
        letkf = Candidate(
            engine, lambda experiment: make_classical("letkf", experiment, sigma_y, *setting), torch.float64
        )
        found = measure(letkf, grid, sigma_y, sizes, seed=seed)
    write_table(found, table)


if __name__ == "__main__":
    with job(snakemake):
        scale_baseline(
            best=Path(snakemake.input.best),
            engine=snakemake.wildcards.engine,
            state_size=int(snakemake.wildcards.state_size),
            description=snakemake.params.description,
            **snakemake.params.settings,
            table=Path(snakemake.output.table),
        )
