"""Evaluate a learned filter on the test split at every ensemble size."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnmef.evaluation.learned import evaluate_learned as evaluate
from mnmef.io.files import provenance, read_dataset, write_dataset
from mnmef.io.logs import job_log

if TYPE_CHECKING:
    from snakemake.script import snakemake


def evaluate_learned(
    *,
    dataset: Path,
    system: str,
    sigma_y: float,
    method: str,
    ensemble_sizes: Sequence[int],
    weights: Sequence[Path],
    filter_name: str,
    model: Mapping[str, Any],
    options: Mapping[str, Any],
    seed: int,
    scores: Path,
) -> None:
    """Write the scores of `method` to `scores`; `weights` has a checkpoint for each ensemble size, or one for all.

    options: the config's section `evaluation`.
    """
    split = read_dataset(dataset, kind="data", system=system, split="test")
    checkpoints = dict(zip(ensemble_sizes, list(weights) * (len(ensemble_sizes) // len(weights)), strict=True))
    evaluation = evaluate(
        split, method, sigma_y, checkpoints, filter_name=filter_name, model=model, seed=seed, **options
    )
    settings = {"filter": filter_name, "model": model, **options}
    write_dataset(evaluation, scores, provenance=provenance("evaluation", settings, seed))


if __name__ == "__main__":
    with job_log(snakemake.log[0], snakemake.threads):
        evaluate_learned(
            dataset=Path(snakemake.input.dataset),
            system=snakemake.wildcards.system,
            sigma_y=float(snakemake.wildcards.sigma_y),
            method=snakemake.wildcards.learned,
            weights=[Path(path) for path in snakemake.input.weights],
            **snakemake.params.settings,
            scores=Path(snakemake.output.scores),
        )
