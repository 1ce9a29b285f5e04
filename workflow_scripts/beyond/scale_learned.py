"""Run mnmef_local, as trained on forty variables, on a longer Lorenz '96."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnmef.core.devices import default_device
from mnmef.experiments.experiment import Experiment
from mnmef.filters.base import Filter
from mnmef.filters.learned import make_learned
from mnmef.io.files import write_table
from mnmef.io.logs import job
from mnmef.learning.checkpoints import load_checkpoint
from mnmef.studies.runs import Candidate
from mnmef.studies.scaling import GridPlan, longer, measure

if TYPE_CHECKING:
    from snakemake.script import snakemake


def scale_learned(
    *,
    weights: Path,
    description: Mapping[str, Any],
    state_size: int,
    sigma_y: float,
    model: Mapping[str, Any],
    plan: Mapping[str, Any],
    seed: int,
    table: Path,
) -> None:
    """Write error, time and memory on `state_size` variables to `table`."""
    name, device = "mnmef_local", default_device()
    trained = load_checkpoint(weights, name=name, experiment=description["name"], sigma_y=sigma_y, model=model)

    def make(experiment: Experiment) -> Filter:
        filter_ = make_learned(name, experiment, sigma_y, model)
        filter_.load_state_dict(trained.state_dict())
        return filter_.to(device)

    grid = longer(Experiment.from_description(description), state_size)
    write_table(measure(Candidate(name, make, device=device), grid, sigma_y, GridPlan(**plan), seed=seed), table)


if __name__ == "__main__":
    with job(snakemake):
        scale_learned(
            weights=Path(snakemake.input.weights),
            state_size=int(snakemake.wildcards.state_size),
            description=snakemake.params.description,
            **snakemake.params.settings,
            table=Path(snakemake.output.table),
        )
