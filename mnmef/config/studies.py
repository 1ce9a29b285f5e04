"""The sections of config.yaml on experiments of single figures: 8, 10, 11 and C.13."""

from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from mnmef.config.fields import Count, Int, Loss, Members, Positive, Section, Trials, knob


def _even(value: int) -> int:
    """Refuse an odd number."""
    if value % 2:
        raise PydanticCustomError("even", "must be even, since planes are turned and half of the components observed")
    return value


class Timing(Section):
    """How filters are timed for figure 8."""

    repeats: Trials = knob("timings of a filter, after a first cycle that does not count", section="5, figure 8")
    seconds: Positive = knob("how long one timing lasts, at least one cycle", unit="s", section="5, figure 8")
    batch: Trials = knob("trajectories that filters advance at a time, beside one by itself", section="5, figure 8")


class LocalizationStudy(Section):
    """Runs of which the learned localization weights are recorded, for figure 10."""

    trajectories: Count = knob("how many of the test trajectories", section="5, figure 10")
    cycles: Count = knob("cycles of each, from the first one on", unit="cycles", section="5, figure 10")


class FinetuningCurve(Section):
    """Figure 11: fine-tunings of the heads and of all parameters, scored along the way."""

    sigma_y: Positive = knob("noise level, one of noise_levels", unit="state units", section="5, figure 11")
    ensemble_sizes: list[Members] = knob("numbers of members N", section="5, figure 11")
    epochs: list[Annotated[Int, Field(ge=0)]] = knob("epochs that are scored", unit="epochs", section="5, figure 11")
    cycles: Count = knob("cycles of the test trajectories, from the first", unit="cycles", section="5, figure 11")


class LinearTraining(Section):
    """Trainings on the linear-Gaussian system, with an optimizer step per cycle and the decay `cosine`."""

    windows: Count = knob("number of truths", section="C, figure C.13")
    window_cycles: Count = knob("cycles of a window", unit="cycles", section="C, figure C.13")
    steps: Count = knob("optimizer steps", unit="steps", section="C, figure C.13")
    batch: Count = knob("windows in a batch", unit="windows", section="C, figure C.13")
    learning_rate: Positive = knob("first learning rate of AdamW", section="C, figure C.13")
    gradient_clip: Positive | None = knob("largest norm of a step's gradient", section="none")


class LinearGaussian(Section):
    """Figure C.13: the paper's filter on a linear-Gaussian system, against the exact filter."""

    state_size: Annotated[Count, AfterValidator(_even)] = knob("components D of the state", section="C, figure C.13")
    sigma_v: Positive = knob("standard deviation of the process noise", unit="state units", section="C, figure C.13")
    sigma_y: Positive = knob("standard deviation of observation noise", unit="state units", section="C, figure C.13")
    ensemble_size: Members = knob("number of members N", section="C, figure C.13")
    losses: list[Loss] = knob("losses to train with", section="C, figure C.13")
    weight_decay: Positive = knob(
        "weight decay of AdamW in one of the two trainings per loss", section="C, figure C.13"
    )
    trajectories: Trials = knob("test trajectories", section="C, figure C.13")
    cycles: Count = knob("observation times of each", unit="cycles", section="C, figure C.13")
    training: LinearTraining = knob("trainings", section="C, figure C.13")
