"""The score of a learned filter on the tuning split, by which weights are chosen."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from tqdm import tqdm

from mnmef.assimilation.cycling import noise_source, run_filter
from mnmef.assimilation.metrics import mean_over_survivors, relative_rmse
from mnmef.config.settings import for_system
from mnmef.core.devices import default_device
from mnmef.data.twin import load_trial, simulate_split
from mnmef.filters.learned import LearnedFilter
from mnmef.learning.checkpoints import load_checkpoint, read_card, read_tensors, write_tensors


def tuning_split(system: str, settings: Mapping[str, Any]) -> xr.Dataset:
    """The tuning split of `system` as the workflow simulates it from `settings`."""
    section = for_system(settings["data"]["tune"], system)
    drawn = {"noise_levels": settings["noise_levels"], "members": settings["data"]["members"]}
    return simulate_split(system, "tune", **section, **drawn, seed=settings["seed"])


def tuning_score(filter_: LearnedFilter, split: xr.Dataset, members: int, seed: int) -> dict[str, Any]:
    """Score of `filter_` with N = `members` on the tuning `split`: R-RMSE without burn-in, mean over survivors.

    spread_ratio: root-mean-square spread over root-mean-square error, over all cycles of the survivors; 1 if
    calibrated.
    Raises `ValueError` for another split.
    """
    if split.attrs["split"] != "tune":
        raise ValueError(f"weights are scored on the tuning split, not on the {split.attrs['split']} split")
    device, system = default_device(), filter_.system
    first, observations, truth = (t.to(device) for t in load_trial(split, filter_.sigma_y, members, torch.float32))
    draw = noise_source(seed, "mnmef", members, (len(first), members, system.observation_size))
    title = f"{system.name} {filter_.sigma_y} {filter_.name} N={members}"
    with torch.no_grad(), tqdm(total=truth.shape[1], desc=title, unit="cycle", mininterval=5) as bar:
        record = run_filter(
            filter_.to(device), system, first, observations, truth, draw, progress=lambda _: bar.update()
        )
    error_norm, truth_norm = record.error_norm.cpu().numpy(), record.truth_norm.cpu().numpy()
    rrmse, deviation, diverged = mean_over_survivors(relative_rmse(error_norm, truth_norm))
    error, spread = error_norm / system.state_size**0.5, record.spread.cpu().numpy()
    return {
        "ensemble_size": members,
        "rrmse": rrmse,
        "rrmse_std": deviation,
        "spread_ratio": float(np.sqrt(np.nanmean(spread**2) / np.nanmean(error**2))),
        "n_trajectories": split.sizes["trajectory"],
        "n_cycles": split.sizes["cycle"],
        "n_diverged": diverged,
    }


def rank(score: Mapping[str, Any]) -> tuple[int, float]:
    """What orders scores, the better the smaller: trajectories that diverged, then R-RMSE."""
    return score["n_diverged"], score["rrmse"]


def is_worse(tuned: Path, pretrained: Path, split: xr.Dataset, members: int, seed: int) -> bool:
    """Whether the checkpoint `tuned` scores worse at N = `members` than `pretrained`, which it was tuned from."""

    def score(path: Path) -> tuple[int, float]:
        card = read_card(path)
        filter_ = load_checkpoint(path, system=card["system"], sigma_y=card["sigma_y"])
        return rank(tuning_score(filter_, split, members, seed))

    # Not `>`: where all trajectories diverge the R-RMSE is NaN, and fine-tuning has shown no use.
    return not score(tuned) <= score(pretrained)


def keep_better(tuned: Path, pretrained: Path, split: xr.Dataset, members: int, seed: int) -> bool:
    """Write the weights of `pretrained` over those of the checkpoint `tuned` if these are worse (see `is_worse`).

    Returns whether it did, and says so in the card of `tuned`, as `kept_pretrained`.
    """
    kept = is_worse(tuned, pretrained, split, members, seed)
    write_tensors(read_tensors(pretrained if kept else tuned), {**read_card(tuned), "kept_pretrained": kept}, tuned)
    return kept
