"""The sections of config.yaml on further trainings, single figures (8, 10, 11, C.13), and what is beyond the paper."""

from typing import Annotated

from pydantic import Field

from mnmef.config.fields import Count, ExperimentName, Fraction, Positive, Real, Section, Several, Some, Whole, knob
from mnmef.config.learning import Loss


class TrainingSeeds(Section):
    """Pretrainings of the learned filter again, from other seeds, to see how much the seed decides."""

    count: Count = knob("trainings of a setting, the first included")
    experiments: list[ExperimentName] = knob("experiments that are trained again, if in use")
    noise_levels: list[Positive] = knob("noise levels that are trained again, if in use", unit="state units")


class Timing(Section):
    """How filters are timed for figure 8."""

    repeats: Several = knob("timings of a filter, after a first cycle that does not count", section="5, figure 8")
    seconds: Positive = knob("how long one timing lasts, at least one cycle", unit="s", section="5, figure 8")
    batch: Several = knob("trajectories that filters advance at a time, beside one by itself", section="5, figure 8")


class LocalizationStudy(Section):
    """Runs of which the learned localization weights are recorded, for figure 10."""

    experiment: ExperimentName = knob("which experiment", section="5, figure 10")
    trajectories: Count = knob("how many of the test trajectories", section="5, figure 10")
    cycles: Count = knob("cycles of each, from the first one on", unit="cycles", section="5, figure 10")


class FinetuningCurve(Section):
    """Figure 11: fine-tunings of the heads and of all parameters, scored along the way."""

    experiment: ExperimentName = knob("which experiment", section="5, figure 11")
    sigma_y: Positive = knob("noise level, one of noise_levels", unit="state units", section="5, figure 11")
    ensemble_sizes: Annotated[list[Several], Some] = knob("numbers of members N", section="5, figure 11")
    epochs: Annotated[list[Whole], Some] = knob("epochs that are scored", unit="epochs", section="5, figure 11")
    cycles: Count = knob("cycles of the test trajectories, from the first", unit="cycles", section="5, figure 11")


class LinearTraining(Section):
    """Trainings on the linear-Gaussian system, with an optimizer step per cycle and the decay `cosine`."""

    windows: Count = knob("number of truths", section="C, figure C.13")
    window_cycles: Count = knob("cycles of a window", unit="cycles", section="C, figure C.13")
    steps: Count = knob("optimizer steps", unit="steps", section="C, figure C.13")
    batch: Count = knob("windows in a batch", unit="windows", section="C, figure C.13")
    learning_rate: Positive = knob("first learning rate of AdamW", section="C, figure C.13")
    gradient_clip: Positive | None = knob("largest norm of a step's gradient")


class LinearGaussianStudy(Section):
    """Figure C.13: the paper's filter on a linear-Gaussian system, against the exact filter."""

    state_size: Annotated[Count, Field(multiple_of=2)] = knob(
        "components D of the state, half of which are observed; planes are turned", section="C, figure C.13"
    )
    sigma_v: Positive = knob("standard deviation of the process noise", unit="state units", section="C, figure C.13")
    sigma_y: Positive = knob("standard deviation of observation noise", unit="state units", section="C, figure C.13")
    ensemble_size: Several = knob("number of members N", section="C, figure C.13")
    losses: Annotated[list[Loss], Some] = knob("losses to train with", section="C, figure C.13")
    weight_decay: Positive = knob("weight decay of one of the two trainings per loss", section="C, figure C.13")
    trajectories: Several = knob("test trajectories", section="C, figure C.13")
    cycles: Count = knob("observation times of each", unit="cycles", section="C, figure C.13")
    training: LinearTraining = knob("trainings", section="C, figure C.13")


class Robustness(Section):
    """The robustness table: filters away from what they were trained and tuned at."""

    sigma_y: Positive = knob("noise level of training and tuning", unit="state units")
    ensemble_size: Several = knob("number of members N")
    noise_levels: list[Positive] = knob("other noise levels sigma_y", unit="state units")
    options: dict[str, list[Real]] = knob("other values of options of the system, where it has them")
    gap: Count = knob("cycles without observations", unit="cycles")
    trajectories: Several = knob("truths of each condition")
    cycles: Count = knob("observation times of each truth", unit="cycles")


class Scaling(Section):
    """More variables than in training and search."""

    experiment: ExperimentName = knob("which experiment; its system has the option state_size")
    sigma_y: Positive = knob("noise level", unit="state units")
    ensemble_size: Several = knob("number of members N")
    sizes: Annotated[list[Count], Some] = knob("numbers of variables D, which observation.every divides")
    dense_limit: Count = knob("largest D for filters that form D x d matrices")
    points: Count = knob("trajectories make up so many variables, at least one")
    cycles: Several = knob("observation times of each trajectory", unit="cycles")
    timed_cycles: Count = knob("cycles of one trajectory that are timed", unit="cycles")


class Canonical(Section):
    """Scores that the field knows, once more."""

    fraction: Annotated[Fraction, Field(gt=0)] = knob("of the trajectories and cycles in the experiments' files")
