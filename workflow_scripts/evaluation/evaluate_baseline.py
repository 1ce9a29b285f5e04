"""Evaluate a classical filter on the test split at every ensemble size."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnmef.evaluation.baseline import evaluate_baseline as evaluate
from mnmef.evaluation.evaluate import EvaluationOptions
from mnmef.io.files import provenance, read_dataset, read_table, write_dataset
from mnmef.io.logs import job

if TYPE_CHECKING:
    from snakemake.script import snakemake


def evaluate_baseline(
    *, dataset: Path, best: Path, cell: tuple[str, float, str], settings: Mapping[str, Any], scores: Path
) -> None:
    """Write the scores of a classical filter with the settings in the table `best` to `scores`.

    cell: experiment, noise level and method. settings: `options`, the config's section `evaluation`, `ienks` and
    `seed`.
    """
    (experiment, sigma_y, method), options, seed = cell, settings["options"], settings["seed"]
    split, chosen = read_dataset(dataset, kind="data", experiment=experiment, split="test"), read_table(best)
    given = EvaluationOptions(seed, **options)
    evaluation = evaluate(split, method, sigma_y, chosen, given, lag=settings["ienks"]["lag"])
    columns = ["ensemble_size", "inflation", "localization_radius"]
    description = {"tuned": chosen[columns].to_csv(index=False), **options}
    write_dataset(evaluation, scores, provenance=provenance("evaluation", description, seed))


if __name__ == "__main__":
    with job(snakemake):
        evaluate_baseline(
            dataset=Path(snakemake.input.dataset),
            best=Path(snakemake.input.best),
            cell=(snakemake.wildcards.experiment, float(snakemake.wildcards.sigma_y), snakemake.wildcards.method),
            settings=snakemake.params.settings,
            scores=Path(snakemake.output.scores),
        )
