"""Tune one classical filter on the tuning split of one system and noise level."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnmef.io.files import read_dataset, write_table
from mnmef.io.logs import job_log
from mnmef.search.search import load_grids, published_winners, tune_method

if TYPE_CHECKING:
    from snakemake.script import snakemake


def tune_baseline(
    *,
    dataset: Path,
    grids: Path,
    winners: Path,
    system: str,
    sigma_y: float,
    method: str,
    tuning: Mapping[str, Any],
    ensemble_sizes: Sequence[int],
    seed: int,
    partial: str,
    code: str,
    grid: Path,
    best: Path,
) -> None:
    """Write the scores of all settings to `grid` and the best setting of each ensemble size to `best`.

    partial: keeps the scores so far; a search that was interrupted goes on from there. code: digest of the program.
    """
    split = read_dataset(dataset, kind="data", system=system, split="tune")
    scored, chosen = tune_method(
        tuning,
        split,
        sigma_y,
        method,
        ensemble_sizes,
        grids=load_grids(grids),
        winners=published_winners(winners),
        seed=seed,
        partial=partial,
        code=code,
    )
    write_table(scored, grid)
    write_table(chosen, best)
    Path(partial).unlink(missing_ok=True)


if __name__ == "__main__":
    with job_log(snakemake.log[0], snakemake.threads):
        tune_baseline(
            dataset=Path(snakemake.input.dataset),
            grids=Path(snakemake.input.grids),
            winners=Path(snakemake.input.winners),
            system=snakemake.wildcards.system,
            sigma_y=float(snakemake.wildcards.sigma_y),
            method=snakemake.wildcards.method,
            **snakemake.params.settings,
            code=snakemake.params.code,
            grid=Path(snakemake.output.grid),
            best=Path(snakemake.output.best),
        )
