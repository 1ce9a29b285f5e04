"""The published baselines, run again: the batched filters at the published settings under the published protocol.

In each trial, truth and first ensemble are independent draws from N(x0, v I), x0 being where DAPPER's model starts. The
RMSE of the analysis mean is averaged over the cycles after the burn-in, and the R-RMSE is that number divided by the
root-mean-square of the components of a second, independent truth over the same cycles.

A published score is the smallest of its grid, on the trials that it was chosen on, so that it is a little too small: a
fresh run at the chosen setting is expected to lie above it, by about one standard error where the grid is flat.
Source: the configuration released with the paper, `resources/published/search_grids.yaml`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from mnmef.cycling import run_filter
from mnmef.errors import unknown_name
from mnmef.filters.classical import make_classical
from mnmef.grids import WINNER_COLUMNS
from mnmef.metrics import mean_over_survivors, time_mean_rmse
from mnmef.seeds import torch_generator
from mnmef.systems import System, make_system
from mnmef.systems.kuramoto_sivashinsky import reference_state

AGREES = "agrees within 3 standard errors"
BETTER = "better"
WORSE = "worse"
SURVIVORS = "published value is over surviving trials only"


@dataclass(frozen=True)
class Protocol:
    """How the baselines of a system were scored.

    cycles: per trial. burn_in_time: in model time units; cycles up to and including it are dropped. trials: of the
    published score. first_variance: v of N(x0, v I).
    """

    cycles: int
    burn_in_time: float
    trials: int
    first_variance: float

    def burn_in_cycles(self, system: System) -> int:
        """Number of cycles dropped: observation times that are not later than the burn-in."""
        return int(np.floor(self.burn_in_time / system.cycle_length + 1e-9))


@dataclass(frozen=True)
class Experiment:
    """The trials of one system: truth (T, K, Nx), first ensembles (T, 100, Nx), observation noise (T, K, d).

    scale: root-mean-square (T,) of the second truth of each trial. Double precision.
    """

    truth: Tensor
    first: Tensor
    noise: Tensor
    scale: np.ndarray


def first_state(system: System) -> Tensor:
    """The state x0 (Nx,) from which DAPPER's model of the system starts."""
    if system.name == "lorenz63":
        return torch.tensor([1.509, -1.531, 25.46], dtype=torch.float64)
    if system.name == "lorenz96":
        return torch.eye(1, system.state_size, dtype=torch.float64)[0]
    if system.name == "ks":
        return torch.from_numpy(reference_state(system.state_size, system.step_size))
    raise ValueError(unknown_name("system", system.name, ("lorenz63", "lorenz96", "ks")))


def simulate_experiment(system: System, protocol: Protocol, trials: int, members: int, seed: int) -> Experiment:
    """Draw `trials` trials with first ensembles of `members`, from streams named by the system."""
    streams = {what: torch_generator(seed, "published", system.name, what) for what in ("truth", "ensemble", "noise")}

    def normal(stream: str, *shape: int) -> Tensor:
        return torch.randn(shape, generator=streams[stream], dtype=torch.float64)

    center, spread = first_state(system), protocol.first_variance**0.5
    size, burn_in = system.state_size, protocol.burn_in_cycles(system)
    # The first half are the truths to be estimated, the second half those that only give the scale.
    state = center + spread * normal("truth", 2 * trials, size)
    truth = torch.empty(trials, protocol.cycles, size, dtype=torch.float64)
    squares = torch.zeros(trials, dtype=torch.float64)
    for k in range(protocol.cycles):
        state = system.propagate(state)
        truth[:, k] = state[:trials]
        if k >= burn_in:
            squares += state[trials:].square().mean(-1)
    first = center + spread * normal("ensemble", trials, members, size)
    noise = normal("noise", trials, protocol.cycles, system.observation_size)
    return Experiment(truth, first, noise, (squares / (protocol.cycles - burn_in)).sqrt().numpy())


