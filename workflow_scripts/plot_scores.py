"""Figures 1, 4 and 7: R-RMSE and relative improvement of one system against ensemble size."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from mnmef.logs import job_log
from mnmef.plotting.curves import figure_curves
from mnmef.plotting.style import save_figure
from mnmef.published import load_curves

if TYPE_CHECKING:
    from snakemake.script import snakemake


def plot_scores(*, scores: Path, published: Path, system: str, svg: Path, png: Path) -> None:
    """Draw the table `scores` beside the published curves."""
    save_figure(figure_curves(pd.read_csv(scores), load_curves(published), system), svg, png)


if __name__ == "__main__":
    with job_log(snakemake.log[0], snakemake.threads):
        plot_scores(
            scores=Path(snakemake.input.scores),
            published=Path(snakemake.input.published),
            system=snakemake.params.system,
            svg=Path(snakemake.output.svg),
            png=Path(snakemake.output.png),
        )
