"""The score of a learned filter on the tuning split, by which weights are chosen."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from mnmef.assimilation.metrics import mean_over_survivors, relative_rmse
from mnmef.assimilation.twin import run_on_twin
from mnmef.core.devices import default_device
from mnmef.data.twin import load_trial
from mnmef.filters.learned import LearnedFilter
from mnmef.learning.checkpoints import load_checkpoint, read_card, read_tensors, write_tensors


def tuning_score(filter_: LearnedFilter, split: xr.Dataset, members: int, seed: int) -> dict[str, Any]:
    """Score a filter on the tuning split.

    Parameters
    ----------
    filter_ : LearnedFilter
        Filter to score.
    split : Dataset
        The tuning split.
    members : int
        Number of members N.
    seed : int
        Root of the random stream of its analyses.

    Returns
    -------
    dict
        ensemble_size; rrmse, the R-RMSE without burn-in, mean over surviving trajectories, and rrmse_std;
        spread_ratio, root-mean-square spread over root-mean-square error in all cycles of the survivors, 1 if
        calibrated; n_trajectories, n_cycles, n_diverged.

    Raises
    ------
    ValueError
        For another split.
    """
    if split.attrs["split"] != "tune":
        raise ValueError(f"weights are scored on the tuning split, not on the {split.attrs['split']} split")
    device, experiment = default_device(), filter_.experiment
    data = [part.to(device) for part in load_trial(split, filter_.sigma_y, members, torch.float32)]
    title = f"{experiment.name} {filter_.sigma_y} {filter_.name} N={members}"
    record = run_on_twin(filter_.to(device), experiment, data, seed=seed, stream="mnmef", title=title)
    relative = relative_rmse(record.error_norm.numpy(), record.truth_norm.numpy())
    rrmse, deviation, diverged = mean_over_survivors(relative)
    error, spread = record.rmse.numpy(), record.spread.numpy()
    return {
        "ensemble_size": members,
        "rrmse": rrmse,
        "rrmse_std": deviation,
        "spread_ratio": float(np.sqrt(np.nanmean(spread**2) / np.nanmean(error**2))),
        "n_trajectories": split.sizes["trajectory"],
        "n_cycles": split.sizes["cycle"],
        "n_diverged": diverged,
    }


def score_order(score: Mapping[str, Any]) -> tuple[int, float]:
    """Sort key of scores: fewer diverged trajectories first, then lower R-RMSE."""
    return score["n_diverged"], score["rrmse"]


def is_worse(tuned: Path, pretrained: Path, split: xr.Dataset, members: int, seed: int) -> bool:
    """Return whether the checkpoint `tuned` scores worse at N = `members` than `pretrained`."""
    scores = (tuning_score(load_checkpoint(path), split, members, seed) for path in (tuned, pretrained))
    one, other = map(score_order, scores)
    # Not `>`: where all trajectories diverge the R-RMSE is NaN, and fine-tuning has shown no use.
    return not one <= other


def keep_better(tuned: Path, pretrained: Path, split: xr.Dataset, members: int, seed: int, cycles: int) -> bool:
    """Write the weights of `pretrained` over those of `tuned` if these are worse; return whether they were.

    They are compared on the first `cycles` of the tuning split. The card of `tuned` says so as well, as
    `kept_pretrained`.
    """
    kept = is_worse(tuned, pretrained, split.isel(cycle=slice(cycles)), members, seed)
    write_tensors(read_tensors(pretrained if kept else tuned), {**read_card(tuned), "kept_pretrained": kept}, tuned)
    return kept
