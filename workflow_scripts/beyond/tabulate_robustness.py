"""Gather the runs of all filters in all conditions into the robustness table."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from mnmef.io.files import read_table, write_table, write_text
from mnmef.io.logs import job
from mnmef.report.robustness_table import robustness_page, summarize_robustness

if TYPE_CHECKING:
    from snakemake.script import snakemake


def tabulate_robustness(*, runs: Sequence[Path], design: Mapping[str, Any], table: Path, page: Path) -> None:
    """Write the table as CSV and for readers. Raises `ValueError` if there are no runs."""
    if not runs:
        raise ValueError(
            "the config runs no filter of the robustness table: it needs the noise level robustness.sigma_y among "
            "noise_levels, robustness.ensemble_size among ensemble_sizes, and an experiment with a grid"
        )
    summary = summarize_robustness(pd.concat([read_table(path) for path in runs], ignore_index=True))
    write_table(summary, table)
    write_text(robustness_page(summary, design), page)


if __name__ == "__main__":
    with job(snakemake):
        tabulate_robustness(
            runs=[Path(path) for path in snakemake.input.runs],
            design=snakemake.params.design,
            table=Path(snakemake.output.table),
            page=Path(snakemake.output.page),
        )
