"""Write observations of the test split at one noise level, without the truths."""

from pathlib import Path
from typing import TYPE_CHECKING

from mnmef.data.observations import without_truths
from mnmef.io.files import provenance, read_dataset, write_dataset
from mnmef.io.logs import job

if TYPE_CHECKING:
    from snakemake.script import snakemake


def write_observations(*, dataset: Path, experiment: str, sigma_y: float, seed: int, observations: Path) -> None:
    """Write the observations and first ensembles of `dataset` to `observations`."""
    split = read_dataset(dataset, kind="data", experiment=experiment, split="test")
    write_dataset(without_truths(split, sigma_y), observations, provenance=provenance("observations", {}, seed))


if __name__ == "__main__":
    with job(snakemake):
        write_observations(
            dataset=Path(snakemake.input.dataset),
            experiment=snakemake.wildcards.experiment,
            sigma_y=float(snakemake.wildcards.sigma_y),
            seed=snakemake.params.seed,
            observations=Path(snakemake.output.observations),
        )
