"""Gather the scores of all experiments that have expected ones into one table."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mnmef.io.files import read_table, write_table, write_text
from mnmef.io.logs import job
from mnmef.report.tables import markdown_table
from mnmef.scores.canonical import gather_canonical

if TYPE_CHECKING:
    from snakemake.script import snakemake


def tabulate_canonical(*, runs: Sequence[Path], table: Path, page: Path) -> None:
    """Write all rows as CSV and for readers."""
    found, shown, notes = gather_canonical([read_table(path) for path in runs])
    write_table(found, table)
    write_text(markdown_table(shown, title="Scores that the field knows", notes=notes), page)


if __name__ == "__main__":
    with job(snakemake):
        tabulate_canonical(
            runs=[Path(path) for path in snakemake.input.runs],
            table=Path(snakemake.output.table),
            page=Path(snakemake.output.page),
        )
