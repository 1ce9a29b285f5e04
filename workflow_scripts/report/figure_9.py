"""Figure 9: R-RMSE on KS with and without the learned inflation."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mnmef.io.files import read_table, write_table
from mnmef.io.logs import job
from mnmef.report.figures.curves import figure_inflation
from mnmef.report.figures.style import save_figure
from mnmef.scores.scoring import ABLATION_KEYS, inflation_scores, summarize

if TYPE_CHECKING:
    from snakemake.script import snakemake


def figure_9(*, runs: Sequence[Path], published: Path, seed: int, table: Path, svg: Path, png: Path) -> None:
    """Write R-RMSE of every trajectory of the evaluations `runs` to `table` and the figure to `svg` and `png`.

    Raises `ValueError` if there are no runs.
    """
    if not runs:
        raise ValueError(
            "the config runs no evaluations to compare: that needs ks among experiments and mnmef among learned"
        )
    scores = inflation_scores(runs)
    write_table(scores, table)
    save_figure(figure_inflation(summarize(scores, ABLATION_KEYS, seed), read_table(published)), svg, png)


if __name__ == "__main__":
    with job(snakemake):
        figure_9(
            runs=[Path(path) for path in snakemake.input.runs],
            published=Path(snakemake.input.published),
            seed=snakemake.params.seed,
            table=Path(snakemake.output.table),
            svg=Path(snakemake.output.svg),
            png=Path(snakemake.output.png),
        )
