"""Figures 1, 4 and 7: R-RMSE and relative improvement of one experiment against ensemble size."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from mnmef.data.published import load_curves
from mnmef.io.files import read_table
from mnmef.io.logs import job
from mnmef.report.figures.curves import figure_curves
from mnmef.report.figures.style import save_figure

if TYPE_CHECKING:
    from snakemake.script import snakemake


def plot_curves(
    *,
    scores: Path,
    improvements: Path,
    published: Path,
    references: Sequence[Path],
    experiment: str,
    svg: Path,
    png: Path,
) -> None:
    """Draw the tables `scores` and `improvements` beside published curves and what a very large ensemble reaches."""
    tables = read_table(scores), read_table(improvements), load_curves(published)
    large = pd.concat([read_table(path) for path in references]) if references else None
    save_figure(figure_curves(*tables, experiment, large), svg, png)


if __name__ == "__main__":
    with job(snakemake):
        plot_curves(
            scores=Path(snakemake.input.scores),
            improvements=Path(snakemake.input.improvements),
            published=Path(snakemake.input.published),
            references=[Path(path) for path in snakemake.input.references],
            experiment=snakemake.params.experiment,
            svg=Path(snakemake.output.svg),
            png=Path(snakemake.output.png),
        )
