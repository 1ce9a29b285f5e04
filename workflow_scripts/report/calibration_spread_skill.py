"""Spread against error and coverage of all filters."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mnmef.io.files import read_dataset, read_table
from mnmef.io.logs import job
from mnmef.report.figures.calibration import figure_spread_skill
from mnmef.report.figures.style import save_figure

if TYPE_CHECKING:
    from snakemake.script import snakemake


def calibration_spread_skill(*, scores: Path, evaluations: Sequence[Path], members: int, svg: Path, png: Path) -> None:
    """Draw the table `scores`, and the cycles of `evaluations` at N = `members`."""
    runs = [read_dataset(path, kind="evaluation") for path in evaluations]
    save_figure(figure_spread_skill(read_table(scores), runs, members), svg, png)


if __name__ == "__main__":
    with job(snakemake):
        calibration_spread_skill(
            scores=Path(snakemake.input.scores),
            evaluations=[Path(path) for path in snakemake.input.evaluations],
            members=snakemake.params.members,
            svg=Path(snakemake.output.svg),
            png=Path(snakemake.output.png),
        )
