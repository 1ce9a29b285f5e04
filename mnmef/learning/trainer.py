"""Training and fine-tuning of a learned filter, by the paper's schedule or by one optimizer step per assimilation
cycle.

The gradient is truncated at every cycle (J0 = 1 in the paper): the ensemble is detached after each analysis, so the
gradient of a cycle's loss is local to that cycle; with `gradient_cycles` it is detached after so many, and the gradient
runs through their forecasts and analyses. Both schedules are one loop. `window` adds up the gradients of all cycles of
a batch of windows that start together and steps once at their end. `cycle` steps each time the ensemble is detached, on
a batch of windows whose ages are staggered, so that each step sees early and late cycles alike.
"""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mnmef.core.devices import upload
from mnmef.core.graphs import Recorded, is_wanted
from mnmef.core.hardware import keep_freed_memory
from mnmef.core.threads import torch_threads
from mnmef.experiments.experiment import Experiment
from mnmef.filters.esrf import ESRF
from mnmef.filters.learned import LearnedFilter
from mnmef.learning.losses import LOSSES, OF_TRUTH
from mnmef.learning.optimizers import OPTIMIZERS
from mnmef.learning.options import TrainingOptions
from mnmef.learning.windows import Windows

CURVE_POINTS = 200

LARGE_INFLATION = 1.01
"""Inflation of the large ensemble whose mean may stand for the truth."""


class Chunk(NamedTuple):
    """Result of the cycles between two truncations of the gradient for a part of the batch.

    Attributes
    ----------
    analysis : Tensor (B, N, Nx)
    used : Tensor (B,)
        Windows whose loss counts in every cycle.
    loss : Tensor ()
        Sum over windows, mean over cycles.
    gradients : tuple of Tensor or None
        Of their share in the batch's mean loss, in the order of the parameters; None for a parameter without any.
    """

    analysis: Tensor
    used: Tensor
    loss: Tensor
    gradients: tuple[Tensor | None, ...]


