"""Gather the references of all experiments and noise levels into one table."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from mnmef.io.files import write_table
from mnmef.io.logs import job_log
from mnmef.report.tables import write_markdown

if TYPE_CHECKING:
    from snakemake.script import snakemake

NOTES = (
    """The filter, its inflation and its localization radius (grid points) are the best of a grid on the tuning split;
    R-RMSE is of the test split, without burn-in.""",
)


def tabulate_reference(*, runs: Sequence[Path], table: Path, page: Path) -> None:
    """Write all rows as CSV and for readers."""
    found = pd.concat([pd.read_csv(path) for path in runs], ignore_index=True)
    write_table(found, table)
    write_markdown(found, page, title="The best classical filter with a very large ensemble", notes=NOTES)


if __name__ == "__main__":
    with job_log(snakemake.log[0], snakemake.threads):
        tabulate_reference(
            runs=[Path(path) for path in snakemake.input.runs],
            table=Path(snakemake.output.table),
            page=Path(snakemake.output.page),
        )
