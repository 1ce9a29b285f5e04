"""Innovation statistics of an assimilation, as table and figure."""

from pathlib import Path
from typing import TYPE_CHECKING

from mnmef.io.files import read_dataset, write_table
from mnmef.io.logs import job
from mnmef.report.figures.innovations import figure_innovations
from mnmef.report.figures.style import save_figure
from mnmef.scores.innovations import describe_innovations, innovation_table

if TYPE_CHECKING:
    from snakemake.script import snakemake


def plot_innovations(*, run: Path, burn_in: int, table: Path, svg: Path, png: Path) -> None:
    """Write the innovation statistics of `run`, its first `burn_in` cycles left out, to `table`, and draw them."""
    result = read_dataset(run, kind="assimilation")
    statistics = innovation_table(result, burn_in)
    print(describe_innovations(statistics))
    write_table(statistics.reset_index(), table)
    save_figure(figure_innovations(result, burn_in), svg, png)


if __name__ == "__main__":
    with job(snakemake):
        plot_innovations(
            run=Path(snakemake.input.run),
            burn_in=snakemake.params.burn_in,
            table=Path(snakemake.output.table),
            svg=Path(snakemake.output.svg),
            png=Path(snakemake.output.png),
        )
