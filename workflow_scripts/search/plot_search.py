"""Figure C.12 and its likes: the scores of one search for inflation and localization radius."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from mnmef.data.published import load_searches
from mnmef.io.logs import job
from mnmef.report.figures.heatmaps import figure_search
from mnmef.report.figures.style import save_figure

if TYPE_CHECKING:
    from snakemake.script import snakemake


def plot_search(*, grid: Path, best: Path, published: Path, svg: Path, png: Path) -> None:
    """Draw the scores `grid` of a search, with its choice `best` and the published one."""
    save_figure(figure_search(pd.read_csv(grid), pd.read_csv(best), load_searches(published)), svg, png)


if __name__ == "__main__":
    with job(snakemake):
        plot_search(
            grid=Path(snakemake.input.grid),
            best=Path(snakemake.input.best),
            published=Path(snakemake.input.published),
            svg=Path(snakemake.output.svg),
            png=Path(snakemake.output.png),
        )
