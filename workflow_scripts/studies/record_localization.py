"""Record the learned localization weights of fine-tuned MNMEF on the test split."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnmef.io.files import provenance, read_dataset, read_table, write_dataset
from mnmef.io.logs import job
from mnmef.studies.localization import RecordedRuns, record_weights

if TYPE_CHECKING:
    from snakemake.script import snakemake

METHOD = "mnmef_finetuned"


def record_localization(
    *,
    dataset: Path,
    best: Path,
    checkpoints: Mapping[int, Path],
    experiment: str,
    sigma_y: float,
    settings: Mapping[str, Any],
    record: Path,
) -> None:
    """Write the weights of every analysis, and LETKF's taper at the radii in the table `best`, to `record`.

    checkpoints: for each ensemble size. settings: model, study (trajectories and cycles) and seed.
    """
    split = read_dataset(dataset, kind="data", experiment=experiment, split="test")
    radii = read_table(best).set_index("ensemble_size")["localization_radius"].to_dict()
    model, study, seed = (settings[key] for key in ("model", "study", "seed"))
    runs = RecordedRuns(METHOD, sigma_y, checkpoints, radii, model=model, seed=seed, **study)
    write_dataset(
        record_weights(split, runs), record, provenance=provenance("localization", {"model": model, **study}, seed)
    )


if __name__ == "__main__":
    settings = snakemake.params.settings
    with job(snakemake):
        record_localization(
            dataset=Path(snakemake.input.dataset),
            best=Path(snakemake.input.best),
            checkpoints=dict(zip(settings["ensemble_sizes"], map(Path, snakemake.input.weights), strict=True)),
            experiment=snakemake.wildcards.experiment,
            sigma_y=float(snakemake.wildcards.sigma_y),
            settings=settings,
            record=Path(snakemake.output.record),
        )
