"""Simulate one split of one experiment."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnmef.data.twin import simulate_split, simulate_training
from mnmef.experiments.experiment import Experiment
from mnmef.io.files import provenance, write_dataset
from mnmef.io.logs import job

if TYPE_CHECKING:
    from snakemake.script import snakemake


def simulate_data(
    *, description: Mapping[str, Any], split: str, settings: Mapping[str, Any], seed: int, dataset: Path
) -> None:
    """Write a split to `dataset`: truths, and for tuning and tests observations and first ensembles."""
    experiment = Experiment.from_description(description)
    if split == "train":
        cycles = settings["window_cycles"] + settings["offset_cycles"]
        data = simulate_training(experiment, settings["windows"], cycles, seed)
    else:
        data = simulate_split(experiment, split, **settings, seed=seed)
    write_dataset(data, dataset, provenance=provenance("data", settings, seed))


if __name__ == "__main__":
    with job(snakemake):
        simulate_data(
            description=snakemake.params.description,
            split=snakemake.wildcards.split,
            settings=snakemake.params.settings,
            seed=snakemake.params.seed,
            dataset=Path(snakemake.output.dataset),
        )
