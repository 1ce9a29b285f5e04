"""Figure 8: wall seconds of a cycle against ensemble size."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from mnmef.io.files import read_table, write_table
from mnmef.io.logs import job
from mnmef.report.figures.style import save_figure
from mnmef.report.figures.timing import figure_timing, timing_summary

if TYPE_CHECKING:
    from snakemake.script import snakemake


def figure_8(*, runs: Sequence[Path], published: Path, table: Path, svg: Path, png: Path) -> None:
    """Write medians and ranges of the timings `runs` to `table` and the figure to `svg` and `png`.

    Raises `ValueError` if there are no runs.
    """
    if not runs:
        raise ValueError("the config runs no timings of filters: that needs lorenz96 or ks among experiments")
    summary = timing_summary(pd.concat([read_table(path) for path in runs], ignore_index=True))
    write_table(summary, table)
    save_figure(figure_timing(summary, read_table(published)), svg, png)


if __name__ == "__main__":
    with job(snakemake):
        figure_8(
            runs=[Path(path) for path in snakemake.input.runs],
            published=Path(snakemake.input.published),
            table=Path(snakemake.output.table),
            svg=Path(snakemake.output.svg),
            png=Path(snakemake.output.png),
        )
