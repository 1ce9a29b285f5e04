"""Figures 2 and 5: truth, observations, analysis mean, absolute error and spread, MNMEF beside LETKF."""

from pathlib import Path
from typing import TYPE_CHECKING

from mnmef.io.files import read_dataset
from mnmef.io.logs import job_log
from mnmef.report.figures.panels import figure_fields
from mnmef.report.figures.style import save_figure

if TYPE_CHECKING:
    from snakemake.script import snakemake


def plot_fields(*, dataset: Path, learned: Path, letkf: Path, sigma_y: float, svg: Path, png: Path) -> None:
    """Draw the last cycles of the traced trajectory in space and time."""
    paths = {"mnmef_pretrained": learned, "letkf": letkf}
    evaluations = {method: read_dataset(path, kind="evaluation", method=method) for method, path in paths.items()}
    save_figure(figure_fields(read_dataset(dataset, kind="data", split="test"), evaluations, sigma_y), svg, png)


if __name__ == "__main__":
    with job_log(snakemake.log[0], snakemake.threads):
        plot_fields(
            dataset=Path(snakemake.input.dataset),
            learned=Path(snakemake.input.learned),
            letkf=Path(snakemake.input.letkf),
            sigma_y=snakemake.params.sigma_y,
            svg=Path(snakemake.output.svg),
            png=Path(snakemake.output.png),
        )
