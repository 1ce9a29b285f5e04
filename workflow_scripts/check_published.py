"""Run one classical filter at its published settings under the published protocol."""

from pathlib import Path
from typing import TYPE_CHECKING

from mnmef.grids import load_grids, published_winners
from mnmef.io import write_table
from mnmef.logs import job_log
from mnmef.published_check import check_published

if TYPE_CHECKING:
    from snakemake.script import snakemake


def check_published_cells(
    *, grids: Path, winners: Path, system: str, sigma_y: float, method: str, seed: int, table: Path
) -> None:
    """Write our scores beside the published ones, one row per ensemble size."""
    cells = published_winners(winners)
    cells = cells[(cells["system"] == system) & (cells["sigma_y"] == sigma_y) & (cells["method"] == method)]
    write_table(check_published(cells, load_grids(grids), seed=seed), table)


if __name__ == "__main__":
    with job_log(snakemake.log[0], snakemake.threads):
        check_published_cells(
            grids=Path(snakemake.input.grids),
            winners=Path(snakemake.input.winners),
            system=snakemake.wildcards.system,
            sigma_y=float(snakemake.wildcards.sigma_y),
            method=snakemake.wildcards.method,
            **snakemake.params.settings,
            table=Path(snakemake.output.table),
        )
