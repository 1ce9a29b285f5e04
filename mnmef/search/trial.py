"""Trial of settings of a classical filter on the tuning split."""

from dataclasses import dataclass

import torch
import xarray as xr

from mnmef.data.twin import load_trial


@dataclass(frozen=True)
class Trial:
    """Trial of a method's settings: ensemble size, and part of the tuning split.

    Parameters
    ----------
    experiment : str
        Name of the experiment.
    sigma_y : float
        Noise level, state units.
    method : str
        One of `CLASSICAL_METHODS`, or a filter of the user's.
    members : int
        Ensemble size N.
    trajectories, cycles : int
        Numbers of leading trajectories T and cycles K.
    seed : int
        Root of the analysis noise, the same for all settings.
    lag : int
        Window of `ienks`, in cycles.
    """

    experiment: str
    sigma_y: float
    method: str
    members: int
    trajectories: int
    cycles: int
    seed: int
    lag: int = 2

    def load(self, split: xr.Dataset, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Load first ensemble (T, N, Nx), observations (T, K, d) and truth (T, K, Nx).

        Raises
        ------
        ValueError
            If the split is of another experiment, or smaller than the trial.
        """
        if split.attrs["experiment"] != self.experiment:
            raise ValueError(
                f"the tuning split is one of {split.attrs['experiment']}, but {self.experiment} is searched"
            )
        return load_trial(split, self.sigma_y, self.members, dtype, self.trajectories, self.cycles)
