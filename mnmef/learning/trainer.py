"""Training and fine-tuning of a learned filter, by the paper's schedule or by one optimizer step per assimilation
cycle.

The gradient is truncated at every cycle (J0 = 1 in the paper): the ensemble is detached after each analysis, so the
gradient of a cycle's loss is local to that cycle. Both schedules are one loop. `window` adds up the gradients of all
cycles of a batch of windows that start together and steps once at their end. `cycle` steps at every cycle, on a batch
of windows whose ages are staggered, so that each step sees early and late cycles alike.
"""

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from mnmef.core.errors import unknown_name
from mnmef.core.hardware import keep_freed_memory
from mnmef.core.seeds import torch_generator
from mnmef.core.threads import torch_threads
from mnmef.filters.learned import LearnedFilter, make_learned
from mnmef.io.files import write_atomically
from mnmef.learning.losses import LOSSES
from mnmef.learning.optimizers import OPTIMIZERS
from mnmef.systems.base import System

DECAYS: dict[str, Callable[[float], float]] = {
    "halve": lambda fraction: 0.5 ** sum(fraction >= at for at in (0.2, 0.3, 0.4)),
    "cosine": lambda fraction: 0.5 * (1.0 + math.cos(math.pi * fraction)),
}
"""Factor on the learning rate as a function of the fraction of the run that is done."""

CURVE_POINTS = 200


class TimeLimitError(Exception):
    """A training stopped at its time limit; its state is on disk, and the same call goes on from there."""


