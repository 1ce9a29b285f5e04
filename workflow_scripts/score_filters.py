"""Score all filters and put every published number beside ours."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mnmef.io import write_table
from mnmef.logs import job_log
from mnmef.published import load_curves, load_searches
from mnmef.scoring import compare_with_published, score_evaluations

if TYPE_CHECKING:
    from snakemake.script import snakemake


def score_filters(
    *, evaluations: Sequence[Path], curves: Path, searches: Path, scores: Path, reproduction: Path
) -> None:
    """Write the table of scores and its comparison with the published ones."""
    table = score_evaluations(evaluations)
    write_table(table, scores)
    write_table(compare_with_published(table, load_curves(curves), load_searches(searches)), reproduction)


if __name__ == "__main__":
    with job_log(snakemake.log[0], snakemake.threads):
        score_filters(
            evaluations=[Path(path) for path in snakemake.input.evaluations],
            curves=Path(snakemake.input.curves),
            searches=Path(snakemake.input.searches),
            scores=Path(snakemake.output.scores),
            reproduction=Path(snakemake.output.reproduction),
        )
