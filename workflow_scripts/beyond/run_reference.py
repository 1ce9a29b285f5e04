"""Choose and score the best classical filter with a very large ensemble."""

from pathlib import Path
from typing import TYPE_CHECKING

from mnmef.io.files import read_dataset, write_table
from mnmef.io.logs import job
from mnmef.studies.reference import ReferencePlan
from mnmef.studies.reference import run_reference as run

if TYPE_CHECKING:
    from snakemake.script import snakemake


def run_reference(
    *,
    tune: Path,
    test: Path,
    experiment: str,
    sigma_y: float,
    plan: ReferencePlan,
    seed: int,
    grid: Path,
    best: Path,
) -> None:
    """Write the scores of all settings on the tuning split to `grid`, those of the best on the test split to `best`."""
    tuning = read_dataset(tune, kind="data", experiment=experiment, split="tune")
    testing = read_dataset(test, kind="data", experiment=experiment, split="test")
    scores, result = run(tuning, testing, sigma_y, plan, seed=seed)
    write_table(scores, grid)
    write_table(result, best)


if __name__ == "__main__":
    with job(snakemake):
        run_reference(
            tune=Path(snakemake.input.tune),
            test=Path(snakemake.input.test),
            experiment=snakemake.wildcards.experiment,
            sigma_y=float(snakemake.wildcards.sigma_y),
            plan=ReferencePlan(**snakemake.params.settings["plan"]),
            seed=snakemake.params.settings["seed"],
            grid=Path(snakemake.output.grid),
            best=Path(snakemake.output.best),
        )
