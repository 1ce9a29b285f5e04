"""Run one filter in all conditions of the robustness table."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnmef.core.names import METHODS
from mnmef.experiments.experiment import Experiment
from mnmef.io.files import read_table, write_table
from mnmef.io.logs import job
from mnmef.studies.robustness import Design, classical_candidate, learned_candidate
from mnmef.studies.robustness import run_conditions as run

if TYPE_CHECKING:
    from snakemake.script import snakemake


def run_conditions(
    *,
    source: Sequence[Path],
    description: Mapping[str, Any],
    sigma_y: float,
    method: str,
    model: Mapping[str, Any],
    design: Design,
    seed: int,
    table: Path,
) -> None:
    """Write the scores of `method` to `table`; `source` has its weights, or the table of its search."""
    experiment = Experiment.from_description(description)
    if METHODS[method].is_learned:
        candidate = learned_candidate(source[0], method, experiment, sigma_y, model)
    else:
        candidate = classical_candidate(read_table(source[0]), method, experiment, design.ensemble_size)
    write_table(run(candidate, experiment, sigma_y, design, seed=seed), table)


if __name__ == "__main__":
    settings = snakemake.params.settings
    with job(snakemake):
        run_conditions(
            source=[Path(path) for path in snakemake.input.source],
            description=snakemake.params.description,
            sigma_y=float(snakemake.wildcards.sigma_y),
            method=snakemake.wildcards.method,
            **{**settings, "design": Design(**settings["design"])},
            table=Path(snakemake.output.table),
        )
