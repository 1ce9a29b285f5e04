"""The localization weights that MNMEF's network gives over a run, beside the taper of the tuned LETKF (figure 10 of
arXiv 2504.17836). The learned weights multiply covariances and LETKF's taper observations, so that the two share
their scale of distance and not their size.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from mnmef.assimilation.twin import run_on_twin
from mnmef.core.devices import default_device
from mnmef.core.names import stream_of
from mnmef.data.twin import load_trial
from mnmef.experiments.load import experiment_of
from mnmef.filters.base import CycleResult, whiten
from mnmef.filters.localization import gaspari_cohn
from mnmef.filters.mnmef import Mnmef
from mnmef.io.files import variable
from mnmef.learning.checkpoints import load_checkpoint


@dataclass(frozen=True)
class RecordedRuns:
    """Runs of which the localization weights are recorded.

    Parameters
    ----------
    method : str
        In titles, and for its random stream.
    sigma_y : float
        Noise level of the test split, state units.
    checkpoints : mapping
        Weights of MNMEF for each ensemble size.
    radii : mapping
        LETKF's localization radius for each ensemble size, grid points.
    model : mapping
        Options of MNMEF's network.
    trajectories, cycles : int
        Sizes of each run, from the first one on.
    seed : int
        Root of the analysis noise.
    """

    method: str
    sigma_y: float
    checkpoints: Mapping[int, Path]
    radii: Mapping[int, float]
    model: Mapping[str, Any]
    trajectories: int
    cycles: int
    seed: int


def record_weights(split: xr.Dataset, runs: RecordedRuns) -> xr.Dataset:
    """Record the weight of every distance in every analysis, from the first cycle on.

    Parameters
    ----------
    split : Dataset
        The test split.
    runs : RecordedRuns

    Returns
    -------
    Dataset
        weight (ensemble_size, trajectory, cycle, distance) in [0, 2], NaN from the cycle on at which a trajectory
        diverged; radius (ensemble_size); and taper (ensemble_size, distance), Gaspari and Cohn's at the radius.

    Raises
    ------
    ValueError
        For a filter without learned localization.
    """
    distances = np.unique(experiment_of(split).distances())
    weights = np.stack([_weights(split, runs, members, distances) for members in runs.checkpoints])
    radii = [runs.radii[members] for members in runs.checkpoints]
    tapers = np.stack([gaspari_cohn(distances, radius) for radius in radii])
    experiment, dims = split.attrs["experiment"], ("ensemble_size", "trajectory", "cycle", "distance")
    return xr.Dataset(
        {
            "weight": variable(dims, weights, "learned localization weight of pairs at this cyclic distance"),
            "radius": variable("ensemble_size", radii, "tuned localization radius of LETKF", "grid points"),
            "taper": variable(dims[::3], tapers, "taper of Gaspari and Cohn at this radius"),
        },
        coords={
            "ensemble_size": list(runs.checkpoints),
            "cycle": split["cycle"].values[: runs.cycles],
            "distance": variable("distance", distances, "cyclic distance", "grid points"),
        },
        attrs={
            "title": f"Learned localization of {runs.method} on {experiment}, sigma_y = {runs.sigma_y}",
            "experiment": experiment,
            "split": split.attrs["split"],
            "method": runs.method,
            "sigma_y": str(runs.sigma_y),
        },
    )


def _weights(split: xr.Dataset, runs: RecordedRuns, members: int, distances: np.ndarray) -> np.ndarray:
    """Run MNMEF with N = `members`; return its weights (T, K, distances), NaN where a trajectory diverged."""
    experiment, device, path = experiment_of(split), default_device(), runs.checkpoints[members]
    filter_ = load_checkpoint(path, name="mnmef", experiment=experiment.name, sigma_y=runs.sigma_y, model=runs.model)
    if not isinstance(filter_, Mnmef) or not filter_.is_localized:
        raise ValueError(f"{path} has no learned localization: model.localization must be true")
    trial = load_trial(split, runs.sigma_y, members, torch.float32, runs.trajectories, runs.cycles)
    data = [t.to(device) for t in trial]
    weights = torch.full((*data[1].shape[:2], len(distances)), torch.nan)

    def keep(k: int, result: CycleResult, _: Tensor) -> None:
        # The weights of an analysis are a function of its forecast.
        seen = whiten(data[1][:, k], experiment)
        feature = filter_.feature(result.forecast, seen.observe(result.forecast))
        weights[:, k] = filter_.distance_weights(feature, seen.value).cpu()

    stream, title = stream_of(runs.method), f"weights {runs.sigma_y} N={members}"
    record = run_on_twin(
        filter_.to(device), experiment, data, seed=runs.seed, stream=stream, title=title, on_cycle=keep
    )
    return weights.masked_fill(record.error_norm.isnan()[..., None], torch.nan).numpy()
