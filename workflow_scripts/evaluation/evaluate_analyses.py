"""Evaluate analyses that were made elsewhere from the observations of the test split."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnmef.evaluation.analyses import evaluate_analyses as evaluate
from mnmef.evaluation.analyses import read_headers
from mnmef.io.files import provenance, read_dataset, write_dataset
from mnmef.io.logs import job

if TYPE_CHECKING:
    from snakemake.script import snakemake


def evaluate_analyses(
    *, dataset: Path, analyses: Sequence[Path], experiment: str, settings: Mapping[str, Any], scores: Path
) -> None:
    """Write the scores of the files `analyses` to `scores`. settings: `calibration_stride` and `seed`."""
    split, stride = read_dataset(dataset, kind="data", experiment=experiment, split="test"), "calibration_stride"
    evaluation = evaluate(split, read_headers(analyses), settings[stride])
    description = {"analyses": [path.name for path in analyses], stride: settings[stride]}
    write_dataset(evaluation, scores, provenance=provenance("evaluation", description, settings["seed"]))


if __name__ == "__main__":
    with job(snakemake):
        evaluate_analyses(
            dataset=Path(snakemake.input.dataset),
            analyses=[Path(path) for path in snakemake.input.analyses],
            experiment=snakemake.wildcards.experiment,
            settings=snakemake.params.settings,
            scores=Path(snakemake.output.scores),
        )
