"""Gather the searches of the published grids into one table, and count their verdicts."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mnmef.io.files import write_table
from mnmef.io.logs import job
from mnmef.studies.published_baselines import count_verdicts, gather_searches

if TYPE_CHECKING:
    from snakemake.script import snakemake


def gather_published_baselines(*, searches: Sequence[Path], table: Path, summary: Path) -> None:
    """Write all cells to `table` and the number of each verdict to `summary`, which is printed as well."""
    found = gather_searches(searches)
    counts = count_verdicts(found)
    print(counts.round(1).to_string(index=False))
    write_table(found, table)
    write_table(counts, summary)


if __name__ == "__main__":
    with job(snakemake):
        gather_published_baselines(
            searches=[Path(path) for path in snakemake.input.searches],
            table=Path(snakemake.output.table),
            summary=Path(snakemake.output.summary),
        )
