"""Runs of a filter on the test split, for every ensemble size, with the numbers that scores and figures need."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from mnmef.assimilation.cycling import CycleRecord, OnCycle
from mnmef.assimilation.twin import run_on_twin
from mnmef.core.clock import elapsed
from mnmef.core.names import stream_of
from mnmef.core.seeds import numpy_generator
from mnmef.data.twin import load_trial
from mnmef.evaluation.calibration import Calibration, calibration_dataset
from mnmef.experiments.experiment import Experiment
from mnmef.experiments.load import experiment_of
from mnmef.filters.base import Filter
from mnmef.io.files import variable

SCORES = {
    "error_norm": "Euclidean norm of analysis mean minus truth",
    "forecast_error_norm": "Euclidean norm of forecast mean minus truth",
    "truth_norm": "Euclidean norm of the truth",
    "spread": "root of the mean over components of the analysis ensemble variance (divisor N - 1)",
}


@dataclass(frozen=True)
class EvaluationOptions:
    """Options of an evaluation: the section `evaluation` of the config, and the seed.

    Parameters
    ----------
    seed : int
        Root of the analysis noise and of climatological ensembles.
    traced : mapping
        `{"ensemble_size": N, "trajectories": m}`: keep mean and deviation of the first m trajectories of the run with
        N members; none by default.
    calibration_stride : int or None
        Add the scores of `mnmef.evaluation.calibration`, of every so many cycles.
    climatology : mapping or None
        `{"ensemble_size": N, "cycles": k}`: add a run with N members over the first k cycles from a climatological
        first ensemble, if N is evaluated.
    """

    seed: int
    traced: Mapping[str, int] = field(default_factory=lambda: {"ensemble_size": 0, "trajectories": 0})
    calibration_stride: int | None = None
    climatology: Mapping[str, int] | None = None


@dataclass(frozen=True)
class _Runs:
    """Runs of the filters of one method on a split."""

    filters: Mapping[int, Filter]
    experiment: Experiment
    split: xr.Dataset
    method: str
    sigma_y: float
    options: EvaluationOptions
    dtype: torch.dtype
    device: torch.device | str

    def load(self, members: int, cycles: int | None = None) -> list[Tensor]:
        """Load first ensembles of N = `members`, observations and truths."""
        data = load_trial(self.split, self.sigma_y, members, self.dtype, cycles=cycles)
        return [part.to(self.device) for part in data]

    def run(self, data: list[Tensor], label: str = "", traced: int = 0, watch: OnCycle | None = None) -> CycleRecord:
        """Run the filter for the ensemble size of `data`, with the analysis noise of the stream and a `label`."""
        members, stream = data[0].shape[1], stream_of(self.method) + label
        title = f"{self.experiment.name} {self.sigma_y} {stream} N={members}"
        filter_, seed = self.filters[members], self.options.seed
        return run_on_twin(
            filter_, self.experiment, data, seed=seed, stream=stream, title=title, traced=traced, on_cycle=watch
        )


def evaluate(
    filters: Mapping[int, Filter],
    split: xr.Dataset,
    method: str,
    sigma_y: float,
    options: EvaluationOptions,
    *,
    experiment: Experiment | None = None,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> xr.Dataset:
    """Run a filter on all trajectories and cycles of a split, for every ensemble size, without burn-in.

    Analysis noise comes from streams named by (method, N), drawn on the CPU.

    Parameters
    ----------
    filters : mapping of int to Filter
        The filter for each ensemble size N.
    split : Dataset
        A tune or test split.
    method : str
        Name of the method in tables.
    sigma_y : float
        Noise level, state units.
    options : EvaluationOptions
        Seed and further scores.
    experiment : Experiment, optional
        The dynamics to run; those of the split by default.
    dtype : dtype
        Of ensembles.
    device : device
        Where the filters run.

    Returns
    -------
    Dataset
        Scores (ensemble_size, trajectory, cycle), NaN from the cycle on at which a trajectory diverged, and as options
        ask for: mean and deviation (traced, cycle, state), calibration, and climatology_error_norm (trajectory,
        climatology_cycle).
    """
    experiment = experiment or experiment_of(split)
    runs = _Runs(filters, experiment, split, method, sigma_y, options, dtype, device)
    stride, records, seconds, watched = options.calibration_stride, [], [], {}
    for members in filters:
        data = runs.load(members)
        watch = Calibration(len(data[0]), members, experiment, stride) if stride else None
        traced = options.traced["trajectories"] if members == options.traced["ensemble_size"] else 0
        took, record = elapsed(partial(runs.run, data, traced=min(traced, len(data[0])), watch=watch), device)
        records.append(record)
        seconds.append(took)
        if watch is not None:
            watched[members] = watch.results(record.diverged_at.cpu().numpy() >= 0)
    dataset = scores_dataset(dict(zip(filters, records, strict=True)), split, method, sigma_y)
    dataset["seconds"] = variable("ensemble_size", seconds, "wall time of the run", "s")
    dataset = _add_traced(dataset, records, options)
    if watched:
        dataset = dataset.merge(calibration_dataset(watched)).assign_attrs(calibration_stride=stride)
    return _add_climatology(dataset, runs)


def climatological_ensemble(truth: np.ndarray, members: int, seed: int) -> np.ndarray:
    """Draw first ensembles that know the climate alone: states of the other trajectories at random cycles.

    Parameters
    ----------
    truth : ndarray (T, K, Nx)
        States to choose from.
    members : int
        Ensemble size N.
    seed : int
        Seed of the config.

    Returns
    -------
    ndarray (T, N, Nx)

    Raises
    ------
    ValueError
        If there is one trajectory only.
    """
    trajectories, cycles, _ = truth.shape
    if trajectories < 2:
        raise ValueError("a climatological first ensemble is drawn from the other trajectories, but there is only one")
    rng = numpy_generator(seed, "climatology", members)
    others = (np.arange(trajectories)[:, None] + rng.integers(1, trajectories, (trajectories, members))) % trajectories
    return truth[others, rng.integers(0, cycles, (trajectories, members))]


def scores_dataset(records: Mapping[int, CycleRecord], split: xr.Dataset, method: str, sigma_y: float) -> xr.Dataset:
    """Return the scores of runs on a split, by ensemble size, as `evaluate` does."""
    dims = ("ensemble_size", "trajectory", "cycle")

    def stacked(name: str) -> np.ndarray:
        return np.stack([getattr(record, name).cpu().numpy() for record in records.values()])

    dataset = xr.Dataset(
        {name: variable(dims, stacked(name).astype(np.float32), text) for name, text in SCORES.items()},
        coords={"ensemble_size": list(records), "cycle": split["cycle"], "model_time": split["model_time"]},
        attrs={
            "title": f"{method} on {split.attrs['experiment']} ({split.attrs['split']} split), sigma_y = {sigma_y}",
            **{name: split.attrs[name] for name in ("experiment", "description", "split")},
            "method": method,
            "sigma_y": str(sigma_y),
            "state_size": split.sizes["state"],
            "burn_in_cycles": 0,
        },
    )
    text = "cycle index at which the ensemble became non-finite, -1 for never"
    dataset["diverged_at"] = variable(dims[:2], stacked("diverged_at"), text, None)
    return dataset


def _add_traced(dataset: xr.Dataset, records: list[CycleRecord], options: EvaluationOptions) -> xr.Dataset:
    texts = {"mean": "analysis mean", "deviation": "analysis standard deviation over members (divisor N - 1)"}
    for record in records:
        if record.mean is not None:
            dims = ("traced", "cycle", "state")
            dataset = dataset.assign({n: variable(dims, getattr(record, n).numpy(), t) for n, t in texts.items()})
            dataset.attrs["traced_ensemble_size"] = options.traced["ensemble_size"]
    return dataset


def _add_climatology(dataset: xr.Dataset, runs: _Runs) -> xr.Dataset:
    options = runs.options
    if options.climatology is None or options.climatology["ensemble_size"] not in runs.filters:
        return dataset
    members = options.climatology["ensemble_size"]
    data = runs.load(members, options.climatology["cycles"])
    first = climatological_ensemble(runs.split["truth"].values, members, options.seed)
    record = runs.run([torch.from_numpy(first).to(data[0]), *data[1:]], "/climatology")
    with np.errstate(over="ignore"):  # the error of a filter that diverges may become infinite
        values = record.error_norm.numpy().astype(np.float32)
    text = f"Euclidean norm of analysis mean minus truth, run with {members} members from a climatological ensemble"
    dataset["climatology_error_norm"] = variable(("trajectory", "climatology_cycle"), values, text)
    return dataset.assign_attrs(climatology_ensemble_size=members)
