"""Figures 3 and 6: an observed and an unobserved component with mean and 95 % band, MNMEF beside a classical filter."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mnmef.io.files import read_dataset
from mnmef.io.logs import job
from mnmef.report.figures.panels import figure_components
from mnmef.report.figures.style import save_figure

if TYPE_CHECKING:
    from snakemake.script import snakemake


def plot_components(
    *, dataset: Path, evaluations: Sequence[Path], methods: Sequence[str], svg: Path, png: Path
) -> None:
    """Draw two components over the last cycles of the traced trajectory."""
    found = {m: read_dataset(p, kind="evaluation", method=m) for m, p in zip(methods, evaluations, strict=True)}
    sigma_y = float(next(iter(found.values())).attrs["sigma_y"])
    save_figure(figure_components(read_dataset(dataset, kind="data", split="test"), found, sigma_y), svg, png)


if __name__ == "__main__":
    with job(snakemake):
        plot_components(
            dataset=Path(snakemake.input.dataset),
            evaluations=[Path(snakemake.input.learned), Path(snakemake.input.benchmark)],
            **snakemake.params.settings,
            svg=Path(snakemake.output.svg),
            png=Path(snakemake.output.png),
        )
