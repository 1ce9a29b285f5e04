"""Train the learned filter of one system and noise level from scratch."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnmef.config.settings import PACE
from mnmef.io.files import read_dataset, write_table
from mnmef.io.logs import job_log
from mnmef.learning.fitting import pretrain

if TYPE_CHECKING:
    from snakemake.script import snakemake


def train_filter(*, dataset: Path, system: str, sigma_y: float, weights: Path, curve: Path, **options: Any) -> None:
    """Write the trained checkpoint to `weights` and the curve to `curve`; `options` are those of `pretrain`."""
    truths = read_dataset(dataset, kind="data", system=system, split="train")
    write_table(pretrain(truths, sigma_y, weights=weights, **options), curve)


if __name__ == "__main__":
    options = dict(snakemake.params.settings)
    # Not among the params, since a change of them must not train anew.
    pace = {key: snakemake.config["training"][key] for key in PACE}
    options["training"] = {**options["training"], **pace}
    with job_log(snakemake.log[0], snakemake.threads):
        train_filter(
            dataset=Path(snakemake.input.dataset),
            system=snakemake.wildcards.system,
            sigma_y=float(snakemake.wildcards.sigma_y),
            **options,
            weights=Path(snakemake.output.weights),
            curve=Path(snakemake.output.curve),
        )
