"""Search the hyperparameters of one classical filter on the tuning split of one experiment and noise level."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnmef.data.published import load_searches
from mnmef.io.files import read_dataset, write_table
from mnmef.io.logs import job
from mnmef.io.resume import ResumeFile, drop_states
from mnmef.search.grids import Candidates, settings_of, winner_of
from mnmef.search.search import fingerprint, search_method

if TYPE_CHECKING:
    from snakemake.script import snakemake


def search_baseline(
    *,
    dataset: Path,
    winners: Path,
    cell: tuple[str, float, str],
    settings: Mapping[str, Any],
    code: str,
    grid: Path,
    best: Path,
) -> None:
    """Write the scores of all settings to `grid` and the best setting of each ensemble size to `best`.

    cell: experiment, noise level and method. settings: `search`, `ienks`, `ensemble_sizes`, `seed`, and `partial`, the
    resume file. code: digest of the program.
    """
    (experiment, sigma_y, method), search, partial = cell, settings["search"], settings["partial"]
    split = read_dataset(dataset, kind="data", experiment=experiment, split="tune")
    published = load_searches(winners)
    strides = {name: search[name] for name in ("inflation_stride", "radius_stride")}
    tried = {}
    for members in settings["ensemble_sizes"]:
        of_cell = published, (*cell, members)
        tried[members] = Candidates(settings_of(search, *of_cell, **strides), winner_of(*of_cell))
    known = ResumeFile(partial, fingerprint(split, sigma_y, code))
    scored, chosen = search_method(
        search, split, sigma_y, method, tried, seed=settings["seed"], lag=settings["ienks"]["lag"], known=known
    )
    write_table(scored, grid)
    write_table(chosen, best)
    drop_states(partial)


if __name__ == "__main__":
    with job(snakemake):
        search_baseline(
            dataset=Path(snakemake.input.dataset),
            winners=Path(snakemake.input.winners),
            cell=(snakemake.wildcards.experiment, float(snakemake.wildcards.sigma_y), snakemake.wildcards.method),
            settings=snakemake.params.settings,
            code=snakemake.params.code,
            grid=Path(snakemake.output.grid),
            best=Path(snakemake.output.best),
        )
