"""Fine-tune the learned filter of one system and noise level at one ensemble size."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnmef.config.settings import PACE
from mnmef.io.files import read_dataset, write_table
from mnmef.io.logs import job_log
from mnmef.learning.fitting import finetune
from mnmef.learning.selection import keep_better

if TYPE_CHECKING:
    from snakemake.script import snakemake


def finetune_filter(
    *,
    dataset: Path,
    tune: Path | None,
    system: str,
    sigma_y: float,
    members: int,
    pretrained: Path,
    weights: Path,
    curve: Path,
    seed: int,
    **options: Any,
) -> None:
    """Write the tuned checkpoint to `weights` and the training curve to `curve`; `options` are those of `finetune`.

    tune: the tuning split, to keep the pretrained weights where they score better on it.
    """
    truths = read_dataset(dataset, kind="data", system=system, split="train")
    table = finetune(truths, sigma_y, members, pretrained=pretrained, weights=weights, seed=seed, **options)
    if tune is not None:
        split = read_dataset(tune, kind="data", system=system, split="tune")
        keep_better(weights, pretrained, split, members, seed)
    write_table(table, curve)


if __name__ == "__main__":
    options = dict(snakemake.params.settings)
    # Not among the params, since a change of them must not train anew.
    pace = {key: snakemake.config["training"][key] for key in PACE}
    options["training"] = {**options["training"], **pace}
    with job_log(snakemake.log[0], snakemake.threads):
        finetune_filter(
            dataset=Path(snakemake.input.dataset),
            tune=Path(snakemake.input.tune) if snakemake.input.tune else None,
            system=snakemake.wildcards.system,
            sigma_y=float(snakemake.wildcards.sigma_y),
            members=int(snakemake.wildcards.members),
            pretrained=Path(snakemake.input.pretrained),
            **options,
            weights=Path(snakemake.output.weights),
            curve=Path(snakemake.output.curve),
        )
