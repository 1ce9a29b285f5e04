"""Judge the claims of the paper by this run."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mnmef.data.published import load_curves
from mnmef.io.files import read_table, write_table, write_text
from mnmef.io.logs import job
from mnmef.report.claims import ScoredRun, claims_page
from mnmef.report.claims import judge_claims as judge
from mnmef.report.tables import table_page

STUDIES = ("figure_9", "figure_10", "figure_11", "published_figure_9", "published_figure_11")
"""Inputs of the rule with the numbers of figures 9 to 11, as far as the config runs them; see
`mnmef.report.claims.ScoredRun`.
"""

if TYPE_CHECKING:
    from snakemake.script import snakemake


@dataclass(frozen=True)
class Settings:
    """Scale of the run, seed of the bootstrap, and ensemble size of pretraining."""

    scale: str
    seed: int
    training_size: int


def claims(
    *,
    scores: Path,
    trajectories: Path,
    curves: Path,
    studies: Mapping[str, Path],
    settings: Settings,
    table: Path,
    page: Path,
) -> None:
    """Write the verdict on each claim as CSV to `table` and as Markdown to `page`."""
    shown = {name: read_table(path) for name, path in studies.items()}
    run = ScoredRun(
        read_table(trajectories),
        read_table(scores),
        load_curves(curves),
        settings.seed,
        settings.training_size,
        shown,
    )
    claims = judge(run, settings.scale)
    write_table(claims, table)
    size = {"scale": settings.scale, "trajectories": claims["n_trajectories"].iloc[0]}
    write_text(table_page("claims", claims_page(claims), size), page)


if __name__ == "__main__":
    with job(snakemake):
        claims(
            scores=Path(snakemake.input.scores),
            trajectories=Path(snakemake.input.trajectories),
            curves=Path(snakemake.input.curves),
            studies={name: Path(path) for name, path in snakemake.input.items() if name in STUDIES},
            settings=Settings(**snakemake.params.settings),
            table=Path(snakemake.output.table),
            page=Path(snakemake.output.page),
        )
