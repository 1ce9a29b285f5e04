"""Table 5: parameters of the learned filters, all and those that fine-tuning changes."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from mnmef.io.files import write_table
from mnmef.io.logs import job_log
from mnmef.report.costs import PARAMETER_NOTES, parameter_page, parameter_table
from mnmef.report.tables import write_markdown

if TYPE_CHECKING:
    from snakemake.script import snakemake


def table_5(*, weights: Path, published: Path, table: Path, page: Path) -> None:
    """Write table 5 of the checkpoints listed in `weights` as CSV to `table` and as Markdown to `page`."""
    counts = parameter_table(pd.read_csv(weights), pd.read_csv(published))
    write_table(counts, table)
    title = "Table 5: parameters of the learned filters; published in brackets"
    write_markdown(parameter_page(counts), page, title=title, notes=PARAMETER_NOTES)


if __name__ == "__main__":
    with job_log(snakemake.log[0], snakemake.threads):
        table_5(
            weights=Path(snakemake.input.weights),
            published=Path(snakemake.input.published),
            table=Path(snakemake.output.table),
            page=Path(snakemake.output.page),
        )