@dataclass(frozen=True)
class TrainingOptions:
    """What decides the weights that a training ends with, besides the model and the data.

    ensemble_size: N. other_sizes: further N that take turns with it, step by step, each with a batch of as many members
    in all. steps: optimizer steps. window_cycles: cycles of a window. batch: windows at a time. schedule:
    `window` or `cycle`.
    loss: a key of `LOSSES` or a sum of keys. optimizer: a key of `OPTIMIZERS`. decay: a key of `DECAYS`.
    gradient_clip: largest norm of a step's gradient (a few trajectories far off the truth dominate it otherwise).
    heads_only: freeze the set transformer (fine-tuning).
    chunks: parts of a batch whose analyses and gradients are computed apart, and side by side if torch may use several
    threads of a CPU.
    misplaced: fraction of windows whose first ensemble lies about another truth, so that the way back is learned too.
    """

    ensemble_size: int
    steps: int
    window_cycles: int
    batch: int
    learning_rate: float
    schedule: str = "cycle"
    loss: str = "nl2"
    optimizer: str = "adamw"
    decay: str = "cosine"
    weight_decay: float = 0.0
    gradient_clip: float | None = None
    heads_only: bool = False
    seed: int = 0
    other_sizes: tuple[int, ...] = ()
    chunks: int = 1
    misplaced: float = 0.0

    def __post_init__(self) -> None:
        if self.schedule not in ("window", "cycle"):
            raise ValueError(unknown_name("training schedule", self.schedule, ("window", "cycle")))
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(unknown_name("optimizer", self.optimizer, OPTIMIZERS))
        if self.decay not in DECAYS:
            raise ValueError(unknown_name("learning-rate decay", self.decay, DECAYS))
        for term in self.loss.split("+"):
            if term not in LOSSES:
                raise ValueError(unknown_name("loss", term, LOSSES))
        for name in ("steps", "window_cycles", "batch", "chunks"):
            if getattr(self, name) < 1:
                raise ValueError(f"training {name} must be at least 1, not {getattr(self, name)}")
        if not 0.0 <= self.misplaced <= 1.0:
            raise ValueError(f"misplaced is a fraction of windows, from 0 to 1, not {self.misplaced}")
        for members in self.sizes:
            if members < 2:
                raise ValueError(f"an ensemble needs at least 2 members, not {members}")

    @property
    def sizes(self) -> tuple[int, ...]:
        """All ensemble sizes that are trained at."""
        return (self.ensemble_size, *self.other_sizes)

    def batch_at(self, members: int) -> int:
        """Windows in a batch of ensembles with so many members."""
        return max(1, self.batch * self.ensemble_size // members)


def train(
    filter_: LearnedFilter,
    truth: Tensor,
    options: TrainingOptions,
    *,
    resume_folder: str | Path | None = None,
    checkpoint_seconds: float = 60.0,
    time_limit: float | None = None,
    label: str = "training",
) -> pd.DataFrame:
    """Train `filter_` in place on truths (W, L + 1, Nx) and return the training curve.

    Windows of `options.window_cycles` cycles start at a random observation time of a random truth; observations and
    first ensembles are drawn afresh each time. Runs on the device of the filter's parameters; all random numbers come
    from the CPU.
    resume_folder: where the state is kept every `checkpoint_seconds`; a later call with the same options, model and
    truths continues there and ends with the same weights, bit for bit on a CPU. The file is removed at the end.
    time_limit: wall minutes after which this call keeps the state and raises `TimeLimitError`.
    Raises `ValueError` if the truths are shorter than a window or there is a time limit and no `resume_folder`,
    `FloatingPointError` if every trajectory is lost for 100 cycles.
    """
    if time_limit is not None and resume_folder is None:
        raise ValueError(f"a time limit of {time_limit} minutes needs a folder to keep the training in")
    begun = time.monotonic()
    trainer = Trainer(filter_, truth, options)
    resume = None
    if resume_folder is not None:
        resume = Path(resume_folder) / f"{trainer.digest()}.pt"
        if resume.exists():
            trainer.load_state_dict(torch.load(resume, weights_only=True))
    saved = time.monotonic()
    with tqdm(total=options.steps, initial=trainer.step_number, desc=label, unit="step", mininterval=5) as bar:
        while trainer.step_number < options.steps:
            trainer.optimizer_step()
            bar.update()
            now = time.monotonic()
            over = time_limit is not None and now - begun > 60 * time_limit and trainer.step_number < options.steps
            if resume is not None and (over or now - saved > checkpoint_seconds):
                write_atomically(resume, lambda path: torch.save(trainer.state_dict(), path))
                bar.set_postfix(loss=trainer.curve[-1]["loss"] if trainer.curve else float("nan"))
                saved = now
            if over:
                raise TimeLimitError(
                    f"{label}: stopped at its time limit of {time_limit} minutes after step {trainer.step_number} of "
                    f"{options.steps}; the state is kept in {resume_folder}: start the same job again and it goes on"
                )
    if resume is not None:
        # A process killed while it wrote the file has left a temporary one beside it.
        for leftover in (resume, *resume.parent.glob(f".{resume.name}.*")):
            leftover.unlink(missing_ok=True)
    return pd.DataFrame(trainer.curve)


@dataclass
class Batch:
    """Windows under way with ensembles of one size.

    window, position (B,): which truth, and which of its observation times. remaining (B,): cycles that are left.
    ensemble (B, N, Nx): the last analysis.
    """

    window: Tensor
    position: Tensor
    remaining: Tensor
    ensemble: Tensor

    @classmethod
    def empty(cls, count: int, members: int, state_size: int, device: torch.device) -> "Batch":
        """Room for `count` windows."""
        window, position, remaining = torch.zeros(3, count, dtype=torch.int64).unbind()
        return cls(window, position, remaining, torch.zeros(count, members, state_size, device=device))


class Part(NamedTuple):
    """What came of some windows of a batch in a cycle.

    analysis (B, N, Nx). used (B,): windows whose loss counts. loss: sum over those. gradients: of their part in the
    batch's mean loss, in the order of the parameters; None where one has no part in it.
    """

    analysis: Tensor
    used: Tensor
    loss: Tensor
    gradients: tuple[Tensor | None, ...]


class Trainer:
    """The state of a training: weights, optimizer, batches of windows under way, random numbers and counters."""

    def __init__(self, filter_: LearnedFilter, truth: Tensor, options: TrainingOptions) -> None:
        if truth.shape[1] - 1 < options.window_cycles:
            raise ValueError(
                f"a window of {options.window_cycles} cycles needs truths of as many; these have {truth.shape[1] - 1}"
            )
        largest = options.batch_at(min(options.sizes))
        if len(truth) < largest and options.schedule == "window":
            raise ValueError(f"a batch of {largest} windows needs as many truths; there are {len(truth)}")
        keep_freed_memory()
        # The momentum of a unit that has died decays into denormal numbers, with which a step takes twice the time.
        torch.set_flush_denormal(True)
        self.filter, self.system, self.options = filter_, filter_.system, options
        self.device = next(filter_.parameters()).device
        self.truth = truth.to(self.device)
        self.parameters = filter_.head_parameters() if options.heads_only else list(filter_.parameters())
        for parameter in filter_.parameters():
            parameter.requires_grad_(False)
        for parameter in self.parameters:
            parameter.requires_grad_(True)
        make_optimizer = OPTIMIZERS[options.optimizer]
        self.optimizer = make_optimizer(self.parameters, options.learning_rate, options.weight_decay)
        self.generator = torch_generator(options.seed, "training", self.system.name, options.ensemble_size)
        self.step_number = 0
        self.queue = torch.empty(0, dtype=torch.int64)
        self.batches: list[Batch] = []
        for members in options.sizes:
            count = options.batch_at(members)
            self.batch = Batch.empty(count, members, self.system.state_size, self.device)
            self._restart(torch.ones(count, dtype=torch.bool))
            if options.schedule == "cycle":
                # First windows of different lengths: from then on the ages of the batch are spread evenly.
                self.batch.remaining = 1 + torch.arange(count) * options.window_cycles // count
            self.batches.append(self.batch)
        self.pool: ThreadPoolExecutor | None = None
        self.curve: list[dict[str, float]] = []
        self.lost_windows = self.skipped_steps = self.lost_in_a_row = 0
        self.loss_sum, self.loss_count = torch.zeros((), dtype=torch.float64, device=self.device), 0
        self.started, self.earlier_seconds = time.monotonic(), 0.0

    def optimizer_step(self) -> None:
        """Run the cycles of one optimizer step (one, or a whole window), then step; a non-finite gradient is skipped
        and counted.
        """
        with self._use_threads():
            self._step()

    def _step(self) -> None:
        """See `optimizer_step`."""
        cycles = self.options.window_cycles if self.options.schedule == "window" else 1
        fraction = self.step_number / self.options.steps
        self.batch = self.batches[self.step_number % len(self.batches)]
        for group in self.optimizer.param_groups:
            group["lr"] = self.options.learning_rate * DECAYS[self.options.decay](fraction)
        self.optimizer.zero_grad()
        for _ in range(cycles):
            self._cycle(1.0 / cycles)
        norm = torch.nn.utils.get_total_norm([p.grad for p in self.parameters if p.grad is not None])
        if self.options.gradient_clip is not None:
            torch.nn.utils.clip_grads_with_norm_(self.parameters, self.options.gradient_clip, norm)
        if bool(norm.isfinite()):
            self.optimizer.step()
        else:
            self.skipped_steps += 1
        self.step_number += 1
        interval = max(1, self.options.steps // CURVE_POINTS)
        if self.step_number % interval == 0 or self.step_number == self.options.steps:
            self._record()

    def _cycle(self, weight: float) -> None:
        """One assimilation cycle of the batch: forecast, observe, analyze, add the gradient of `weight` times the
        loss.
        """
        self._restart(self.batch.remaining == 0)
        self.batch.position += 1
        self.batch.remaining -= 1
        truth = self.truth[self.batch.window.to(self.device), self.batch.position.to(self.device)]
        observation = self.system.observe(truth)
        observation = observation + self.filter.sigma_y * self._normal(*observation.shape)
        noise = self._normal(*self.batch.ensemble.shape[:2], observation.shape[-1])
        inputs = (self.batch.ensemble, observation, noise, truth)
        assimilate = partial(self._assimilate, weight / len(truth))
        parts = list(self._map(assimilate, *(tensor.chunk(self.options.chunks) for tensor in inputs)))
        used = torch.cat([part.used for part in parts])
        self.loss_sum += torch.stack([part.loss for part in parts]).sum() / used.sum().clamp(min=1)
        self.loss_count += 1
        for part in parts:
            self._add(part.gradients)
        self.batch.ensemble = torch.cat([part.analysis for part in parts])
        self._drop(~used.cpu())

    def _assimilate(self, weight: float, ensemble: Tensor, observation: Tensor, noise: Tensor, truth: Tensor) -> "Part":
        """Forecast and analysis of some windows of the batch and the gradient of `weight` times the sum of their
        losses.
        """
        with torch.no_grad():
            forecast = self.system.propagate(ensemble)
            lost = ~forecast.isfinite().flatten(1).all(-1)
            forecast = torch.where(lost[:, None, None], truth[:, None], forecast)
        analysis = self.filter.analyze(forecast, observation, self.system, noise)
        losses = torch.stack([LOSSES[term](analysis, truth) for term in self.options.loss.split("+")]).sum(0)
        used = ~lost & losses.detach().isfinite()
        loss = torch.where(used, losses, 0.0).sum()
        gradients = torch.autograd.grad(weight * loss, self.parameters, allow_unused=True)
        return Part(analysis.detach(), used, loss.detach(), gradients)

    def _add(self, gradients: Sequence[Tensor | None]) -> None:
        """Add to the gradients of this step."""
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            if gradient is None:
                continue
            if parameter.grad is None:
                parameter.grad = gradient.clone(memory_format=torch.contiguous_format)
            else:
                parameter.grad.add_(gradient)

    def _map(self, function: Callable[..., "Part"], *arguments: Sequence[Tensor]) -> Iterator["Part"]:
        """`map`, on the threads of the pool if there is one."""
        return map(function, *arguments) if self.pool is None else self.pool.map(function, *arguments)

    def _use_threads(self) -> AbstractContextManager[None]:
        """Make a pool of as many threads as torch may use and the batch has chunks, on a CPU. While they work, torch
        has none besides: those wait for their next task in a loop, on the cores of the pool.
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
        if self.options.schedule == "window":
            # The others are in step with each other: the lost one rejoins from a fresh ensemble about its truth.
            self._first_ensemble(lost)
        else:
            self.batch.remaining[lost] = 0
        self.lost_in_a_row = self.lost_in_a_row + 1 if bool(lost.all()) else 0
        if self.lost_in_a_row >= 100:
            raise FloatingPointError(
                "every trajectory of the batch was non-finite for 100 cycles: lower the learning rate"
            )

    def _restart(self, which: Tensor) -> None:
        """Begin new windows in the batch slots `which` (B,): next truth of the shuffled queue, random offset, fresh
        ensemble.
        """
        count = int(which.sum())
        if count == 0:
            return
        while len(self.queue) < count:
            order = torch.randperm(len(self.truth), generator=self.generator)
            self.queue = torch.cat((self.queue, order))
        latest = self.truth.shape[1] - 1 - self.options.window_cycles
        self.batch.window[which], self.queue = self.queue[:count], self.queue[count:]
        self.batch.position[which] = torch.randint(latest + 1, (count,), generator=self.generator)
        self.batch.remaining[which] = self.options.window_cycles
        self._first_ensemble(which)

    def _first_ensemble(self, which: Tensor) -> None:
        count = int(which.sum())
        if count == 0:
            return
        window, position = self.batch.window[which], self.batch.position[which]
        if self.options.misplaced > 0:
            elsewhere = torch.rand(count, generator=self.generator) < self.options.misplaced
            others = torch.randint(len(self.truth), (count,), generator=self.generator)
            window = torch.where(elsewhere, others, window)
        center = self.truth[window.to(self.device), position.to(self.device)]
        anomalies = self._normal(count, *self.batch.ensemble.shape[1:])
        self.batch.ensemble[which.to(self.device)] = center.unsqueeze(-2) + self.system.first_spread * anomalies

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self.generator).to(self.device)

    def _record(self) -> None:
        self.curve.append(
            {
                "step": self.step_number,
                "seconds": round(self.earlier_seconds + time.monotonic() - self.started, 3),
                "learning_rate": self.optimizer.param_groups[0]["lr"],
                "loss": float(self.loss_sum) / max(1, self.loss_count),
                "lost_windows": self.lost_windows,
                "skipped_steps": self.skipped_steps,
            }
        )
        self.loss_sum.zero_()
        self.loss_count = 0

    def digest(self) -> str:
        """A short digest of everything that decides the result: options, model, system, noise level, first weights and
        truths.
        """
        text = json.dumps(
            [
                asdict(self.options),
                asdict(self.filter.options),
                self.filter.name,
                self.system.name,
                self.filter.sigma_y,
            ],
            sort_keys=True,
        )
        total = hashlib.sha256(text.encode())
        for parameter in self.filter.parameters():
            total.update(parameter.detach().cpu().numpy().tobytes())
        total.update(self.truth[:8].cpu().numpy().tobytes())
        return total.hexdigest()[:16]

    _COUNTERS = ("step_number", "lost_windows", "skipped_steps", "lost_in_a_row", "loss_count")
    _TENSORS = ("queue", "loss_sum")

    def state_dict(self) -> dict[str, Any]:
        """Everything that a resumed training needs."""
        return {
            "weights": self.filter.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "curve": self.curve,
            "batches": [dict(vars(batch)) for batch in self.batches],
            "seconds": self.earlier_seconds + time.monotonic() - self.started,
            **{name: getattr(self, name) for name in self._COUNTERS + self._TENSORS},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` returned."""
        self.filter.load_state_dict(state["weights"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"])
        self.curve = list(state["curve"])
        self.batches = [
            Batch(**{name: value.to(self.device if name == "ensemble" else "cpu") for name, value in batch.items()})
            for batch in state["batches"]
        ]
        self.earlier_seconds = state["seconds"]
        for name in self._COUNTERS:
            setattr(self, name, state[name])
        for name in self._TENSORS:
            setattr(self, name, state[name].to(getattr(self, name).device))


def initial_filter(
    system: System, sigma_y: float, model: Mapping[str, Any] | None, seed: int, *, name: str = "mnmef"
) -> LearnedFilter:
    """The untrained filter `name` whose first weights follow from `seed`, whatever the process has drawn before."""
    state = torch_generator(seed, "weights", system.name).initial_seed()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(state)
        return make_learned(name, system, sigma_y, model)
