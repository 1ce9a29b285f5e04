"""Windows of truths under way in a training: which truth, where in it, and the ensemble."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mnmef.core.devices import upload
from mnmef.core.seeds import torch_generator
from mnmef.experiments.experiment import Experiment
from mnmef.learning.options import TrainingOptions


@dataclass
class Batch:
    """Windows under way with ensembles of one size.

    Parameters
    ----------
    window : Tensor (B,)
        Index of the truth.
    position : Tensor (B,)
        Index of the observation time in it.
    remaining : Tensor (B,)
        Cycles left.
    ensemble : Tensor (B, N, Nx)
        Last analysis, state units.
    large : Tensor (B, M, Nx)
        The same of the large ensembles whose means are targets, M = `target_members`.
    level : Tensor (B,)
        Noise level of each window, in units of the filter's sigma_y.
    missing : Tensor (B,)
        Fraction of its observations that is missing.
    """

    window: Tensor
    position: Tensor
    remaining: Tensor
    ensemble: Tensor
    large: Tensor
    level: Tensor
    missing: Tensor


class Windows:
    """Batches of windows, one for each ensemble size, and the random numbers of a training.

    Truths come from a shuffled queue, offsets and first ensembles are drawn afresh for every window. All random numbers
    come from one generator on the CPU.

    Parameters
    ----------
    truth : Tensor (W, L + 1, Nx)
        Truths, state units; on the device of the ensembles.
    experiment : Experiment
        Experiment that they are of.
    options : TrainingOptions
        Ensemble sizes, batch, schedule and seed.
    stored : Tensor (W, L + 1, d) or None
        Observations of the truths, NaN where missing, in place of those that are drawn.
    """

    def __init__(
        self, truth: Tensor, experiment: Experiment, options: TrainingOptions, stored: Tensor | None = None
    ) -> None:
        if truth.shape[1] - 1 < options.window_cycles:
            raise ValueError(
                f"a window of {options.window_cycles} cycles needs truths of as many; these have {truth.shape[1] - 1}"
            )
        largest = options.batch_at(min(options.sizes))
        if len(truth) < largest and options.schedule == "window":
            raise ValueError(f"a batch of {largest} windows needs as many truths; there are {len(truth)}")
        if stored is not None and options.noise_range:
            raise ValueError("stored observations have one noise level: noise_range must be null")
        self.truth, self.experiment, self.options, self.stored = truth, experiment, options, stored
        self.generator = torch_generator(options.seed, "training", experiment.name, options.ensemble_size)
        self.queue = torch.empty(0, dtype=torch.int64)
        self.batches = [self._begin(members) for members in options.sizes]

    def _begin(self, members: int) -> Batch:
        """Begin the windows of one ensemble size."""
        count = self.options.batch_at(members)
        sizes = (members, self.options.target_members)
        ensembles = [torch.zeros(count, n, self.experiment.state_size, device=self.truth.device) for n in sizes]
        window, position, remaining = torch.zeros(3, count, dtype=torch.int64).unbind()
        ensemble, large = ensembles
        batch = Batch(window, position, remaining, ensemble, large, torch.ones(count), torch.zeros(count))
        self._restart(batch, torch.ones(count, dtype=torch.bool))
        if self.options.schedule == "cycle":
            # First windows of different lengths: from then on the ages of the batch are spread evenly.
            apart = self.options.gradient_cycles
            batch.remaining = apart * (1 + torch.arange(count) * (self.options.window_cycles // apart) // count)
        return batch

    def advance(self, batch: Batch) -> Tensor:
        """Begin new windows where old ones have ended, move all by one cycle, and return their truth (B, Nx)."""
        self._restart(batch, batch.remaining == 0)
        batch.position += 1
        batch.remaining -= 1
        return self._at(self.truth, batch.window, batch.position)

    @staticmethod
    def _at(values: Tensor, window: Tensor, position: Tensor) -> Tensor:
        """Truths or observations (B, ...) of windows (B,) at observation times (B,)."""
        places = upload(torch.stack((window, position)), values.device)
        return values[places[0], places[1]]

    def drop(self, batch: Batch, lost: Tensor) -> None:
        """Let windows `lost` (B,) start anew at the next cycle."""
        if self.options.schedule == "window":
            # The others are in step with each other: the lost one rejoins from a fresh ensemble about its truth.
            self.first_ensemble(batch, lost)
        else:
            batch.remaining[lost] = 0

    def _restart(self, batch: Batch, which: Tensor) -> None:
        """Begin new windows in the slots `which` (B,): next truth of the queue, random offset, fresh ensemble."""
        count = int(which.sum())
        if count == 0:
            return
        while len(self.queue) < count:
            self.queue = torch.cat((self.queue, torch.randperm(len(self.truth), generator=self.generator)))
        latest = self.truth.shape[1] - 1 - self.options.window_cycles
        batch.window[which], self.queue = self.queue[:count], self.queue[count:]
        batch.position[which] = torch.randint(latest + 1, (count,), generator=self.generator)
        batch.remaining[which] = self.options.window_cycles
        if self.options.noise_range:
            low, high = (math.log(factor) for factor in self.options.noise_range)
            batch.level[which] = (low + (high - low) * torch.rand(count, generator=self.generator)).exp()
        if self.options.missing > 0:
            fraction = 2.0 * torch.rand(count, generator=self.generator) - 1.0
            batch.missing[which] = self.options.missing * fraction.clamp(min=0.0)
        self.first_ensemble(batch, which)

    def first_ensemble(self, batch: Batch, which: Tensor) -> None:
        """Draw ensembles about the truths of the slots `which` (B,), a fraction of them about other truths."""
        count = int(which.sum())
        window, position = batch.window[which], batch.position[which]
        if self.options.misplaced > 0:
            elsewhere = torch.rand(count, generator=self.generator) < self.options.misplaced
            others = torch.randint(len(self.truth), (count,), generator=self.generator)
            window = torch.where(elsewhere, others, window)
        center, slots = self._at(self.truth, window, position), upload(which.nonzero().squeeze(-1), self.truth.device)
        for ensemble in (batch.ensemble, batch.large):
            anomalies = self.normal(count, *ensemble.shape[1:])
            ensemble[slots] = center.unsqueeze(-2) + self.experiment.first_spread * anomalies

    def observe(self, batch: Batch, truth: Tensor, sigma_y: float | Tensor) -> Tensor:
        """Return the stored observations (B, d) of a batch, or draw those of its truths (B, Nx), and take as missing
        what its fractions say.

        Drawn ones are those of a random cycle where the network changes with time.
        """
        if self.stored is not None:
            observed = self._at(self.stored, batch.window, batch.position)
        else:
            observed = self._drawn(truth, sigma_y)
        if self.options.missing:
            gone = torch.rand(observed.shape, generator=self.generator) < batch.missing.unsqueeze(-1)
            observed = observed.masked_fill(upload(gone, observed.device), torch.nan)
        return observed

    def _drawn(self, truth: Tensor, sigma_y: float | Tensor) -> Tensor:
        """Draw observations (B, d) of truths (B, Nx)."""
        operator = self.experiment.observation
        observed = operator.observe(truth)
        observed = observed + sigma_y * operator.noise_of(self.normal(*observed.shape))
        if operator.has_gaps:
            cycle, seed = (int(n) for n in torch.randint(2**31, (2,), generator=self.generator))
            gaps = operator.gaps(len(truth), [cycle], np.random.default_rng(seed))[:, 0]
            observed = observed.masked_fill(upload(torch.from_numpy(gaps), observed.device), torch.nan)
        return observed

    def dynamics(self) -> Experiment:
        """Return the experiment with a random stream, from the training's generator, if its dynamics need one."""
        if not self.experiment.is_random:
            return self.experiment
        return self.experiment.with_seed(int(torch.randint(2**31, (1,), generator=self.generator)), "training")

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers of the training's generator."""
        return upload(torch.randn(*shape, generator=self.generator), self.truth.device)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the windows, for `load_state_dict`."""
        return {
            "generator": self.generator.get_state(),
            "queue": self.queue,
            "batches": [dict(vars(batch)) for batch in self.batches],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` returned; further entries are ignored."""
        self.generator.set_state(state["generator"])
        self.queue, self.batches = state["queue"], [Batch(**batch) for batch in state["batches"]]
        for batch in self.batches:
            batch.ensemble, batch.large = batch.ensemble.to(self.truth.device), batch.large.to(self.truth.device)
