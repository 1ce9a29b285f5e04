"""Evaluate a classical filter, as tuned, on the test split at every ensemble size."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from mnmef.evaluation.baseline import evaluate_baseline as evaluate
from mnmef.io.files import provenance, read_dataset, write_dataset
from mnmef.io.logs import job_log

if TYPE_CHECKING:
    from snakemake.script import snakemake


def evaluate_baseline(
    *,
    dataset: Path,
    best: Path,
    system: str,
    sigma_y: float,
    method: str,
    options: Mapping[str, Any],
    seed: int,
    scores: Path,
) -> None:
    """Write the scores of `method` with the tuned settings in the table `best` to `scores`.

    options: the config's section `evaluation`.
    """
    split = read_dataset(dataset, kind="data", system=system, split="test")
    settings = pd.read_csv(best)
    evaluation = evaluate(split, method, sigma_y, settings, seed=seed, **options)
    columns = ["ensemble_size", "inflation", "localization_radius"]
    description = {"tuned": settings[columns].to_csv(index=False), **options}
    write_dataset(evaluation, scores, provenance=provenance("evaluation", description, seed))


if __name__ == "__main__":
    with job_log(snakemake.log[0], snakemake.threads):
        evaluate_baseline(
            dataset=Path(snakemake.input.dataset),
            best=Path(snakemake.input.best),
            system=snakemake.wildcards.system,
            sigma_y=float(snakemake.wildcards.sigma_y),
            method=snakemake.wildcards.method,
            **snakemake.params.settings,
            scores=Path(snakemake.output.scores),
        )
