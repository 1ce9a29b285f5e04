"""Search for the options of a filter of the user's, on the tuning split, as for the classical filters."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
import torch
import xarray as xr

from mnmef.assimilation.twin import run_on_twin
from mnmef.core.names import stream_of
from mnmef.experiments.load import experiment_of
from mnmef.filters.outside import load_filter, variants
from mnmef.io.resume import ResumeFile
from mnmef.search.engines import EACH, Norms, score_settings
from mnmef.search.search import rank_settings
from mnmef.search.trial import Trial


def search_filter(
    entry: Mapping[str, Any], split: xr.Dataset, trials: Sequence[Trial], known: ResumeFile | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Score all combinations of options in the key `search` of a filter of the user's, one after the other.

    Parameters
    ----------
    entry : mapping
        See `mnmef.filters.outside.load_filter`.
    split : Dataset
        The tuning split of one experiment.
    trials : sequence of Trial
        One for each ensemble size.
    known : ResumeFile, optional
        Scores of an interrupted search.

    Returns
    -------
    scores, best : DataFrame
        All scores, and the row of the best combination for each ensemble size: columns of
        `mnmef.search.search.search_method` with, in place of inflation and radius, `setting`, the position in
        `mnmef.filters.outside.variants`, and a column for each option that is searched.
    """
    experiment, made = experiment_of(split), variants(entry)
    settings = [(position,) for position in range(len(made))]
    scores, best = [], []

    def columns(setting: tuple) -> dict[str, Any]:
        return {"setting": setting[0], **{option: made[setting[0]][option] for option in entry["search"]}}

    for trial in trials:

        def run(part: Sequence[tuple], advance: Callable[[int], Any], trial: Trial = trial) -> Iterator[Norms]:
            for (setting,) in part:
                filter_ = load_filter(made[setting], experiment, trial.sigma_y)
                data = trial.load(split, torch.float32 if isinstance(filter_, torch.nn.Module) else torch.float64)
                stream = stream_of(trial.method)
                record = run_on_twin(filter_, experiment, data, seed=trial.seed, stream=stream)
                advance(trial.trajectories * trial.cycles)
                yield record.error_norm.numpy(), record.truth_norm.numpy()

        table = score_settings("batched", settings, trial, experiment.state_size, run, 1, known, columns)
        scores.append(table)
        best.append(rank_settings(table).head(1))
    scored, chosen = (pd.concat(parts, ignore_index=True).drop(columns=EACH) for parts in (scores, best))
    return scored, chosen
