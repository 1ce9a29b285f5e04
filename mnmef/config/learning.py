"""The sections of config.yaml on learned filters: networks, training and fine-tuning."""

from typing import Annotated, Literal

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from mnmef.config.fields import (
    Count,
    Fraction,
    GriddedName,
    Loss,
    Members,
    Nonnegative,
    Positive,
    Section,
    Switch,
    SystemName,
    knob,
)


def _odd(value: int) -> int:
    """Refuse an even number."""
    if value % 2 == 0:
        raise PydanticCustomError("odd", "must be odd")
    return value


class Model(Section):
    """Sizes and variants of the learned filter's network."""

    feature_size: Count = knob("length of the ensemble feature", section="A")
    width: Count = knob("width of set transformer and head layers", section="A")
    heads: Count = knob("attention heads", section="A")
    seeds: Count = knob("learned seeds of the pooling attention", section="A")
    hidden_layers: Count = knob("hidden layers of each head", section="A")
    input: Literal["states", "separate", "joint"] = knob("what the set transformer sees", section="3, architecture")
    observation_in_localization: Switch = knob(
        "append the observation to the localization head's input", section="3, architecture"
    )
    localization: Switch = knob("learned localization, on systems with a grid", section="3, architecture")
    inflation: Switch = knob("add the learned inflation at inference", section="3, architecture; figure 9")


class Training(Section):
    """Pretraining of the learned filter."""

    ensemble_size: Members = knob("members N during pretraining", section="4, training")
    other_sizes: list[Members] = knob("further N that take turns with it during pretraining", section="none")
    loss: dict[SystemName, Loss] = knob(
        "nl2, l2, rmse, crps or spread, or a sum of them such as nl2+spread, per system", section="4, loss"
    )
    schedule: Literal["window", "cycle"] = knob(
        "an optimizer step per window or per assimilation cycle", section="4, training"
    )
    epochs: Count = knob("passes over the training windows (schedule window)", unit="epochs", section="A")
    steps: Count = knob("optimizer steps (schedule cycle)", unit="steps", section="A")
    batch: dict[SystemName, Count] = knob("windows in a batch, per system", unit="windows", section="A")
    learning_rate: dict[SystemName, Positive] = knob("first learning rate, per system", section="A")
    optimizer: Literal["adamw", "muon"] = knob("AdamW, or Muon for weights that are matrices", section="A")
    decay: Literal["halve", "cosine"] = knob("course of the learning rate", section="A")
    weight_decay: Nonnegative = knob("weight decay", section="A")
    gradient_clip: dict[SystemName, Positive | None] = knob(
        "largest norm of a step's gradient, per system", section="none"
    )
    misplaced: Fraction = knob("windows whose first ensemble lies about another truth", section="none")
    chunks: Count = knob("parts of a batch computed side by side, on a thread each", section="none")
    checkpoint_seconds: Positive = knob(
        "wall time between resume files; changing it reruns nothing", unit="s", section="none"
    )
    time_limit: Positive | None = knob(
        "wall time after which a job stops, to be continued by a retry; null: none", unit="minutes", section="none"
    )


class TrainingSeeds(Section):
    """Pretrainings of the learned filter again, from other seeds, to see how much the seed decides."""

    count: Count = knob("trainings of a setting, the first included", section="none")
    systems: list[SystemName] = knob("systems that are trained again; those not in use do not count", section="none")
    noise_levels: list[Positive] = knob(
        "noise levels that are trained again; those not in use do not count", unit="state units", section="none"
    )


class ConvModel(Section):
    """Sizes of the network of `mnmef_conv`."""

    channels: Count = knob("channels of each convolution", section="none")
    layers: Count = knob("number of convolutions", section="none")
    kernel: Annotated[Count, AfterValidator(_odd)] = knob("width of a convolution", unit="sites", section="none")
    patch: dict[GriddedName, Count] = knob("grid points that make one site", unit="grid points", section="none")
    reach: dict[GriddedName, Count] = knob(
        "largest distance of an observation in the gain, per system", unit="grid points", section="none"
    )
    inflation: Switch = knob("add the learned inflation at inference", section="none")


class ConvTraining(Section):
    """What is laid over the section `training` for `mnmef_conv`; the keys mean the same."""

    other_sizes: list[Members] = knob("as training.other_sizes", section="none")
    loss: Loss = knob("as training.loss", section="none")
    schedule: Literal["window", "cycle"] = knob("as training.schedule", section="none")
    steps: Count = knob("as training.steps", unit="steps", section="none")
    optimizer: Literal["adamw", "muon"] = knob("as training.optimizer", section="none")
    decay: Literal["halve", "cosine"] = knob("as training.decay", section="none")
    batch: dict[GriddedName, Count] = knob("as training.batch", unit="windows", section="none")
    learning_rate: dict[GriddedName, Positive] = knob("as training.learning_rate", section="none")
    gradient_clip: dict[GriddedName, Positive | None] = knob("as training.gradient_clip", section="none")
    misplaced: Fraction = knob("as training.misplaced", section="none")
    chunks: Count = knob("as training.chunks", section="none")


class Conv(Section):
    """The learned filter with convolutions, which is not in the paper."""

    model: ConvModel = knob("network", section="none")
    training: ConvTraining = knob("training", section="none")


class Finetuning(Section):
    """Adaptation of the heads to each ensemble size."""

    epochs: Count = knob("passes over the training windows (schedule window)", unit="epochs", section="4, fine-tuning")
    steps: Count = knob("optimizer steps (schedule cycle)", unit="steps", section="4, fine-tuning")
    learning_rate_factor: dict[SystemName, Positive] = knob(
        "factor on the first learning rate, per system", section="4, fine-tuning"
    )
    batch_divisor: dict[int, Count] = knob("divisor of the batch at an ensemble size", section="4, fine-tuning")
    keep: Literal["last", "better"] = knob("the weights at the end, or the pretrained ones if better", section="none")
