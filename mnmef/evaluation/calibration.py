"""Whether an ensemble says how wrong it is: CRPS, energy score, ranks of the truth, coverage; and errors by component.

The truth of a calibrated ensemble is exchangeable with its members: every rank is equally likely, and an interval of
95 % holds the truth in 95 % of the cases. Scores count every `stride`-th cycle, since those next to each other say the
same; errors count every cycle. Nothing is dropped as burn-in.
"""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from torch import Tensor

from mnmef.filters.base import CycleResult
from mnmef.systems.base import System

COVERAGE = 0.95
DESCRIPTIONS = {
    "crps": "continuous ranked probability score of the analysis ensemble, mean over components and scored cycles",
    "energy_score": "energy score of the analysis ensemble, mean over scored cycles",
    "coverage": "fraction of components and scored cycles with the truth in the 95 % interval of the analysis ensemble",
    "rmse_observed": "mean over cycles of the analysis RMSE over observed components",
    "rmse_unobserved": "mean over cycles of the analysis RMSE over components that are not observed",
}


class Calibration:
    """Running sums of one run with ensembles (T, N, Nx); hand it to `run_filter` as `observe`.

    stride: score cycles 0, stride, 2 stride, ...
    """

    def __init__(self, trajectories: int, members: int, system: System, stride: int) -> None:
        self.members, self.stride = members, stride
        self.observed = np.isin(np.arange(system.state_size), system.observed)
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
        # Not at the top: scoringrules takes seconds to import, and machines that only train need neither.
        import scoringrules
        from scipy.stats import t as student

        # What diverged is replaced by zeros here and masked in the end: the libraries need numbers.
        members = np.nan_to_num(analysis, posinf=0.0, neginf=0.0)
        self.sums["crps"] += scoringrules.crps_ensemble(truth, members, m_axis=1).mean(-1)
        self.sums["energy_score"] += scoringrules.es_ensemble(truth, members, m_axis=1, v_axis=-1)
        # For Gaussian members and truth from one distribution, this interval holds the truth with probability 95 %
        # at every N: the mean and the variance are estimates, and the truth is one more draw.
        reach = student.ppf(0.5 + COVERAGE / 2, self.members - 1) * np.sqrt(1 + 1 / self.members)
        self.sums["coverage"] += (square <= reach**2 * members.var(1, ddof=1)).mean(-1)
        below = (members < truth[:, None]).sum(1)
        for row, ranks in zip(self.ranks, below, strict=True):
            row += np.bincount(ranks, minlength=self.members + 1)
        self.scored += 1

    def results(self, diverged: np.ndarray) -> dict[str, np.ndarray]:
        """Scores (T,) by name, and rank_count (T, N + 1); NaN, and no counts, where a trajectory `diverged` (T,)."""
        means = {
            name: np.where(diverged, np.nan, total / (self.cycles if name.startswith("rmse") else self.scored))
            for name, total in self.sums.items()
        }
        return {**means, "rank_count": np.where(diverged[:, None], 0, self.ranks)}


def calibration_dataset(results: Mapping[int, Mapping[str, np.ndarray]]) -> xr.Dataset:
    """What `Calibration.results` returned for each ensemble size N.

    rank_count (ensemble_size, trajectory, rank): how often the truth had so many members below it, over components and
    scored cycles; zero beyond rank N.
    """
    dims = ("ensemble_size", "trajectory")
    largest = max(results)
    dataset = xr.Dataset(coords={"ensemble_size": list(results)})
    for name, text in DESCRIPTIONS.items():
        values = np.stack([part[name] for part in results.values()]).astype(np.float32)
        dataset[name] = (dims, values, {"long_name": text, "units": "1"})
    counts = [np.pad(part["rank_count"], ((0, 0), (0, largest - n))) for n, part in results.items()]
    text = "number of components and scored cycles in which the truth had this many members below it"
    dataset["rank_count"] = ((*dims, "rank"), np.stack(counts).astype(np.int32), {"long_name": text})
    return dataset
