"""Table 4: standard deviation of R-RMSE over test trajectories, averaged over ensemble sizes."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from mnmef.data.published import load_searches
from mnmef.io.files import write_table
from mnmef.io.logs import job_log
from mnmef.report.tables import DEVIATION_NOTES, deviation_page, deviation_table, write_markdown

if TYPE_CHECKING:
    from snakemake.script import snakemake


def table_4(*, scores: Path, searches: Path, table: Path, page: Path) -> None:
    """Write table 4 of the `scores` beside the released tables as CSV to `table` and as Markdown to `page`."""
    deviations = deviation_table(pd.read_csv(scores), load_searches(searches))
    write_table(deviations, table)
    title = "Table 4: standard deviation of R-RMSE over test trajectories, mean over N; published in brackets"
    write_markdown(deviation_page(deviations), page, title=title, notes=DEVIATION_NOTES)


if __name__ == "__main__":
    with job_log(snakemake.log[0], snakemake.threads):
        table_4(
            scores=Path(snakemake.input.scores),
            searches=Path(snakemake.input.searches),
            table=Path(snakemake.output.table),
            page=Path(snakemake.output.page),
        )
