"""Run LETKF, as tuned on forty variables, on a longer Lorenz '96: the batched one, or DAPPER's for its time."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch

from mnmef.filters.classical import make_classical
from mnmef.io.files import write_table
from mnmef.io.logs import job_log
from mnmef.studies.scaling import Plan, measure
from mnmef.studies.scaling_dapper import time_dapper

if TYPE_CHECKING:
    from snakemake.script import snakemake


def scale_baseline(
    *, best: Path, engine: str, state_size: int, sigma_y: float, plan: Mapping[str, Any], seed: int, table: Path
) -> None:
    """Write error, time and memory of `engine`, "letkf" or "dapper", on `state_size` variables to `table`."""
    sizes = Plan(**plan)
    tuned = pd.read_csv(best).set_index("ensemble_size").loc[sizes.ensemble_size]
    setting = {name: float(tuned[name]) for name in ("inflation", "localization_radius")}
    if engine == "dapper":
        found = time_dapper(state_size, sigma_y, sizes, seed=seed, **setting)
    else:
        found = measure(
            lambda system: make_classical("letkf", system, sigma_y, **setting),
            engine,
            state_size,
            sigma_y,
            sizes,
            seed=seed,
            dtype=torch.float64,
        )
    write_table(found, table)


if __name__ == "__main__":
    with job_log(snakemake.log[0], snakemake.threads):
        scale_baseline(
            best=Path(snakemake.input.best),
            engine=snakemake.wildcards.engine,
            state_size=int(snakemake.wildcards.state_size),
            **snakemake.params.settings,
            table=Path(snakemake.output.table),
        )
