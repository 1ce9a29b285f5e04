"""List the checkpoints of a run: parameters, training time, hardware."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mnmef.io.files import write_table
from mnmef.io.logs import job
from mnmef.learning.inventory import list_checkpoints

if TYPE_CHECKING:
    from snakemake.script import snakemake


def list_weights(*, weights: Sequence[Path], table: Path) -> None:
    """Write a row for each checkpoint among `weights` to `table`."""
    write_table(list_checkpoints(weights), table)


if __name__ == "__main__":
    with job(snakemake):
        list_weights(
            weights=[Path(path) for path in snakemake.input.weights],
            table=Path(snakemake.output.table),
        )
