"""Search the published grids of one classical filter under the published protocol."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnmef.data.published import load_searches
from mnmef.io.files import write_table
from mnmef.io.logs import job_log
from mnmef.search.grids import load_grids
from mnmef.search.race import race_of
from mnmef.studies.published_baselines import search_published_baselines

if TYPE_CHECKING:
    from snakemake.script import snakemake


def published_baselines(
    *,
    grids: Path,
    winners: Path,
    system: str,
    sigma_y: float,
    method: str,
    published: Mapping[str, Any],
    ensemble_sizes: Sequence[int],
    seed: int,
    partial: str,
    code: str,
    table: Path,
) -> None:
    """Write our scores beside the published ones, one row per ensemble size.

    partial: keeps the scores so far; a search that was interrupted goes on from there. code: digest of the program.
    """
    cells = load_searches(winners)
    cells = cells[(cells["system"] == system) & (cells["sigma_y"] == sigma_y) & (cells["method"] == method)]
    cells = cells[cells["ensemble_size"].isin(ensemble_sizes)]
    race = race_of(published)
    found = search_published_baselines(cells, load_grids(grids), race, seed=seed, partial=partial, code=code)
    write_table(found, table)
    Path(partial).unlink(missing_ok=True)


if __name__ == "__main__":
    with job_log(snakemake.log[0], snakemake.threads):
        published_baselines(
            grids=Path(snakemake.input.grids),
            winners=Path(snakemake.input.winners),
            system=snakemake.wildcards.system,
            sigma_y=float(snakemake.wildcards.sigma_y),
            method=snakemake.wildcards.method,
            **snakemake.params.settings,
            code=snakemake.params.code,
            table=Path(snakemake.output.table),
        )
