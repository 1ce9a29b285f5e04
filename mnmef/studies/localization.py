"""The localization weights that MNMEF's network gives over a run, beside the taper of the tuned LETKF (figure 10 of
arXiv 2504.17836). The learned weights multiply covariances and LETKF's taper observations, so that the two share
their scale of distance and not their size.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor
from tqdm import tqdm

from mnmef.assimilation.cycling import noise_source, run_filter
from mnmef.core.devices import default_device
from mnmef.data.twin import load_trial
from mnmef.filters.base import CycleResult
from mnmef.filters.localization import gaspari_cohn
from mnmef.filters.mnmef import Mnmef
from mnmef.learning.checkpoints import load_checkpoint
from mnmef.systems import make_system


class Recorder:
    """Watches a run (see `mnmef.assimilation.cycling.run_filter`) and keeps the weights (T, K, distances) of its
    analyses.
    """

    def __init__(self, filter_: Mnmef, observations: Tensor, distances: int) -> None:
        self._filter, self._observations = filter_, observations
        self.weights = torch.full((*observations.shape[:2], distances), torch.nan)

    def __call__(self, k: int, result: CycleResult, truth: Tensor) -> None:
        """Keep the weights of the analysis of cycle k, which are a function of its forecast."""
        forecast = result.forecast
        feature = self._filter.feature(forecast, self._filter.system.observe(forecast))
        self.weights[:, k] = self._filter.distance_weights(feature, self._observations[:, k]).cpu()


def record_weights(
    split: xr.Dataset,
    method: str,
    sigma_y: float,
    checkpoints: Mapping[int, Path],
    *,
    model: Mapping[str, Any],
    radii: Mapping[int, float],
    trajectories: int,
    cycles: int,
    seed: int,
) -> xr.Dataset:
    """The weight of every distance in every analysis of runs on the test `split`, from the first cycle on.

    checkpoints: weights of MNMEF for each ensemble size; radii: LETKF's localization radius, grid points, tuned for it.
    trajectories, cycles: the first so many.
    Returns weight (ensemble_size, trajectory, cycle, distance) in [0, 2], NaN from the cycle on at which a trajectory
    diverged, and Gaspari and Cohn's taper (ensemble_size, distance) at the radius.
    Raises `ValueError` for a filter without learned localization.
    """
    system = make_system(split.attrs["system"])
    device = default_device()
    distances = np.unique(system.distances())
    parts = []
    for members, path in checkpoints.items():
        filter_ = load_checkpoint(path, name="mnmef", system=system.name, sigma_y=sigma_y, model=model).to(device)
        if not isinstance(filter_, Mnmef) or not filter_.is_localized:
            raise ValueError(f"{path} has no learned localization: model.localization must be true")
        first, observations, truth = (
            t.to(device) for t in load_trial(split, sigma_y, members, torch.float32, trajectories, cycles)
        )
        recorder = Recorder(filter_, observations, len(distances))
        draw = noise_source(seed, method, members, (len(first), members, system.observation_size))
        title = f"weights {sigma_y} N={members}"
        with torch.no_grad(), tqdm(total=cycles, desc=title, unit="cycle", mininterval=5) as bar:
            record = run_filter(
                filter_, system, first, observations, truth, draw, observe=recorder, progress=lambda _: bar.update()
            )
        lost = record.error_norm.isnan()
        parts.append(recorder.weights.masked_fill(lost[..., None], torch.nan).numpy())
    dataset = _as_dataset(np.stack(parts), split, method, sigma_y, list(checkpoints), distances)
    used = [radii[members] for members in checkpoints]
    taper = np.stack([gaspari_cohn(distances, radius) for radius in used])
    texts = {"radius": "tuned localization radius of LETKF", "taper": "taper of Gaspari and Cohn at this radius"}
    dataset["radius"] = ("ensemble_size", used, {"long_name": texts["radius"], "units": "grid points"})
    dataset["taper"] = (("ensemble_size", "distance"), taper, {"long_name": texts["taper"], "units": "1"})
    return dataset


def _as_dataset(
    weights: np.ndarray, split: xr.Dataset, method: str, sigma_y: float, sizes: list[int], distances: np.ndarray
) -> xr.Dataset:
    text = "learned localization weight of pairs at this cyclic distance"
    dims = ("ensemble_size", "trajectory", "cycle", "distance")
    return xr.Dataset(
        {"weight": (dims, weights, {"long_name": text, "units": "1"})},
        coords={
            "ensemble_size": sizes,
            "cycle": split["cycle"].values[: weights.shape[2]],
            "distance": ("distance", distances, {"long_name": "cyclic distance", "units": "grid points"}),
        },
        attrs={
            "title": f"Learned localization of {method} on {split.attrs['system']}, sigma_y = {sigma_y}",
            "system": split.attrs["system"],
            "split": split.attrs["split"],
            "method": method,
            "sigma_y": str(sigma_y),
        },
    )
