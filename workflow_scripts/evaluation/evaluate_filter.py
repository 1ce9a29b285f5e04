"""Evaluate a filter of the user's on the test split at every ensemble size."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnmef.evaluation.baseline import evaluate_given
from mnmef.evaluation.evaluate import EvaluationOptions
from mnmef.io.files import provenance, read_dataset, read_table, write_dataset
from mnmef.io.logs import job

if TYPE_CHECKING:
    from snakemake.script import snakemake


def evaluate_filter(
    *, dataset: Path, best: Path | None, cell: tuple[str, float], settings: Mapping[str, Any], scores: Path
) -> None:
    """Write the scores of a filter of the user's to `scores`.

    best: the table of its search, if there was one. cell: experiment and noise level. settings: `entry` of the key
    `filters`, `ensemble_sizes`, `options`, the config's section `evaluation`, and `seed`.
    """
    (experiment, sigma_y), options, seed = cell, settings["options"], settings["seed"]
    split = read_dataset(dataset, kind="data", experiment=experiment, split="test")
    given = EvaluationOptions(seed, **options)
    chosen = None if best is None else read_table(best)
    evaluation = evaluate_given(split, settings["entry"], sigma_y, settings["ensemble_sizes"], given, chosen)
    description = {key: settings[key] for key in ("entry", "digest")} | options
    if chosen is not None:
        description["tuned"] = chosen[["ensemble_size", *settings["entry"]["search"]]].to_csv(index=False)
    write_dataset(evaluation, scores, provenance=provenance("evaluation", description, seed))


if __name__ == "__main__":
    with job(snakemake):
        evaluate_filter(
            dataset=Path(snakemake.input.dataset),
            best=Path(snakemake.input.best[0]) if snakemake.input.best else None,
            cell=(snakemake.wildcards.experiment, float(snakemake.wildcards.sigma_y)),
            settings=snakemake.params.settings,
            scores=Path(snakemake.output.scores),
        )
