"""Time a cycle of every filter on one system, at every ensemble size."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnmef.io.files import read_dataset, write_table
from mnmef.io.logs import job_log
from mnmef.studies.timing import Plan
from mnmef.studies.timing_study import time_all

if TYPE_CHECKING:
    from snakemake.script import snakemake

THREADS = 1
"""Of numerical libraries. The job has all cores of the run, so that none of its jobs disturbs it, but uses one."""


def time_filters(
    *,
    dataset: Path,
    weights: Mapping[str, Path],
    winners: Path,
    sigma_y: float,
    methods: Sequence[str],
    ensemble_sizes: Sequence[int],
    plan: Mapping[str, Any],
    models: Mapping[str, Mapping[str, Any]],
    seed: int,
    table: Path,
) -> None:
    """Write every timing to `table`. weights: of each learned filter among `methods`, by name."""
    split = read_dataset(dataset, kind="data", split="test")
    found = time_all(
        split,
        sigma_y,
        methods,
        ensemble_sizes,
        Plan(**plan),
        weights=weights,
        models=models,
        winners=winners,
        threads=THREADS,
        seed=seed,
    )
    write_table(found, table)


if __name__ == "__main__":
    with job_log(snakemake.log[0], THREADS):
        time_filters(
            dataset=Path(snakemake.input.dataset),
            weights={n: Path(p) for n, p in snakemake.input.items() if n.startswith("mnmef")},
            winners=Path(snakemake.input.winners),
            **snakemake.params.settings,
            table=Path(snakemake.output.table),
        )
