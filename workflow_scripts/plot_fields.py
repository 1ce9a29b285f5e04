"""Draw truth, observations, mean, error and spread in space and time (figures 2 and 5)."""

from pathlib import Path
from typing import TYPE_CHECKING

from mnmef.io import read_dataset
from mnmef.logs import job_log
from mnmef.plotting.panels import figure_fields
from mnmef.plotting.style import save_figure

if TYPE_CHECKING:
    from snakemake.script import snakemake


def plot_fields(*, dataset: Path, learned: Path, letkf: Path, sigma_y: float, svg: Path, png: Path) -> None:
    """Draw the traced trajectory of the learned filter and of the LETKF and write both formats."""
    split = read_dataset(dataset, kind="data", split="test")
    system = split.attrs["system"]
    runs = [read_dataset(path, kind="evaluation", system=system, sigma_y=str(sigma_y)) for path in (learned, letkf)]
    save_figure(figure_fields(split, {run.attrs["method"]: run for run in runs}, sigma_y), svg, png)


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
