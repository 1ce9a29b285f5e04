"""Options of a training, checked."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from mnmef.core.errors import unknown_name, whole_number
from mnmef.learning.losses import LOSSES
from mnmef.learning.optimizers import OPTIMIZERS

DECAYS: dict[str, Callable[[float], float]] = {
    "constant": lambda fraction: 1.0,
    "halve": lambda fraction: 0.5 ** sum(fraction >= at for at in (0.2, 0.3, 0.4)),
    "cosine": lambda fraction: 0.5 * (1.0 + math.cos(math.pi * fraction)),
}
"""Factor on the learning rate as a function of the fraction of the run that is done."""


@dataclass(frozen=True)
class TrainingOptions:
    """Options of a training besides the model and the data; with these they decide the weights.

    Parameters
    ----------
    ensemble_size : int
        Number of members N.
    steps : int
        Optimizer steps.
    window_cycles : int
        Cycles of a window.
    batch : int
        Windows at a time.
    learning_rate : float
        First learning rate.
    schedule : str
        `window` or `cycle`: an optimizer step per window or per assimilation cycle.
    loss : str
        A key of `LOSSES`, or a sum of keys such as `nl2+spread`.
    optimizer : str
        A key of `OPTIMIZERS`.
    decay : str
        A key of `DECAYS`.
    weight_decay : float
    gradient_clip : float or None
        Largest norm of a step's gradient, which a few trajectories far off the truth dominate otherwise.
    heads_only : bool
        Freeze the set transformer (fine-tuning).
    seed : int
        Root of the random streams.
    other_sizes : tuple of int
        Further N that take turns with it, step by step, each with the same number of members in a batch.
    chunks : int
        Parts of a batch with analyses and gradients of their own, side by side if torch may use several threads.
    misplaced : float
        Fraction of windows whose first ensemble lies about another truth, so that the way back is learned too.
    gradient_cycles : int
        Cycles that a gradient runs through before the ensemble is detached; divides `window_cycles`.
    target_members : int
        Members of an ensemble square-root filter on the same observations whose analysis mean takes the truth's place
        in losses of the mean: a target nearly without the noise of the truth about it. 0: the truth.
    noise_range : tuple of float or None
        Each window has a sigma_y of its own, between these factors of the filter's, evenly drawn in its logarithm.
    missing : float
        Every second window misses up to this fraction of its observations, at random at each time.

    Raises
    ------
    ValueError
        For an unknown name, with the nearest known one, or a number out of range.
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
    gradient_cycles: int = 1
    target_members: int = 0
    noise_range: tuple[float, float] | None = None
    missing: float = 0.0

    def __post_init__(self) -> None:
        for kind, name, known in (
            ("training schedule", self.schedule, ("window", "cycle")),
            ("optimizer", self.optimizer, OPTIMIZERS),
            ("learning-rate decay", self.decay, DECAYS),
            *(("loss", term, LOSSES) for term in self.loss.split("+")),
        ):
            if name not in known:
                raise ValueError(unknown_name(kind, name, known))
        for name in ("steps", "window_cycles", "batch", "chunks", "gradient_cycles"):
            whole_number(f"training {name}", getattr(self, name), 1)
        if self.window_cycles % self.gradient_cycles:
            raise ValueError(
                f"gradient_cycles must divide the {self.window_cycles} cycles of a window, not {self.gradient_cycles}"
            )
        if self.target_members < 0 or self.target_members == 1:
            raise ValueError(f"target_members must be 0 or at least 2, not {self.target_members}")
        if not 0.0 <= self.misplaced <= 1.0:
            raise ValueError(f"misplaced is a fraction of windows, from 0 to 1, not {self.misplaced}")
        if not 0.0 <= self.missing < 1.0:
            raise ValueError(f"missing is a fraction of observations, from 0 to less than 1, not {self.missing}")
        if self.noise_range and not 0.0 < self.noise_range[0] < self.noise_range[1]:
            raise ValueError(f"noise_range must be two factors of sigma_y, smallest first, not {self.noise_range}")
        if self.noise_range and self.target_members:
            raise ValueError(
                f"target_members must be 0 with noise_range = {self.noise_range}, not {self.target_members}"
            )
        for size in self.sizes:
            whole_number("training ensemble_size", size, 2)
        clip = 0.0 if self.gradient_clip is None else self.gradient_clip
        rates = {"learning_rate": self.learning_rate, "weight_decay": self.weight_decay, "gradient_clip": clip}
        for name, value in rates.items():
            if not (isinstance(value, int | float) and 0 <= value < math.inf):
                raise ValueError(f"training {name} must be a number of at least 0, not {value!r}")

    @property
    def sizes(self) -> tuple[int, ...]:
        """All ensemble sizes that are trained at."""
        return (self.ensemble_size, *self.other_sizes)

    def rate_at(self, step: int) -> float:
        """Return the learning rate of an optimizer step; the first one is step 0."""
        return self.learning_rate * DECAYS[self.decay](step / self.steps)

    def batch_at(self, members: int) -> int:
        """Windows in a batch of ensembles with so many members."""
        return max(1, self.batch * self.ensemble_size // members)
