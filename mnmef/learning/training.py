"""Trainings that can be interrupted: one call goes on where the last one was stopped."""

import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from torch import Tensor
from tqdm import tqdm

from mnmef.filters.learned import LearnedFilter
from mnmef.io.resume import drop_states
from mnmef.learning.options import TrainingOptions
from mnmef.learning.resuming import keep_state, last_state
from mnmef.learning.trainer import Trainer


class TimeLimitError(Exception):
    """A training stopped at its time limit; its state is on disk, and the same call goes on from there.

    trainer: the training, with the weights reached.
    """

    def __init__(self, message: str, trainer: Trainer) -> None:
        super().__init__(message)
        self.trainer = trainer


def train(
    filter_: LearnedFilter,
    truth: Tensor | tuple[Tensor, Tensor],
    options: TrainingOptions,
    *,
    resume_folder: str | Path | None = None,
    checkpoint_seconds: float = 60.0,
    time_limit: float | None = None,
    label: str = "training",
    finish: Callable[[pd.DataFrame], object] = len,
) -> pd.DataFrame:
    """Train a filter in place.

    Windows of `options.window_cycles` cycles start at a random time of a random truth; first ensembles, and unless
    given observations, are drawn afresh each time. Runs on the device of the filter; random numbers come from the CPU.

    Parameters
    ----------
    filter_ : LearnedFilter
        Filter to train.
    truth : Tensor (W, L + 1, Nx), or a pair with Tensor (W, L + 1, d)
        Truths of L cycles, state units; with observations of them, NaN where missing, none are drawn.
    options : TrainingOptions
        Ensemble size, schedule, loss and more.
    resume_folder : str, Path or None
        Folder for the state of the training. A later call with the same options, model and truths goes on from there
        and ends with the same weights, bit for bit on a CPU. The file is removed at the end.
    checkpoint_seconds : float
        Wall seconds from one writing of the state to the next.
    time_limit : float or None
        Wall minutes after which this call keeps the state and raises `TimeLimitError`.
    label : str
        Title of the progress bar.
    finish : callable
        What writes the result: called with the training curve before the state is removed. By default nothing.

    Returns
    -------
    DataFrame
        The training curve: step, seconds, learning_rate, loss, lost_windows, skipped_steps.

    Raises
    ------
    ValueError
        If the truths are shorter than a window, or for a time limit without a `resume_folder`.
    FloatingPointError
        If every trajectory is lost for 100 cycles.
    TimeLimitError
        At the time limit.
    """
    trainer = Trainer(filter_, truth, options)
    resume = None if resume_folder is None else Path(resume_folder) / f"{trainer.digest()}.pt"
    if resume is not None and (state := last_state(resume)) is not None:
        trainer.load_state_dict(state)
    _run(trainer, resume, checkpoint_seconds, time_limit, label)
    curve = pd.DataFrame(trainer.curve)
    finish(curve)  # if it fails, on a full disk say, nothing is lost
    if resume is not None:
        drop_states(resume)
    return curve


def _run(
    trainer: Trainer, resume: Path | None, checkpoint_seconds: float, time_limit: float | None, label: str
) -> None:
    """Take all steps that are left, and write the state to `resume` from time to time and at the time limit."""
    if time_limit is not None and resume is None:
        raise ValueError(f"a time limit of {time_limit} minutes needs a folder to keep the training in")
    begun = saved = time.monotonic()
    steps = trainer.options.steps
    with tqdm(total=steps, initial=trainer.step_number, desc=label, unit="step", mininterval=5) as bar:
        while trainer.step_number < steps:
            trainer.optimizer_step()
            bar.update()
            now = time.monotonic()
            over = time_limit is not None and now - begun > 60 * time_limit and trainer.step_number < steps
            if resume is not None and (over or now - saved > checkpoint_seconds):
                keep_state(trainer.state_dict(), resume)
                bar.set_postfix(loss=trainer.curve[-1]["loss"] if trainer.curve else float("nan"))
                saved = now
            if over and resume is not None:
                raise TimeLimitError(
                    f"{label}: stopped at its time limit of {time_limit} minutes after step {trainer.step_number} of "
                    f"{steps}; the state is kept in {resume.parent}: start the same job again and it goes on",
                    trainer,
                )
