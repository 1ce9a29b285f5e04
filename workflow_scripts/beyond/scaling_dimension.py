"""Gather the runs on longer grids into a table and draw it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from mnmef.io.files import read_table, write_table
from mnmef.io.logs import job
from mnmef.report.figures.scaling import figure_scaling, growth
from mnmef.report.figures.style import save_figure

if TYPE_CHECKING:
    from snakemake.script import snakemake


def scaling_dimension(*, runs: Sequence[Path], table: Path, svg: Path, png: Path) -> None:
    """Write all rows to `table` and the figure to `svg` and `png`. Raises `ValueError` if there are no runs."""
    if not runs:
        raise ValueError(
            "the config runs no filter on longer grids: that needs scaling.experiment, on a periodic line, among "
            "experiments and scaling.sigma_y among noise_levels"
        )
    found = pd.concat([read_table(path) for path in runs], ignore_index=True)
    found = found.sort_values(["engine", "state_size"], ignore_index=True)
    print(found.to_string(index=False))
    print("Factor by which seconds per variable grow from the second grid to the largest; 1 is linear:")
    print(growth(found, "seconds_per_cycle").round(2).to_string())
    write_table(found, table)
    save_figure(figure_scaling(found), svg, png)


if __name__ == "__main__":
    with job(snakemake):
        scaling_dimension(
            runs=[Path(path) for path in snakemake.input.runs],
            table=Path(snakemake.output.table),
            svg=Path(snakemake.output.svg),
            png=Path(snakemake.output.png),
        )