def _at_truth(ensembles: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Return ensembles (B, N, Nx), at the truth (B, Nx) where they are not finite, and where (B,) that is."""
    lost = ~ensembles.detach().isfinite().flatten(1).all(-1)
    return torch.where(lost[:, None, None], truth[:, None], ensembles), lost


class Trainer:
    """The state of a training: weights, optimizer, batches of windows under way, random numbers and counters."""

    def __init__(
        self,
        filter_: LearnedFilter,
        truth: Tensor | tuple[Tensor, Tensor],
        options: TrainingOptions,
        windows: type[Windows] = Windows,
    ) -> None:
        keep_freed_memory()
        # The momentum of a unit that has died decays into denormal numbers, with which a step takes twice the time.
        torch.set_flush_denormal(True)
        self.filter, self.experiment, self.options = filter_, filter_.experiment, options
        self.device = next(filter_.parameters()).device
        states, *stored = (given.to(self.device) for given in (truth if isinstance(truth, tuple) else (truth,)))
        self.windows = windows(states, self.experiment, options, *stored)
        self.batch = self.windows.batches[-1]
        # Fine-tuning changes all weights of a filter without heads.
        heads = getattr(filter_, "head_parameters", filter_.parameters)
        self.parameters = list(heads() if options.heads_only else filter_.parameters())
        if options.noise_range and not filter_.serves_any_noise:
            raise ValueError(f"noise_range must be null for {filter_.name}, which serves a single sigma_y")
        filter_.requires_grad_(False)
        for parameter in self.parameters:
            parameter.requires_grad_(True)
        self.optimizers = OPTIMIZERS[options.optimizer](self.parameters, options.learning_rate, options.weight_decay)
        self.large = ESRF(filter_.sigma_y, LARGE_INFLATION)
        self.step_number = 0
        self.pool: ThreadPoolExecutor | None = None
        self.assimilators: dict[float, Callable[..., Chunk]] = {}
        self.curve: list[dict[str, float]] = []
        self.lost_windows = self.skipped_steps = self.lost_in_a_row = 0
        self.loss_sum, self.loss_count = torch.zeros((), dtype=torch.float64, device=self.device), 0
        self.started, self.earlier_seconds = time.monotonic(), 0.0

    def optimizer_step(self) -> None:
        """Run the cycles of a step (`gradient_cycles`, or a window), then step; skip and count a bad gradient."""
        parts = self.options.window_cycles // self.options.gradient_cycles if self.options.schedule == "window" else 1
        for group in (group for optimizer in self.optimizers for group in optimizer.param_groups):
            group["lr"] = self.options.rate_at(self.step_number)
        self.batch = self.windows.batches[self.step_number % len(self.windows.batches)]
        for parameter in self.parameters:
            parameter.grad = None
        with self._use_threads():
            for part in range(parts):
                used = self._cycle(1.0 / parts)
                if part + 1 < parts:
                    self._drop(~used.cpu())
            norm = torch.nn.utils.get_total_norm([p.grad for p in self.parameters if p.grad is not None])
            if (limit := self.options.gradient_clip) is not None:
                torch.nn.utils.clip_grads_with_norm_(self.parameters, limit, norm)
            # One answer of the device for all that the host asks.
            answers = torch.cat((used, norm.isfinite().unsqueeze(0))).cpu()
            self._drop(~answers[:-1])
            if bool(answers[-1]):
                for optimizer in self.optimizers:
                    optimizer.step()
            else:
                self.skipped_steps += 1
        self.step_number += 1
        if self.step_number % max(1, self.options.steps // CURVE_POINTS) == 0 or self.step_number == self.options.steps:
            self._record()

    def _cycle(self, weight: float) -> Tensor:
        """Run the batch to the next truncation of the gradient, and add that of `weight` times the mean loss.

        Returns which windows (B,) have a finite ensemble and loss.
        """
        cycles = [self._observe() for _ in range(self.options.gradient_cycles)]
        count, parts = len(self.batch.ensemble), self.options.chunks if self.device.type == "cpu" else 1
        by_cycle = (torch.stack(tensors).chunk(parts, 1) for tensors in zip(*cycles, strict=True))
        apply = map if self.pool is None else self.pool.map
        assimilate, ensembles = self._assimilator(weight / (count * len(cycles))), self.batch.ensemble.chunk(parts)
        chunks = list(apply(assimilate, [self.windows.dynamics() for _ in ensembles], ensembles, *by_cycle))
        used = torch.cat([chunk.used for chunk in chunks])
        self.loss_sum += torch.stack([chunk.loss for chunk in chunks]).sum() / used.sum().clamp(min=1)
        self.loss_count += 1
        for chunk in chunks:
            self._add(chunk.gradients)
        self.batch.ensemble = torch.cat([chunk.analysis for chunk in chunks])
        return used

    def _assimilator(self, weight: float) -> Callable[..., Chunk]:
        """Return `_assimilate` with a weight; on a GPU recorded, if wanted and if the forecast is of tensors alone."""
        if weight not in self.assimilators:
            once, is_tensors = partial(self._assimilate, weight), self.experiment.system.has_compiled_steps
            if is_tensors and not self.experiment.is_random and is_wanted(self.device):
                recorded = Recorded(partial(once, self.experiment))
                self.assimilators[weight] = lambda experiment, *tensors: recorded(*tensors)
            else:
                self.assimilators[weight] = once
        return self.assimilators[weight]

    def _observe(self) -> tuple[Tensor, ...]:
        """Return observation, noise, noise level, truth and target of the batch's next cycle.

        The target is the truth or, with `target_members`, the analysis mean of a large ensemble.
        """
        truth = self.windows.advance(self.batch)
        level = upload(self.batch.level.unsqueeze(-1), self.device)
        sigma_y = self.filter.sigma_y * level if self.options.noise_range else self.filter.sigma_y
        observation = self.windows.observe(self.batch, truth, sigma_y)
        noise = self.windows.normal(*self.batch.ensemble.shape[:2], observation.shape[-1])
        if not self.options.target_members:
            return observation, noise, level, truth, truth
        forecast = self.windows.dynamics().propagate(self.batch.large)
        self.batch.large = self.large.update(forecast, observation, self.experiment)
        return observation, noise, level, truth, self.batch.large.mean(-2)

    def _assimilate(
        self,
        weight: float,
        experiment: Experiment,
        ensemble: Tensor,
        observations: Tensor,
        noises: Tensor,
        levels: Tensor,
        truths: Tensor,
        targets: Tensor,
    ) -> Chunk:
        """Forecast and analyze some windows of the batch, with the gradient of `weight` times the sum of their losses.

        All but the ensemble have cycles as their first dimension. Windows without a finite forecast stand at their
        truth, so that the others have a finite gradient.
        """
        used, losses = torch.ones(len(ensemble), dtype=torch.bool, device=ensemble.device), []
        for observation, noise, level, truth, target in zip(observations, noises, levels, truths, targets, strict=True):
            filter_ = self.filter.at_noise(self.filter.sigma_y * level) if self.options.noise_range else self.filter
            forecast, lost = _at_truth(experiment.propagate(ensemble), truth)
            refined = filter_.refine(ensemble, forecast, observation, experiment)
            if refined is not forecast:
                refined, lost_again = _at_truth(refined, truth)
                lost = lost | lost_again
            ensemble = filter_.update(refined, observation, experiment, noise)
            terms = [
                LOSSES[term](ensemble, truth if term in OF_TRUTH else target) for term in self.options.loss.split("+")
            ]
            losses.append(torch.stack(terms).sum(0))
            used = used & ~lost & losses[-1].detach().isfinite()
        loss = torch.where(used, torch.stack(losses), 0.0).sum()
        gradients = torch.autograd.grad(weight * loss, self.parameters, allow_unused=True)
        return Chunk(ensemble.detach(), used, loss.detach() / len(losses), gradients)

    def _add(self, gradients: Sequence[Tensor | None]) -> None:
        """Add to the gradients of this step."""
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            if gradient is None:
                continue
            if parameter.grad is None:
                parameter.grad = gradient.clone(memory_format=torch.contiguous_format)
            else:
                parameter.grad.add_(gradient)

    def _use_threads(self) -> AbstractContextManager[None]:
        """Make a pool of threads for the chunks, on a CPU, within the number of threads that torch may use.

        While they work, torch has no others: idle ones of torch spin on the cores of the pool.
        """
        threads = torch.get_num_threads()
        several = min(self.options.chunks, threads)
        if self.device.type != "cpu" or several == 1:
            return nullcontext()
        if self.pool is None:
            self.pool = ThreadPoolExecutor(several, initializer=torch.set_num_threads, initargs=(threads // several,))
        return torch_threads(1)

    def _drop(self, lost: Tensor) -> None:
        """Count windows whose ensemble or loss became non-finite, and let them start anew at the next cycle."""
        self.lost_windows += int(lost.sum())
        self.windows.drop(self.batch, lost)
        self.lost_in_a_row = self.lost_in_a_row + 1 if bool(lost.all()) else 0
        if self.lost_in_a_row >= 100:
            raise FloatingPointError("all windows of the batch were non-finite for 100 cycles: lower the learning rate")

    def _record(self) -> None:
        """Add a row to the training curve: losses since the last one, counts since the start."""
        self.curve.append(
            {
                "step": self.step_number,
                "seconds": round(self.seconds, 3),
                "learning_rate": self.options.rate_at(self.step_number - 1),
                "loss": float(self.loss_sum) / max(1, self.loss_count),
                "lost_windows": self.lost_windows,
                "skipped_steps": self.skipped_steps,
            }
        )
        self.loss_sum.zero_()
        self.loss_count = 0

    def digest(self) -> str:
        """Digest of all that decides the result: options, model, experiment, noise level, first weights and data."""
        options = [asdict(self.options), asdict(self.filter.options)]
        named = [*options, self.filter.name, self.experiment.name, self.filter.sigma_y]
        total = hashlib.sha256(json.dumps(named, sort_keys=True).encode())
        for parameter in self.filter.parameters():
            total.update(parameter.detach().cpu().numpy().tobytes())
        for values in (self.windows.truth, self.windows.stored):
            total.update(b"" if values is None else values[:8].cpu().numpy().tobytes())
        return total.hexdigest()[:16]

    @property
    def seconds(self) -> float:
        """Wall seconds of the training, pieces before this one included."""
        return self.earlier_seconds + time.monotonic() - self.started

    _COUNTERS = ("step_number", "lost_windows", "skipped_steps", "lost_in_a_row", "loss_count")

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the training, for `load_state_dict`."""
        return {
            "weights": self.filter.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            **self.windows.state_dict(),
            "curve": self.curve,
            "seconds": self.seconds,
            **{name: getattr(self, name) for name in ("loss_sum", *self._COUNTERS)},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` returned."""
        self.filter.load_state_dict(state["weights"])
        for optimizer, own in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(own)
        self.windows.load_state_dict(state)
        self.curve = list(state["curve"])
        self.earlier_seconds = state["seconds"]
        for name in self._COUNTERS:
            setattr(self, name, state[name])
        self.loss_sum = state["loss_sum"].to(self.device)
