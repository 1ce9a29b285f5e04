"""Fine-tune the learned filter and score it along the way: one curve of figure 11."""

from pathlib import Path
from typing import TYPE_CHECKING

from mnmef.io.files import read_dataset, write_table
from mnmef.io.logs import job
from mnmef.studies.finetuning_curve import ScoredFinetuning, finetuning_scores

if TYPE_CHECKING:
    from snakemake.script import snakemake


def score_finetuning(*, train: Path, test: Path, experiment: str, study: ScoredFinetuning, table: Path) -> None:
    """Write the scores of all epochs and test trajectories to `table`."""
    truths = read_dataset(train, kind="data", experiment=experiment, split="train")
    trials = read_dataset(test, kind="data", experiment=experiment, split="test")
    write_table(finetuning_scores(truths, trials, study), table)


if __name__ == "__main__":
    with job(snakemake):
        score_finetuning(
            train=Path(snakemake.input.train),
            test=Path(snakemake.input.test),
            experiment=snakemake.wildcards.experiment,
            study=ScoredFinetuning(
                sigma_y=float(snakemake.wildcards.sigma_y),
                ensemble_size=int(snakemake.wildcards.members),
                parameters=snakemake.wildcards.parameters,
                pretrained=Path(snakemake.input.pretrained),
                **snakemake.params.settings,
            ),
            table=Path(snakemake.output.table),
        )
