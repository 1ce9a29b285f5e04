"""Fine-tune the learned filter of one experiment and noise level at one ensemble size."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mnmef.io.files import read_dataset, write_table
from mnmef.io.logs import job
from mnmef.learning.fitting import Recipe, finetune
from mnmef.learning.selection import keep_better

if TYPE_CHECKING:
    from snakemake.script import snakemake


@dataclass(frozen=True)
class Inputs:
    """Files of a fine-tuning: training split, pretrained checkpoint, and a tuning split to keep the better weights."""

    dataset: Path
    pretrained: Path
    tune: Path | None


def finetune_filter(
    *, inputs: Inputs, experiment: str, sigma_y: float, members: int, recipe: Recipe, weights: Path, curve: Path
) -> None:
    """Write the fine-tuned checkpoint to `weights` and the training curve to `curve`."""
    truths = read_dataset(inputs.dataset, kind="data", experiment=experiment, split="train")
    table = finetune(truths, sigma_y, members, recipe, pretrained=inputs.pretrained, weights=weights)
    if inputs.tune is not None and recipe.finetuning is not None:
        split = read_dataset(inputs.tune, kind="data", experiment=experiment, split="tune")
        keep_better(weights, inputs.pretrained, split, members, recipe.seed, recipe.finetuning["keep_cycles"])
    write_table(table, curve)


if __name__ == "__main__":
    with job(snakemake):
        finetune_filter(
            inputs=Inputs(
                dataset=Path(snakemake.input.dataset),
                pretrained=Path(snakemake.input.pretrained),
                tune=Path(snakemake.input.tune) if snakemake.input.tune else None,
            ),
            experiment=snakemake.wildcards.experiment,
            sigma_y=float(snakemake.wildcards.sigma_y),
            members=int(snakemake.wildcards.members),
            # The pace is not among the params, since a change of it must not train anew.
            recipe=Recipe.from_settings(snakemake.params.settings, snakemake.config["training"]),
            weights=Path(snakemake.output.weights),
            curve=Path(snakemake.output.curve),
        )
