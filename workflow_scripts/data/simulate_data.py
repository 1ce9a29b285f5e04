"""Simulate one split of one system."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnmef.data.twin import simulate_split, simulate_training
from mnmef.io.files import provenance, write_dataset
from mnmef.io.logs import job_log

if TYPE_CHECKING:
    from snakemake.script import snakemake


def simulate_data(*, system: str, split: str, settings: Mapping[str, Any], seed: int, dataset: Path) -> None:
    """Write a split to `dataset`: truths, and unless it is for training, observations and first ensembles."""
    if split == "train":
        cycles = settings["window_cycles"] + settings["offset_cycles"]
        data = simulate_training(system, settings["windows"], cycles, seed)
    else:
        data = simulate_split(system, split, **settings, seed=seed)
    write_dataset(data, dataset, provenance=provenance("data", settings, seed))


if __name__ == "__main__":
    with job_log(snakemake.log[0], snakemake.threads):
        simulate_data(
            system=snakemake.wildcards.system,
            split=snakemake.wildcards.split,
            settings=snakemake.params.settings,
            seed=snakemake.params.seed,
            dataset=Path(snakemake.output.dataset),
        )
