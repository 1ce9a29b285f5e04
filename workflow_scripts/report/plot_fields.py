"""Figures 2 and 5: truth, observations, analysis mean, absolute error and spread, MNMEF beside a classical filter."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mnmef.io.files import read_dataset
from mnmef.io.logs import job
from mnmef.report.figures.panels import figure_fields
from mnmef.report.figures.style import save_figure

if TYPE_CHECKING:
    from snakemake.script import snakemake


def plot_fields(*, dataset: Path, evaluations: Sequence[Path], methods: Sequence[str], svg: Path, png: Path) -> None:
    """Draw the last cycles of the traced trajectory in space and time."""
    found = {m: read_dataset(p, kind="evaluation", method=m) for m, p in zip(methods, evaluations, strict=True)}
    sigma_y = float(next(iter(found.values())).attrs["sigma_y"])
    save_figure(figure_fields(read_dataset(dataset, kind="data", split="test"), found, sigma_y), svg, png)


if __name__ == "__main__":
    with job(snakemake):
        plot_fields(
            dataset=Path(snakemake.input.dataset),
            evaluations=[Path(snakemake.input.learned), Path(snakemake.input.benchmark)],
            **snakemake.params.settings,
            svg=Path(snakemake.output.svg),
            png=Path(snakemake.output.png),
        )
