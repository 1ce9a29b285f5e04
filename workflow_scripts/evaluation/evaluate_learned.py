"""Evaluate a learned filter on the test split at every ensemble size."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnmef.evaluation.evaluate import EvaluationOptions
from mnmef.evaluation.learned import evaluate_learned as evaluate
from mnmef.io.files import provenance, read_dataset, write_dataset
from mnmef.io.logs import job

if TYPE_CHECKING:
    from snakemake.script import snakemake


def evaluate_learned(
    *, dataset: Path, weights: Sequence[Path], cell: tuple[str, float], settings: Mapping[str, Any], scores: Path
) -> None:
    """Write the scores of a learned filter to `scores`.

    weights: a checkpoint for each ensemble size, or one for all. cell: experiment and noise level. settings: `method`,
    `filter_name`, `model`, `ensemble_sizes`, `options`, the config's section `evaluation`, and `seed`.
    """
    (experiment, sigma_y), sizes, seed = cell, settings["ensemble_sizes"], settings["seed"]
    network = {name: settings[name] for name in ("filter_name", "model")}
    split = read_dataset(dataset, kind="data", experiment=experiment, split="test")
    checkpoints = dict(zip(sizes, list(weights) * (len(sizes) // len(weights)), strict=True))
    given = EvaluationOptions(seed, **settings["options"])
    evaluation = evaluate(split, settings["method"], sigma_y, checkpoints, given, **network)
    description = {"filter": network["filter_name"], "model": network["model"], **settings["options"]}
    write_dataset(evaluation, scores, provenance=provenance("evaluation", description, seed))


if __name__ == "__main__":
    with job(snakemake):
        evaluate_learned(
            dataset=Path(snakemake.input.dataset),
            weights=[Path(path) for path in snakemake.input.weights],
            cell=(snakemake.wildcards.experiment, float(snakemake.wildcards.sigma_y)),
            settings=snakemake.params.settings,
            scores=Path(snakemake.output.scores),
        )
