"""Run one filter in all conditions of the robustness table."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch

from mnmef.core.devices import default_device
from mnmef.io.files import write_table
from mnmef.io.logs import job_log
from mnmef.studies.robustness import Design, classical_maker, learned_maker, run_conditions

if TYPE_CHECKING:
    from snakemake.script import snakemake


def run_filter_in_conditions(
    *,
    source: Sequence[Path],
    system: str,
    sigma_y: float,
    method: str,
    filter_name: str | None,
    model: Mapping[str, Any],
    design: Mapping[str, Any],
    seed: int,
    table: Path,
) -> None:
    """Write the scores of `method` to `table`; `source` has its weights, or the table of its search.

    filter_name: of a learned filter, None for a classical one.
    """
    plan = Design(**design)
    if filter_name is None:
        maker = classical_maker(pd.read_csv(source[0]), method, system, plan.ensemble_size)
        scores = run_conditions(maker, method, system, sigma_y, plan, seed=seed, dtype=torch.float64)
    else:
        device = default_device()
        maker = learned_maker(source[0], filter_name, system, sigma_y, model, device)
        scores = run_conditions(maker, method, system, sigma_y, plan, seed=seed, device=device)
    write_table(scores, table)


if __name__ == "__main__":
    with job_log(snakemake.log[0], snakemake.threads):
        run_filter_in_conditions(
            source=[Path(path) for path in snakemake.input.source],
            system=snakemake.wildcards.system,
            sigma_y=float(snakemake.wildcards.sigma_y),
            method=snakemake.wildcards.tried,
            **snakemake.params.settings,
            table=Path(snakemake.output.table),
        )
