"""Table 6: time of pretraining and of fine-tuning, and their ratio."""

from pathlib import Path
from typing import TYPE_CHECKING

from mnmef.io.files import read_table, write_table, write_text
from mnmef.io.logs import job
from mnmef.report.tables import table_page, time_page, time_table

if TYPE_CHECKING:
    from snakemake.script import snakemake


def table_6(*, weights: Path, published: Path, table: Path, page: Path) -> None:
    """Write table 6 of the checkpoints listed in `weights` as CSV to `table` and as Markdown to `page`."""
    times = time_table(read_table(weights), read_table(published))
    write_table(times, table)
    write_text(table_page("table_6", time_page(times)), page)


if __name__ == "__main__":
    with job(snakemake):
        table_6(
            weights=Path(snakemake.input.weights),
            published=Path(snakemake.input.published),
            table=Path(snakemake.output.table),
            page=Path(snakemake.output.page),
        )
