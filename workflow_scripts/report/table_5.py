"""Table 5: parameters of the learned filters, all and those that fine-tuning changes."""

from pathlib import Path
from typing import TYPE_CHECKING

from mnmef.io.files import read_table, write_table, write_text
from mnmef.io.logs import job
from mnmef.report.tables import parameter_page, parameter_table, table_page

if TYPE_CHECKING:
    from snakemake.script import snakemake


def table_5(*, weights: Path, published: Path, table: Path, page: Path) -> None:
    """Write table 5 of the checkpoints listed in `weights` as CSV to `table` and as Markdown to `page`."""
    counts = parameter_table(read_table(weights), read_table(published))
    write_table(counts, table)
    write_text(table_page("table_5", parameter_page(counts)), page)


if __name__ == "__main__":
    with job(snakemake):
        table_5(
            weights=Path(snakemake.input.weights),
            published=Path(snakemake.input.published),
            table=Path(snakemake.output.table),
            page=Path(snakemake.output.page),
        )
