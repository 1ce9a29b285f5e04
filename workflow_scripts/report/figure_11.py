"""Gather the curves of figure 11 into a table and draw them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from mnmef.io.files import read_table, write_table
from mnmef.io.logs import job
from mnmef.report.figures.curves import figure_tuning_curves
from mnmef.report.figures.style import save_figure

if TYPE_CHECKING:
    from snakemake.script import snakemake


def figure_11(
    *, curves: Sequence[Path], published: Path, cycles: int, seed: int, table: Path, svg: Path, png: Path
) -> None:
    """Write all rows to `table` and the figure to `svg` and `png`. Raises `ValueError` if there are no curves."""
    if not curves:
        raise ValueError(
            "the config runs no fine-tuning for figure 11: that needs lorenz96 among experiments, mnmef among learned "
            "and "
            "finetuning_curve.sigma_y among noise_levels"
        )
    found = pd.concat([read_table(path) for path in curves], ignore_index=True)
    write_table(found, table)
    save_figure(figure_tuning_curves(found, read_table(published), cycles, seed), svg, png)


if __name__ == "__main__":
    with job(snakemake):
        figure_11(
            curves=[Path(path) for path in snakemake.input.curves],
            published=Path(snakemake.input.published),
            **snakemake.params.settings,
            table=Path(snakemake.output.table),
            svg=Path(snakemake.output.svg),
            png=Path(snakemake.output.png),
        )
