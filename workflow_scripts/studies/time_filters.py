"""Time a cycle of every filter on one experiment, at every ensemble size."""

from pathlib import Path
from typing import TYPE_CHECKING

from mnmef.core.names import LEARNED_FILTERS
from mnmef.io.files import read_dataset, write_table
from mnmef.io.logs import job
from mnmef.studies.timing import TimingPlan
from mnmef.studies.timing_study import TimedFilters, time_all

if TYPE_CHECKING:
    from snakemake.script import snakemake

THREADS = 1
"""Of numerical libraries. The job has all cores of the run, so that none of its jobs disturbs it, but uses one."""


def time_filters(*, dataset: Path, filters: TimedFilters, plan: TimingPlan, seed: int, table: Path) -> None:
    """Write every timing to `table`."""
    split = read_dataset(dataset, kind="data", split="test")
    write_table(time_all(split, filters, plan, threads=THREADS, seed=seed), table)


if __name__ == "__main__":
    settings = dict(snakemake.params.settings)
    with job(snakemake, THREADS):
        time_filters(
            dataset=Path(snakemake.input.dataset),
            plan=TimingPlan(**settings.pop("plan")),
            seed=settings.pop("seed"),
            filters=TimedFilters(
                weights={n: Path(p) for n, p in snakemake.input.items() if n in LEARNED_FILTERS},
                winners=Path(snakemake.input.winners),
                **settings,
            ),
            table=Path(snakemake.output.table),
        )
