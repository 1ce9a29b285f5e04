"""Search the options of a filter of the user's on the tuning split of one experiment and noise level."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnmef.io.files import read_dataset, write_table
from mnmef.io.logs import job
from mnmef.io.resume import ResumeFile
from mnmef.search.own import search_filter as search
from mnmef.search.search import fingerprint
from mnmef.search.trial import Trial

if TYPE_CHECKING:
    from snakemake.script import snakemake


def search_filter(
    *, dataset: Path, cell: tuple[str, float, str], settings: Mapping[str, Any], code: str, grid: Path, best: Path
) -> None:
    """Write the scores of all combinations of options to `grid` and the best one of each ensemble size to `best`.

    cell: experiment, noise level and filter. settings: `entry` of the key `filters` and its `digest`, `search`,
    `ensemble_sizes`, `seed`, and `partial`, the resume file. code: digest of the program.
    """
    (experiment, sigma_y, _), partial, size = cell, settings["partial"], settings["search"]
    split = read_dataset(dataset, kind="data", experiment=experiment, split="tune")
    known = ResumeFile(partial, fingerprint(split, sigma_y, f"{code} {settings['digest']} {settings['entry']}"))
    sizes = size["trajectories"], size["cycles"], settings["seed"]
    scored, chosen = search(
        settings["entry"], split, [Trial(*cell, members, *sizes) for members in settings["ensemble_sizes"]], known
    )
    write_table(scored, grid)
    write_table(chosen, best)
    Path(partial).unlink(missing_ok=True)


if __name__ == "__main__":
    with job(snakemake):
        search_filter(
            dataset=Path(snakemake.input.dataset),
            cell=(snakemake.wildcards.experiment, float(snakemake.wildcards.sigma_y), snakemake.wildcards.method),
            settings=snakemake.params.settings,
            code=snakemake.params.code,
            grid=Path(snakemake.output.grid),
            best=Path(snakemake.output.best),
        )