def check_published(
    cells: pd.DataFrame,
    grids: Mapping[str, Any],
    *,
    seed: int,
    trials: int = 64,
    model_dtype: torch.dtype | None = torch.float32,
) -> pd.DataFrame:
    """Run every cell of `cells`, rows of the published table, and set our scores beside the published ones.

    grids: the published grids with their `protocol`. trials: of ours, whatever the published number of trials.
    model_dtype: precision of the forecasts; analyses are in double precision.
    Returns system, sigma_y, method, ensemble_size, inflation, localization_radius, published_rmse, rmse,
    standard_error (of rmse - published_rmse, from both spreads over trials), published_rrmse, rrmse, n_trials,
    published_n_trials, n_diverged and verdict (see `verdict`).
    """
    # System by system, so that the truths of one only are in memory.
    ordered = cells.reset_index(drop=True).sort_values("system", kind="stable")
    rows = []
    experiments: dict[str, Experiment] = {}
    with tqdm(total=len(cells), desc="published baselines", unit="cell", mininterval=5) as bar:
        for cell in ordered.to_dict("records"):
            name = cell["system"]
            if name not in grids:
                raise ValueError(unknown_name("system in the published grids", name, grids))
            protocol = Protocol(**grids[name]["protocol"])
            if name not in experiments:
                members = int(cells.loc[cells["system"] == name, "ensemble_size"].max())
                experiments = {name: simulate_experiment(make_system(name), protocol, trials, members, seed)}
            rows.append(_check(cell, protocol, experiments[name], make_system(name, model_dtype), seed))
            bar.update()
    return pd.DataFrame(rows, index=ordered.index).sort_index()


def _check(
    cell: Mapping[str, Any], protocol: Protocol, experiment: Experiment, system: System, seed: int
) -> dict[str, Any]:
    """One row of `check_published`."""
    method, sigma_y, members = cell["method"], float(cell["sigma_y"]), int(cell["ensemble_size"])
    radius = None if pd.isna(cell["localization_radius"]) else float(cell["localization_radius"])
    generator = torch_generator(seed, "published", system.name, method, members, sigma_y)
    shape = (len(experiment.truth), members, system.observation_size)
    with torch.no_grad():
        record = run_filter(
            make_classical(method, system, sigma_y, float(cell["inflation"]), radius),
            system,
            experiment.first[:, :members],
            system.observe(experiment.truth) + sigma_y * experiment.noise,
            experiment.truth,
            lambda: torch.randn(shape, generator=generator, dtype=torch.float64),
        )
    scores = time_mean_rmse(record.rmse.numpy(), protocol.burn_in_cycles(system))
    scores[(record.diverged_at >= 0).numpy()] = np.nan  # also a run that broke down during the burn-in
    rmse, deviation, diverged = mean_over_survivors(scores)
    survivors = len(scores) - diverged
    error = np.sqrt(deviation**2 / max(survivors, 1) + cell["rmse_std_over_trials"] ** 2 / protocol.trials)
    return {
        **{key: cell[key] for key in WINNER_COLUMNS},
        "published_rmse": cell["rmse"],
        "rmse": rmse,
        "standard_error": error,
        "published_rrmse": cell["rrmse"],
        "rrmse": mean_over_survivors(scores / experiment.scale)[0],
        "n_trials": len(scores),
        "published_n_trials": protocol.trials,
        "n_diverged": diverged,
        "verdict": verdict(cell["rmse"], rmse, error, diverged, bool(cell["some_trials_diverged"])),
    }


def verdict(published: float, ours: float, standard_error: float, diverged: int, published_diverged: bool) -> str:
    """Which of the two RMSE is smaller, if they differ by more than 3 standard errors of their difference.

    A published mean over surviving trials is not compared. If only trials of ours diverged, ours is worse.
    """
    if published_diverged:
        return SURVIVORS
    if diverged > 0 or ours - published > 3 * standard_error:
        return WORSE
    return BETTER if published - ours > 3 * standard_error else AGREES
