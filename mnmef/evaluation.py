"""Run a filter over the test split for every ensemble size and keep what figures and scores need."""

import time
from collections.abc import Callable, Mapping

import numpy as np
import torch
import xarray as xr
from tqdm import tqdm

from mnmef.cycling import CycleRecord, run_filter
from mnmef.data import load_trial
from mnmef.filters.base import Filter
from mnmef.seeds import torch_generator
from mnmef.systems import System, make_system

SCORES = {
    "error_norm": "Euclidean norm of analysis mean minus truth",
    "forecast_error_norm": "Euclidean norm of forecast mean minus truth",
    "truth_norm": "Euclidean norm of the truth",
    "spread": "root of the mean over components of the analysis ensemble variance (divisor N - 1)",
}


def evaluate(
    make_filter: Callable[[int], Filter],
    split: xr.Dataset,
    method: str,
    sigma_y: float,
    ensemble_sizes: list[int],
    *,
    traced: Mapping[str, int],
    seed: int,
    system: System | None = None,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> xr.Dataset:
    """Scores of `make_filter(N)` for every N on all trajectories and cycles of `split`, without burn-in.

    split: a tune or test split. sigma_y: which of its noise levels. method: the name that the scores go by.
    traced: `{"ensemble_size": N, "trajectories": m}`: keep mean and deviation of the first m trajectories of the run
    with N members.
    system: the dynamics to run, those of the split by default. dtype: of ensembles.
    Analysis noise comes from streams named by (method, N), drawn on the CPU.
    Returns dimensions (ensemble_size, trajectory, cycle); a trajectory's scores are NaN from the cycle at which it
    diverged.
    """
    system = system or make_system(split.attrs["system"])
    records: list[CycleRecord] = []
    seconds: list[float] = []
    for members in ensemble_sizes:
        first, observations, truth = (t.to(device) for t in load_trial(split, sigma_y, members, dtype))
        keep = traced["trajectories"] if members == traced["ensemble_size"] else 0
        draw = noise_source(seed, method, members, (len(first), members, system.observation_size))
        filter_ = make_filter(members)
        began = time.monotonic()
        with (
            torch.no_grad(),
            tqdm(
                total=truth.shape[1], desc=f"{system.name} {sigma_y} {method} N={members}", unit="cycle", mininterval=5
            ) as bar,
        ):
            records.append(
                run_filter(
                    filter_,
                    system,
                    first,
                    observations,
                    truth,
                    draw,
                    traced=min(keep, len(first)),
                    progress=lambda _: bar.update(),
                )
            )
        seconds.append(time.monotonic() - began)
    return _as_dataset(records, seconds, split, method, sigma_y, ensemble_sizes, traced)


def noise_source(seed: int, method: str, members: int, shape: tuple[int, ...]) -> Callable[[], torch.Tensor]:
    """A function that returns the next standard normal draws of `shape` from the stream of (method, members)."""
    generator = torch_generator(seed, "analysis", method, members)
    return lambda: torch.randn(shape, generator=generator)


def _as_dataset(
    records: list[CycleRecord],
    seconds: list[float],
    split: xr.Dataset,
    method: str,
    sigma_y: float,
    ensemble_sizes: list[int],
    traced: Mapping[str, int],
) -> xr.Dataset:
    dims = ("ensemble_size", "trajectory", "cycle")
    variables = {
        name: (
            dims,
            np.stack([getattr(r, name).numpy() for r in records]).astype(np.float32),
            {"long_name": text, "units": "1"},
        )
        for name, text in SCORES.items()
    }
    dataset = xr.Dataset(
        variables,
        coords={"ensemble_size": ensemble_sizes, "cycle": split["cycle"], "model_time": split["model_time"]},
        attrs={
            "title": f"{method} on the {split.attrs['split']} split of {split.attrs['system']}, sigma_y = {sigma_y}",
            "system": split.attrs["system"],
            "split": split.attrs["split"],
            "method": method,
            "sigma_y": str(sigma_y),
            "burn_in_cycles": 0,
        },
    )
    dataset["diverged_at"] = (
        dims[:2],
        np.stack([r.diverged_at.cpu().numpy() for r in records]),
        {"long_name": "cycle index at which the ensemble became non-finite, -1 for never"},
    )
    dataset["seconds"] = ("ensemble_size", seconds, {"long_name": "wall time of the run", "units": "s"})
    for record in records:
        if record.mean is not None and record.deviation is not None:
            dataset["mean"] = (
                ("traced", "cycle", "state"),
                record.mean.numpy(),
                {"long_name": "analysis mean", "units": "1"},
            )
            text = "analysis standard deviation over members (divisor N - 1)"
            dataset["deviation"] = (
                ("traced", "cycle", "state"),
                record.deviation.numpy(),
                {"long_name": text, "units": "1"},
            )
            dataset.attrs["traced_ensemble_size"] = traced["ensemble_size"]
    return dataset
