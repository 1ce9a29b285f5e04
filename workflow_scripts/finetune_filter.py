"""Fine-tune the learned filter of one system and noise level at one ensemble size."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnmef.fitting import finetune
from mnmef.io import read_dataset, write_table
from mnmef.logs import job_log
from mnmef.settings import PACE

if TYPE_CHECKING:
    from snakemake.script import snakemake


def finetune_filter(
    *, dataset: Path, system: str, sigma_y: float, members: int, weights: Path, curve: Path, **options: Any
) -> None:
    """Write the tuned checkpoint to `weights` and the training curve to `curve`; `options` are those of `finetune`."""
    truths = read_dataset(dataset, kind="data", system=system, split="train")
    write_table(finetune(truths, sigma_y, members, weights=weights, **options), curve)


if __name__ == "__main__":
    options = dict(snakemake.params.settings)
    # Not among the params, since a change of them must not train anew.
    pace = {key: snakemake.config["training"][key] for key in PACE}
    options["training"] = {**options["training"], **pace}
    with job_log(snakemake.log[0], snakemake.threads):
        finetune_filter(
            dataset=Path(snakemake.input.dataset),
            system=snakemake.wildcards.system,
            sigma_y=float(snakemake.wildcards.sigma_y),
            members=int(snakemake.wildcards.members),
            pretrained=Path(snakemake.input.pretrained),
            **options,
            weights=Path(snakemake.output.weights),
            curve=Path(snakemake.output.curve),
        )
