"""Calibration of an ensemble: CRPS, energy score, ranks of the truth and coverage; and errors by component.

The truth of a calibrated ensemble is exchangeable with its members: every rank is equally likely, and an interval of
95 % holds the truth in 95 % of the cases. Scores count every `stride`-th cycle, since neighboring cycles are alike;
errors count every cycle. There is no burn-in.
"""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from torch import Tensor

from mnmef.experiments.experiment import Experiment
from mnmef.filters.base import CycleResult
from mnmef.io.files import variable

COVERAGE = 0.95
DESCRIPTIONS = {
    "crps": "continuous ranked probability score of the analysis ensemble, mean over components and scored cycles",
    "energy_score": "energy score of the analysis ensemble, mean over scored cycles",
    "coverage": "fraction of components and scored cycles with the truth in the 95 % interval of the analysis ensemble",
    "rmse_observed": "mean over cycles of the analysis RMSE over observed components",
    "rmse_unobserved": "mean over cycles of the analysis RMSE over components that are not observed",
}


class Calibration:
    """Running sums of one run with ensembles (T, N, Nx); the `on_cycle` of `run_filter`.

    Parameters
    ----------
    trajectories, members : int
        Numbers T and N.
    experiment : Experiment
        Source of the observed components.
    stride : int
        Score cycles 0, stride, 2 stride, ...
    """

    def __init__(self, trajectories: int, members: int, experiment: Experiment, stride: int) -> None:
        self.members, self.stride = members, stride
        self.observed = np.isin(np.arange(experiment.state_size), experiment.observed)
        self.sums = {name: np.zeros(trajectories) for name in DESCRIPTIONS}
        self.ranks = np.zeros((trajectories, members + 1), dtype=np.int64)
        self.cycles = self.scored = 0

    def __call__(self, cycle: int, result: CycleResult, truth: Tensor) -> None:
        """Add one cycle: its result with ensembles (T, N, Nx), and the truth (T, Nx)."""
        analysis, there = result.analysis.detach().cpu().numpy(), truth.detach().cpu().numpy()
        square = (analysis.mean(1) - there) ** 2
        for name, chosen in (("rmse_observed", self.observed), ("rmse_unobserved", ~self.observed)):
            self.sums[name] += np.sqrt(square[:, chosen].mean(-1)) if chosen.any() else np.nan
        self.cycles += 1
        if cycle % self.stride == 0:
            self._score(analysis, there, square)

    def _score(self, analysis: np.ndarray, truth: np.ndarray, square: np.ndarray) -> None:
        # Not at the top: machines that only train have no SciPy.
        from scipy import spatial, special

        # Diverged members are zeros here, since ranks need numbers, and masked in the end.
        members, count = np.nan_to_num(analysis, posinf=0.0, neginf=0.0), self.members
        errors = members - truth[:, None]
        # Both scores: the mean distance to the truth, less half of that between two members, drawn with replacement.
        # In order of size, member k (1, ..., N) exceeds k - 1 others, and N - k exceed it.
        weights = (2 * np.arange(1, count + 1) - count - 1) / (count**2 * truth.shape[-1])
        self.sums["crps"] += np.abs(errors).mean((1, 2)) - np.einsum("n,tnx->t", weights, np.sort(members, axis=1))
        pairs = [spatial.distance.pdist(ensemble).sum() / count**2 for ensemble in members]
        self.sums["energy_score"] += np.linalg.norm(errors, axis=-1).mean(1) - pairs
        # For Gaussian members and truth from one distribution, this interval holds the truth with probability 95 %
        # at every N: the mean and the variance are estimates, and the truth is one more draw.
        reach = special.stdtrit(count - 1, 0.5 + COVERAGE / 2) * np.sqrt(1 + 1 / count)
        self.sums["coverage"] += (square <= reach**2 * members.var(1, ddof=1)).mean(-1)
        self.ranks += np.apply_along_axis(np.bincount, 1, (members < truth[:, None]).sum(1), minlength=count + 1)
        self.scored += 1

    def results(self, diverged: np.ndarray) -> dict[str, np.ndarray]:
        """Return scores (T,) by name and rank_count (T, N + 1); NaN and zero where a trajectory `diverged` (T,)."""
        means = {
            name: np.where(diverged, np.nan, total / (self.cycles if name.startswith("rmse") else self.scored))
            for name, total in self.sums.items()
        }
        return {**means, "rank_count": np.where(diverged[:, None], 0, self.ranks)}


def calibration_dataset(results: Mapping[int, Mapping[str, np.ndarray]]) -> xr.Dataset:
    """Join the results of `Calibration.results` for each ensemble size N.

    Returns
    -------
    Dataset
        Scores (ensemble_size, trajectory), and rank_count (ensemble_size, trajectory, rank): number of components and
        scored cycles in which the truth had `rank` members below it; zero beyond rank N.
    """
    dims, largest = ("ensemble_size", "trajectory"), max(results)
    dataset = xr.Dataset(coords={"ensemble_size": list(results)})
    for name, text in DESCRIPTIONS.items():
        values = np.stack([part[name] for part in results.values()]).astype(np.float32)
        dataset[name] = variable(dims, values, text)
    counts = [np.pad(part["rank_count"], ((0, 0), (0, largest - n))) for n, part in results.items()]
    text = "number of components and scored cycles in which the truth had this many members below it"
    dataset["rank_count"] = variable((*dims, "rank"), np.stack(counts).astype(np.int32), text, None)
    return dataset
