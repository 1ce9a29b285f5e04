"""Run a filter over the test split for every ensemble size and keep what figures and scores need."""

import time
from collections.abc import Callable, Mapping

import numpy as np
import torch
import xarray as xr
from tqdm import tqdm

from mnmef.assimilation.cycling import CycleRecord, noise_source, run_filter
from mnmef.core.seeds import numpy_generator
from mnmef.data.twin import load_trial
from mnmef.evaluation.calibration import Calibration, calibration_dataset
from mnmef.filters.base import Filter
from mnmef.systems import System, make_system

Trial = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""First ensemble (T, N, Nx), observations (T, K, d) and truth (T, K, Nx)."""

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
    calibration_stride: int | None = None,
    climatology: Mapping[str, int] | None = None,
    system: System | None = None,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> xr.Dataset:
    """Scores of `make_filter(N)` for every N on all trajectories and cycles of `split`, without burn-in.

    split: a tune or test split. sigma_y: which of its noise levels. method: the name that the scores go by.
    traced: `{"ensemble_size": N, "trajectories": m}`: keep mean and deviation of the first m trajectories of the run
    with N members.
    calibration_stride: add the scores of `mnmef.evaluation.calibration`, of every so many cycles. climatology:
    `{"ensemble_size": N, "cycles": k}`: add climatology_error_norm (trajectory, climatology_cycle) of a run over the
    first k cycles from a climatological first ensemble, if N is among `ensemble_sizes`.
    system: the dynamics to run, those of the split by default. dtype: of ensembles.
    Analysis noise comes from streams named by (method, N), drawn on the CPU.
    Returns dimensions (ensemble_size, trajectory, cycle); a trajectory's scores are NaN from the cycle at which it
    diverged.
    """
    system = system or make_system(split.attrs["system"])

    def run(trial: Trial, stream: str, keep: int = 0, observe: Calibration | None = None) -> CycleRecord:
        first, observations, truth = (t.to(device) for t in trial)
        members = first.shape[1]
        draw = noise_source(seed, stream, members, (len(first), members, system.observation_size))
        title = f"{system.name} {sigma_y} {stream} N={members}"
        with torch.no_grad(), tqdm(total=truth.shape[1], desc=title, unit="cycle", mininterval=5) as bar:
            return run_filter(
                make_filter(members),
                system,
                first,
                observations,
                truth,
                draw,
                traced=min(keep, len(first)),
                observe=observe,
                progress=lambda _: bar.update(),
            )

    records: list[CycleRecord] = []
    seconds: list[float] = []
    watched: dict[int, Mapping[str, np.ndarray]] = {}
    for members in ensemble_sizes:
        trial = load_trial(split, sigma_y, members, dtype)
        watch = Calibration(len(trial[0]), members, system, calibration_stride) if calibration_stride else None
        keep = traced["trajectories"] if members == traced["ensemble_size"] else 0
        began = time.monotonic()
        records.append(run(trial, method, keep, watch))
        seconds.append(time.monotonic() - began)
        if watch is not None:
            watched[members] = watch.results(records[-1].diverged_at.cpu().numpy() >= 0)
    dataset = _as_dataset(records, seconds, split, method, sigma_y, ensemble_sizes, traced)
    if watched:
        dataset = dataset.merge(calibration_dataset(watched)).assign_attrs(calibration_stride=calibration_stride)
    if climatology is not None and climatology["ensemble_size"] in ensemble_sizes:
        members = climatology["ensemble_size"]
        _, observations, truth = load_trial(split, sigma_y, members, dtype, cycles=climatology["cycles"])
        first = torch.from_numpy(climatological_ensemble(split["truth"].values, members, seed)).to(dtype)
        _add_climatology(dataset, run((first, observations, truth), f"{method}/climatology"), members)
    return dataset


def climatological_ensemble(truth: np.ndarray, members: int, seed: int) -> np.ndarray:
    """First ensembles (T, N, Nx) that know the climate and nothing else: for each trajectory, states of the other
    trajectories of truth (T, K, Nx) at random cycles.

    Raises `ValueError` if there is one trajectory only.
    """
    trajectories, cycles, _ = truth.shape
    if trajectories < 2:
        raise ValueError("a climatological first ensemble is drawn from the other trajectories, but there is only one")
    rng = numpy_generator(seed, "climatology", members)
    others = (np.arange(trajectories)[:, None] + rng.integers(1, trajectories, (trajectories, members))) % trajectories
    return truth[others, rng.integers(0, cycles, (trajectories, members))]


def _add_climatology(dataset: xr.Dataset, record: CycleRecord, members: int) -> None:
    with np.errstate(over="ignore"):  # of a filter that diverges, the error may become infinite
        values = record.error_norm.numpy().astype(np.float32)
    text = f"Euclidean norm of analysis mean minus truth, run with {members} members from a climatological ensemble"
    dataset["climatology_error_norm"] = (
        ("trajectory", "climatology_cycle"),
        values,
        {"long_name": text, "units": "1"},
    )
    dataset.attrs["climatology_ensemble_size"] = members


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
            "state_size": split.sizes["state"],
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
