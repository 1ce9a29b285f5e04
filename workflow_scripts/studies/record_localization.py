"""Record the learned localization weights of fine-tuned MNMEF on the test split."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from mnmef.io.files import provenance, read_dataset, write_dataset
from mnmef.io.logs import job_log
from mnmef.studies.localization import record_weights

if TYPE_CHECKING:
    from snakemake.script import snakemake


def record_localization(
    *,
    dataset: Path,
    best: Path,
    weights: Sequence[Path],
    system: str,
    sigma_y: float,
    method: str,
    ensemble_sizes: Sequence[int],
    model: Mapping[str, Any],
    study: Mapping[str, int],
    seed: int,
    record: Path,
) -> None:
    """Write the weights of every analysis, and LETKF's taper at the radii in the table `best`, to `record`.

    weights: a checkpoint for each ensemble size. study: numbers of trajectories and cycles.
    """
    split = read_dataset(dataset, kind="data", system=system, split="test")
    radii = pd.read_csv(best).set_index("ensemble_size")["localization_radius"].to_dict()
    checkpoints = dict(zip(ensemble_sizes, weights, strict=True))
    found = record_weights(split, method, sigma_y, checkpoints, model=model, radii=radii, seed=seed, **study)
    write_dataset(found, record, provenance=provenance("localization", {"model": model, **study}, seed))


if __name__ == "__main__":
    with job_log(snakemake.log[0], snakemake.threads):
        record_localization(
            dataset=Path(snakemake.input.dataset),
            best=Path(snakemake.input.best),
            weights=[Path(path) for path in snakemake.input.weights],
            system=snakemake.wildcards.system,
            sigma_y=float(snakemake.wildcards.sigma_y),
            method=snakemake.wildcards.learned,
            **snakemake.params.settings,
            record=Path(snakemake.output.record),
        )
