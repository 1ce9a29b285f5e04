"""Run one variant of figure C.13 on the linear-Gaussian system, after training it if it is learned."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnmef.io.files import provenance, write_dataset
from mnmef.io.logs import job
from mnmef.studies.linear_gaussian import LinearRun
from mnmef.studies.linear_gaussian import run_linear_gaussian as compare

if TYPE_CHECKING:
    from snakemake.script import snakemake


def run_linear_gaussian(
    *, filter_name: str, loss: str | None, settings: Mapping[str, Any], model: Mapping[str, Any], seed: int, run: Path
) -> None:
    """Write the distances from the exact filter to `run`; settings: sizes of the system, the test and the training."""
    result = compare(LinearRun(filter_name, loss, model, seed, **settings))
    write_dataset(result, run, provenance=provenance("linear_gaussian", {"model": model, **settings}, seed))


if __name__ == "__main__":
    with job(snakemake):
        run_linear_gaussian(**snakemake.params.settings, run=Path(snakemake.output.run))
