"""Gather the references of all experiments and noise levels into one table."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from mnmef.io.files import read_table, write_table, write_text
from mnmef.io.logs import job
from mnmef.report.tables import table_page

if TYPE_CHECKING:
    from snakemake.script import snakemake


def tabulate_reference(*, runs: Sequence[Path], table: Path, page: Path) -> None:
    """Write all rows as CSV and for readers."""
    found = pd.concat([read_table(path) for path in runs], ignore_index=True)
    write_table(found, table)
    write_text(table_page("reference", found), page)


if __name__ == "__main__":
    with job(snakemake):
        tabulate_reference(
            runs=[Path(path) for path in snakemake.input.runs],
            table=Path(snakemake.output.table),
            page=Path(snakemake.output.page),
        )
