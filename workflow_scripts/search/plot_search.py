"""Figure C.12 and its likes: the scores of one search for inflation and localization radius."""

from pathlib import Path
from typing import TYPE_CHECKING

from mnmef.data.published import load_searches
from mnmef.io.files import read_table
from mnmef.io.logs import job
from mnmef.report.figures.heatmaps import figure_search
from mnmef.report.figures.style import save_figure

if TYPE_CHECKING:
    from snakemake.script import snakemake


def plot_search(*, grid: Path, best: Path, published: Path, svg: Path, png: Path) -> None:
    """Draw the scores `grid` of a search, with its choice `best` and the published one."""
    save_figure(figure_search(read_table(grid), read_table(best), load_searches(published)), svg, png)


if __name__ == "__main__":
    with job(snakemake):
        plot_search(
            grid=Path(snakemake.input.grid),
            best=Path(snakemake.input.best),
            published=Path(snakemake.input.published),
            svg=Path(snakemake.output.svg),
            png=Path(snakemake.output.png),
        )
