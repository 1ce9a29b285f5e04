"""Train the learned filter of one experiment and noise level, from random weights or those of another level."""

from pathlib import Path
from typing import TYPE_CHECKING

from mnmef.io.files import read_dataset, write_table
from mnmef.io.logs import job
from mnmef.learning.fitting import Recipe, pretrain

if TYPE_CHECKING:
    from snakemake.script import snakemake


def train_filter(
    *, dataset: Path, start: Path | None, experiment: str, sigma_y: float, recipe: Recipe, weights: Path, curve: Path
) -> None:
    """Write the trained checkpoint to `weights` and the training curve to `curve`."""
    truths = read_dataset(dataset, kind="data", experiment=experiment, split="train")
    write_table(pretrain(truths, sigma_y, recipe, weights, start), curve)


if __name__ == "__main__":
    with job(snakemake):
        train_filter(
            dataset=Path(snakemake.input.dataset),
            start=Path(snakemake.input.start) if snakemake.input.start else None,
            experiment=snakemake.wildcards.experiment,
            sigma_y=float(snakemake.wildcards.sigma_y),
            # The pace is not among the params, since a change of it must not train anew.
            recipe=Recipe.from_settings(snakemake.params.settings, snakemake.config["training"]),
            weights=Path(snakemake.output.weights),
            curve=Path(snakemake.output.curve),
        )
