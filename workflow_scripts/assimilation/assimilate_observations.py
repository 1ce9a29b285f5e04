"""Assimilate observations of the user's without a truth."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnmef.assimilation.assimilate import assimilate
from mnmef.experiments.experiment import Experiment
from mnmef.filters.base import Filter
from mnmef.filters.classical import make_classical
from mnmef.io.arrays import read_array
from mnmef.io.files import provenance, read_dataset, write_dataset
from mnmef.io.logs import job
from mnmef.learning.checkpoints import load_checkpoint

if TYPE_CHECKING:
    from snakemake.script import snakemake


def assimilate_observations(*, description: Mapping[str, Any], entry: Mapping[str, Any], seed: int, run: Path) -> None:
    """Write the analyses of an `entry` of the key `assimilations`, with innovations, to `run`."""
    experiment, parts = Experiment.from_description(description), ["innovations", *(["members"] * entry["members"])]
    filter_, saved = chosen_filter(experiment, entry), None
    if entry["restart"]:
        saved = read_dataset(entry["restart"], kind="assimilation", experiment=experiment.name)
    values, given = read_array(Path(entry["observations"]), entry["variable"]), {"members": entry["ensemble_size"]}
    result = assimilate(filter_, experiment, values, first_ensemble=saved, save=parts, seed=seed, **given)
    write_dataset(result, run, provenance=provenance("assimilation", entry, seed))


def chosen_filter(experiment: Experiment, entry: Mapping[str, Any]) -> Filter:
    """Return the filter of an entry: that of its weights, or a classical one."""
    if entry["weights"]:
        return load_checkpoint(entry["weights"], experiment=experiment.name, sigma_y=entry["sigma_y"])
    numbers = (entry[key] for key in ("sigma_y", "inflation", "localization_radius"))
    return make_classical(entry["filter"], experiment, *numbers, lag=entry["lag"])


if __name__ == "__main__":
    with job(snakemake):
        assimilate_observations(
            description=snakemake.params.description,
            entry=snakemake.params.entry,
            seed=snakemake.params.seed,
            run=Path(snakemake.output.run),
        )
