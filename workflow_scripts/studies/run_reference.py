"""Choose and score the best classical filter with a very large ensemble."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnmef.io.files import read_dataset, write_table
from mnmef.io.logs import job_log
from mnmef.studies.reference import run_reference as run

if TYPE_CHECKING:
    from snakemake.script import snakemake


def run_reference(
    *, tune: Path, test: Path, system: str, sigma_y: float, plan: Mapping[str, Any], seed: int, grid: Path, best: Path
) -> None:
    """Write the scores of all settings on the tuning split to `grid`, those of the best on the test split to `best`."""
    tuning = read_dataset(tune, kind="data", system=system, split="tune")
    testing = read_dataset(test, kind="data", system=system, split="test")
    scores, result = run(tuning, testing, sigma_y, plan, seed=seed)
    write_table(scores, grid)
    write_table(result, best)


if __name__ == "__main__":
    with job_log(snakemake.log[0], snakemake.threads):
        run_reference(
            tune=Path(snakemake.input.tune),
            test=Path(snakemake.input.test),
            system=snakemake.wildcards.system,
            sigma_y=float(snakemake.wildcards.sigma_y),
            **snakemake.params.settings,
            grid=Path(snakemake.output.grid),
            best=Path(snakemake.output.best),
        )
