"""Fine-tune the learned filter and score it along the way: one curve of figure 11."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnmef.io.files import read_dataset, write_table
from mnmef.io.logs import job_log
from mnmef.studies.finetuning_curve import tuning_curve

if TYPE_CHECKING:
    from snakemake.script import snakemake


def score_finetuning(
    *, train: Path, test: Path, system: str, sigma_y: float, members: int, table: Path, **options: Any
) -> None:
    """Write the scores of all epochs and test trajectories to `table`; `options` are those of `tuning_curve`."""
    truths, trials = (
        read_dataset(path, kind="data", system=system, split=split)
        for path, split in ((train, "train"), (test, "test"))
    )
    write_table(tuning_curve(truths, trials, sigma_y, members, **options), table)


if __name__ == "__main__":
    with job_log(snakemake.log[0], snakemake.threads):
        score_finetuning(
            train=Path(snakemake.input.train),
            test=Path(snakemake.input.test),
            system=snakemake.wildcards.system,
            sigma_y=float(snakemake.wildcards.sigma_y),
            members=int(snakemake.wildcards.members),
            parameters=snakemake.wildcards.parameters,
            pretrained=Path(snakemake.input.pretrained),
            **snakemake.params.settings,
            table=Path(snakemake.output.table),
        )
