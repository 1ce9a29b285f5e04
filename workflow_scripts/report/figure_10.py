"""Figure 10: learned localization weights against distance, beside the taper of the tuned LETKF."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mnmef.io.files import read_dataset, write_table
from mnmef.io.logs import job
from mnmef.report.figures.localization import figure_localization, localization_table
from mnmef.report.figures.style import save_figure

if TYPE_CHECKING:
    from snakemake.script import snakemake


def figure_10(*, runs: Sequence[Path], table: Path, svg: Path, png: Path) -> None:
    """Write mean and deviation of the weights to `table` and the figure to `svg` and `png`.

    Raises `ValueError` if there are no runs.
    """
    if not runs:
        raise ValueError(
            "the config runs no learned localization: that needs lorenz96 among experiments, mnmef among "
            "learned, letkf among baselines.lorenz96 and model.localization true"
        )
    found = localization_table([read_dataset(path, kind="localization") for path in runs])
    write_table(found, table)
    save_figure(figure_localization(found), svg, png)


if __name__ == "__main__":
    with job(snakemake):
        figure_10(
            runs=[Path(path) for path in snakemake.input.runs],
            table=Path(snakemake.output.table),
            svg=Path(snakemake.output.svg),
            png=Path(snakemake.output.png),
        )
