"""Run the filters with expected scores on one experiment."""

from pathlib import Path
from typing import TYPE_CHECKING

from mnmef.io.files import write_table
from mnmef.io.logs import job
from mnmef.studies.canonical import run_canonical as run

if TYPE_CHECKING:
    from snakemake.script import snakemake


def run_canonical(*, setting: str, fraction: float, seed: int, table: Path) -> None:
    """Write the scores of all rows in the experiment's file to `table`."""
    write_table(run(setting, fraction=fraction, seed=seed), table)


if __name__ == "__main__":
    with job(snakemake):
        run_canonical(
            setting=snakemake.wildcards.setting,
            fraction=snakemake.params.settings["fraction"],
            seed=snakemake.params.settings["seed"],
            table=Path(snakemake.output.table),
        )
