"""Score all filters with intervals, compare them in pairs, and put every published number beside ours."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mnmef.data.published import KEYS, load_curves, load_searches
from mnmef.io.files import write_table
from mnmef.io.logs import job
from mnmef.scores.calibration import add_calibration
from mnmef.scores.comparisons import (
    add_improvements,
    add_trainings,
    compare_filters,
    score_trainings,
)
from mnmef.scores.scoring import compare_with_published, summarize, trajectory_scores

if TYPE_CHECKING:
    from snakemake.script import snakemake


@dataclass(frozen=True)
class Tables:
    """Paths of the tables: scores, their comparison with the published ones, R-RMSE of every trajectory, improvement
    of each learned filter on each other filter, and R-RMSE of every training.
    """

    scores: Path
    reproduction: Path
    trajectories: Path
    improvements: Path
    seeds: Path


def score_filters(
    *,
    evaluations: Sequence[Path],
    trainings: Sequence[Path],
    curves: Path,
    searches: Path,
    seed: int,
    tables: Tables,
) -> None:
    """Write the scores of all `evaluations`, with those of further `trainings`, to `tables`."""
    by_trajectory = trajectory_scores(evaluations)
    write_table(by_trajectory, tables.trajectories)
    table = summarize(by_trajectory, KEYS, seed)
    write_table(compare_with_published(table, load_curves(curves), load_searches(searches)), tables.reproduction)
    by_training = score_trainings(table, trainings, seed)
    write_table(by_training, tables.seeds)
    compared = compare_filters(by_trajectory, seed)
    write_table(compared, tables.improvements)
    table = add_trainings(add_improvements(table, compared), by_training)
    write_table(add_calibration(table, evaluations), tables.scores)


if __name__ == "__main__":
    with job(snakemake):
        score_filters(
            evaluations=[Path(path) for path in snakemake.input.evaluations],
            trainings=[Path(path) for path in snakemake.input.trainings],
            curves=Path(snakemake.input.curves),
            searches=Path(snakemake.input.searches),
            seed=snakemake.params.seed,
            tables=Tables(**{name: Path(path) for name, path in snakemake.output.items()}),
        )
