"""Figure C.13: distance from the exact filter on the linear-Gaussian system."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mnmef.io.files import read_dataset
from mnmef.io.logs import job
from mnmef.report.figures.linear import figure_linear
from mnmef.report.figures.style import save_figure

if TYPE_CHECKING:
    from snakemake.script import snakemake


def figure_c13(*, runs: Sequence[Path], ensemble_size: int, svg: Path, png: Path) -> None:
    """Draw all `runs`."""
    found = [read_dataset(path, kind="linear_gaussian") for path in runs]
    save_figure(figure_linear(found, ensemble_size), svg, png)


if __name__ == "__main__":
    with job(snakemake):
        figure_c13(
            runs=[Path(path) for path in snakemake.input.runs],
            ensemble_size=snakemake.params.ensemble_size,
            svg=Path(snakemake.output.svg),
            png=Path(snakemake.output.png),
        )
