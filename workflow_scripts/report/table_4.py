"""Table 4: standard deviation of R-RMSE over test trajectories, averaged over ensemble sizes."""

from pathlib import Path
from typing import TYPE_CHECKING

from mnmef.data.published import load_searches
from mnmef.io.files import read_table, write_table, write_text
from mnmef.io.logs import job
from mnmef.report.tables import deviation_page, deviation_table, table_page

if TYPE_CHECKING:
    from snakemake.script import snakemake


def table_4(*, scores: Path, searches: Path, table: Path, page: Path) -> None:
    """Write table 4 of the `scores` beside the released tables as CSV to `table` and as Markdown to `page`."""
    deviations = deviation_table(read_table(scores), load_searches(searches))
    write_table(deviations, table)
    write_text(table_page("table_4", deviation_page(deviations)), page)


if __name__ == "__main__":
    with job(snakemake):
        table_4(
            scores=Path(snakemake.input.scores),
            searches=Path(snakemake.input.searches),
            table=Path(snakemake.output.table),
            page=Path(snakemake.output.page),
        )
