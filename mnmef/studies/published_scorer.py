"""Scores of settings of a classical filter under the published protocol, on trials that they all share.

The protocol says how long a trial is, where it begins, and what it is scored against. In each trial, truth and first
ensemble are independent draws from N(x0, v I), x0 being where DAPPER's model starts. Source: the configuration released
with the paper, in `mnmef/experiments/paper`.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from mnmef.assimilation.cycling import run_filter
from mnmef.assimilation.metrics import time_mean_rmse
from mnmef.core.names import LOCALIZED_METHODS, stream_of
from mnmef.core.seeds import torch_generator
from mnmef.experiments.experiment import Experiment
from mnmef.filters.classical import Setting, make_classical
from mnmef.io.resume import ResumeFile
from mnmef.search.engines import WORKING_BYTES, settings_per_chunk
from mnmef.search.race import Race
from mnmef.search.trial import Trial


@dataclass(frozen=True)
class PublishedProtocol:
    """Protocol of the baselines of an experiment.

    Parameters
    ----------
    cycles : int
        Of each trial.
    burn_in_time : float
        Cycles up to and including it are dropped; model time units.
    trials : int
        Of the published score.
    first_variance : float
        v of N(x0, v I), squared state units.
    """

    cycles: int
    burn_in_time: float
    trials: int
    first_variance: float

    def burn_in_cycles(self, experiment: Experiment) -> int:
        """Return the number of dropped cycles: observation times that are not later than the burn-in."""
        return int(np.floor(self.burn_in_time / experiment.cycle_length + 1e-9))

    def capped(self, cycles: int | None) -> "PublishedProtocol":
        """Return the protocol with at most `cycles` cycles, the burn-in shortened in proportion."""
        if cycles is None or cycles >= self.cycles:
            return self
        return replace(self, cycles=cycles, burn_in_time=self.burn_in_time * cycles / self.cycles)


@dataclass(frozen=True)
class PublishedTrials:
    """Trials of one experiment in double precision.

    Parameters
    ----------
    truth : Tensor (T, K, Nx)
    first : Tensor (T, N, Nx)
        First ensembles, with the members of the largest one.
    noise : Tensor (T, K, d)
        Standard normal draws of the observations.
    scale : array (T,)
        Root-mean-square of a second, independent truth of each trial.
    """

    truth: Tensor
    first: Tensor
    noise: Tensor
    scale: np.ndarray


def simulate_trials(
    experiment: Experiment, protocol: PublishedProtocol, trials: int, members: int, seed: int
) -> PublishedTrials:
    """Draw `trials` trials with first ensembles of `members`, from streams named by the experiment."""
    labels = ("truth", "ensemble", "noise")
    streams = {label: torch_generator(seed, "published", experiment.name, label) for label in labels}

    def normal(stream: str, *shape: int) -> Tensor:
        return torch.randn(shape, generator=streams[stream], dtype=torch.float64)

    center, spread = torch.from_numpy(experiment.system.reference_state()), protocol.first_variance**0.5
    size, burn_in = experiment.state_size, protocol.burn_in_cycles(experiment)
    # The first half are the truths to be estimated, the second half those that only give the scale.
    state = center + spread * normal("truth", 2 * trials, size)
    truth = torch.empty(trials, protocol.cycles, size, dtype=torch.float64)
    squares = torch.zeros(trials, dtype=torch.float64)
    for k in range(protocol.cycles):
        state = experiment.propagate(state)
        truth[:, k] = state[:trials]
        if k >= burn_in:
            squares += state[trials:].square().mean(-1)
    first = center + spread * normal("ensemble", trials, members, size)
    noise = normal("noise", trials, protocol.cycles, experiment.observation_size)
    return PublishedTrials(truth, first, noise, (squares / (protocol.cycles - burn_in)).sqrt().numpy())


@dataclass(frozen=True)
class PublishedSearch:
    """A published search done again.

    Parameters
    ----------
    experiment : Experiment
    sigma_y : float
        Noise level, state units.
    method : str
        Classical filter.
    grid : mapping
        The published grid of the experiment, with its `protocol`.
    seed : int
        Root of truths, ensembles and noise.
    lag : int
        Cycles of the window of `ienks`.
    model_dtype : dtype or None
        Precision of the forecasts; None for that of the analyses, which are in double precision.
    """

    experiment: Experiment
    sigma_y: float
    method: str
    grid: Mapping[str, Any]
    seed: int
    lag: int = 2
    model_dtype: torch.dtype | None = torch.float32


class Scorer:
    """Scores of the settings of one search on trials that they all share.

    Truths, observations, first ensembles and analysis noise are those of the trial whatever the setting, the number of
    trials or cycles, and the chunk that it is run in.

    Parameters
    ----------
    search : PublishedSearch
    race : Race
        For its number of trials and its cap on cycles.
    partial : str or Path or None
        File of finished scores.
    code : str
        Digest of the program; the scores of another one are not used.
    """

    def __init__(self, search: PublishedSearch, race: Race, partial: str | Path | None = None, code: str = "") -> None:
        self.search, self.experiment = search, replace(search.experiment, model_dtype=search.model_dtype)
        self.protocol = PublishedProtocol(**search.grid["protocol"]).capped(race.cycles)
        self.burn_in = self.protocol.burn_in_cycles(self.experiment)
        # The largest published size, so that a cell does not depend on which others are asked for.
        members = max(search.grid["inflation"]["default"])
        about = [self.experiment.name, search.sigma_y, search.method, search.lag, search.seed, str(search.model_dtype)]
        depends_on = [code, *about, race.trials, members, asdict(self.protocol)]
        self.known = ResumeFile(partial, hashlib.sha256(json.dumps(depends_on).encode()).hexdigest()[:16])
        self.trials = simulate_trials(search.experiment, self.protocol, race.trials, members, search.seed)
        self.observations = self.experiment.observe(self.trials.truth) + search.sigma_y * self.trials.noise

    def scores(
        self, members: int, settings: Sequence[Setting], trials: int | None = None, cycles: int | None = None
    ) -> np.ndarray:
        """Score settings on the first trials.

        Parameters
        ----------
        members : int
            Ensemble size.
        settings : sequence of Setting
        trials : int or None
            Number of trials; all by default.
        cycles : int or None
            Cycles after the burn-in; all of the protocol by default, or if it is larger.

        Returns
        -------
        array (S, T)
            RMSE, averaged over cycles after the burn-in; NaN where the trial diverged, also during the burn-in.
        """
        name, search = self.experiment.name, self.search
        trials = min(trials or len(self.trials.truth), len(self.trials.truth))
        end = min(self.burn_in + (cycles or self.protocol.cycles), self.protocol.cycles)
        trial = Trial(name, search.sigma_y, search.method, members, 1, end, search.seed)
        # Number of runs that fit into memory: some settings on all trials, or one setting on some.
        runs = settings_per_chunk(self.experiment, trial, WORKING_BYTES)
        chunk, block = max(1, runs // trials), min(runs, trials)
        blocks = [slice(begin, min(begin + block, trials)) for begin in range(0, trials, block)]
        jobs = []
        for part in blocks:
            missing = [s for s in settings if self._key(members, end, s, part) not in self.known]
            jobs += [(missing[begin : begin + chunk], part) for begin in range(0, len(missing), chunk)]
        total = end * sum(len(some) * (part.stop - part.start) for some, part in jobs)
        title = f"{name} {search.sigma_y} {search.method} N={members}"
        with torch.no_grad(), tqdm(total=total, desc=title, unit="cycle", unit_scale=True, mininterval=5) as bar:
            for some, part in jobs:
                self._run(members, end, some, part, bar)
        found = [[self.known[self._key(members, end, s, part)] for part in blocks] for s in settings]
        return np.array([np.concatenate(row) for row in found]).reshape(len(settings), trials)

    def _run(self, members: int, end: int, settings: Sequence[Setting], part: slice, bar: tqdm) -> None:
        """Run the first `end` cycles of `settings` on the trials `part` and keep the scores."""
        search, name = self.search, self.experiment.name
        inflation = np.array([s[0] for s in settings])
        radius = np.array([s[1] for s in settings]) if search.method in LOCALIZED_METHODS else None
        first = self.trials.first[part, :members]
        stream = ("published", name, stream_of(search.method), members, search.sigma_y)
        generator = torch_generator(search.seed, *stream)
        # All trials are drawn and some used, so that a trial has its noise whichever others are run with it.
        shape = (len(self.trials.truth), members, self.experiment.observation_size)
        record = run_filter(
            make_classical(search.method, self.experiment, search.sigma_y, inflation, radius, lag=search.lag),
            self.experiment,
            first.expand(len(settings), *first.shape),
            self.observations[part, :end],
            self.trials.truth[part, :end],
            lambda: torch.randn(shape, generator=generator, dtype=torch.float64)[part],
            on_cycle=lambda *_: bar.update(len(settings) * (part.stop - part.start)),
        )
        scores = time_mean_rmse(record.rmse.numpy(), self.burn_in)
        scores[(record.diverged_at >= 0).numpy()] = np.nan  # also a run that broke down during the burn-in
        keys = [self._key(members, end, setting, part) for setting in settings]
        self.known.add(dict(zip(keys, scores.tolist(), strict=True)))

    @staticmethod
    def _key(members: int, end: int, setting: Setting, part: slice) -> tuple[float | None, ...]:
        """Return the key of a setting's scores in the resume file."""
        return (members, end, *setting, part.start, part.stop)
