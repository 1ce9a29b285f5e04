"""Search the published grids of one classical filter under the published protocol."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mnmef.data.published import load_searches
from mnmef.experiments.experiment import Experiment
from mnmef.io.files import write_table
from mnmef.io.logs import job
from mnmef.io.resume import drop_states
from mnmef.search.race import Race, race_of
from mnmef.studies.published_baselines import search_published_baselines
from mnmef.studies.published_scorer import PublishedSearch

if TYPE_CHECKING:
    from snakemake.script import snakemake


def search_published_baseline(
    *,
    winners: Path,
    search: PublishedSearch,
    race: Race,
    ensemble_sizes: Sequence[int],
    partial: str,
    code: str,
    table: Path,
) -> None:
    """Write our scores beside the published ones, one row per ensemble size.

    partial: keeps the scores so far; a search that was interrupted goes on from there. code: digest of the program.
    """
    cells = load_searches(winners)
    of_search = (cells["experiment"] == search.experiment.name) & (cells["sigma_y"] == search.sigma_y)
    cells = cells[of_search & (cells["method"] == search.method) & cells["ensemble_size"].isin(ensemble_sizes)]
    write_table(search_published_baselines(cells, search, race, partial, code), table)
    drop_states(partial)


if __name__ == "__main__":
    settings = snakemake.params.settings
    with job(snakemake):
        search_published_baseline(
            winners=Path(snakemake.input.winners),
            search=PublishedSearch(
                experiment=Experiment.from_description(snakemake.params.description),
                sigma_y=float(snakemake.wildcards.sigma_y),
                method=snakemake.wildcards.method,
                grid=settings["grid"],
                seed=settings["seed"],
                lag=settings["ienks"]["lag"],
            ),
            race=race_of(settings["published"]),
            ensemble_sizes=settings["ensemble_sizes"],
            partial=settings["partial"],
            code=snakemake.params.code,
            table=Path(snakemake.output.table),
        )
