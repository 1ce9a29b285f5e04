"""The sections of config.yaml on learned filters: networks, training and fine-tuning."""

from typing import Annotated, Generic, Literal, TypeVar

from pydantic import Field

from mnmef.config.fields import Count, Fraction, Nonnegative, Positive, Section, Several, Switch, Whole, knob

Decay = Literal["constant", "halve", "cosine"]
Network = TypeVar("Network", bound=Section)
Loss = Annotated[str, Field(pattern=r"^(nl2|l2|rmse|log_mse|crps|spread)(\+(nl2|l2|rmse|log_mse|crps|spread))*$")]


class Model(Section):
    """Sizes and variants of the learned filter's network."""

    feature_size: Count = knob("length of the ensemble feature", section="A")
    width: Count = knob("width of set transformer and head layers", section="A")
    heads: Count = knob("attention heads", section="A")
    seeds: Count = knob("learned seeds of the pooling attention", section="A")
    hidden_layers: Count = knob("hidden layers of each head", section="A")
    input: Literal["states", "separate", "joint"] = knob("input of the set transformer", section="3, architecture")
    observation_in_localization: Switch = knob("its head sees the observation", section="3, architecture")
    localization: Switch = knob("learned localization, on experiments with a grid", section="3, architecture")
    inflation: Switch = knob("add the learned inflation at inference", section="3, architecture; figure 9")


class OwnTraining(Section):
    """Keys of a training that a learned filter may have of its own."""

    other_sizes: tuple[Several, ...] = knob("further N that take turns with training.ensemble_size, once or more often")
    loss: Loss = knob("nl2, l2, rmse, log_mse, crps or spread, or a sum of them such as nl2+spread", section="4, loss")
    schedule: Literal["window", "cycle"] = knob("an optimizer step per window or per cycle", section="4, training")
    steps: Count = knob("optimizer steps (schedule cycle)", unit="steps", section="A")
    optimizer: Literal["adamw", "muon"] = knob("AdamW, or Muon for weights that are matrices", section="A")
    decay: Decay = knob("course of the learning rate", section="A")
    batch: Count = knob("windows in a batch", unit="windows", section="A")
    learning_rate: Positive = knob("first learning rate", section="A")
    gradient_clip: Positive | None = knob("largest norm of a step's gradient; null: no limit")
    misplaced: Fraction = knob("windows whose first ensemble lies about another truth")
    chunks: Count = knob("parts of a batch computed side by side, on a thread each")
    gradient_cycles: Count = knob(
        "cycles that a gradient runs through; divides data.train.window_cycles", unit="cycles"
    )
    target_members: Whole = knob(
        "members of an ensemble whose mean stands for the truth in losses of the mean; 0: none"
    )
    noise_range: Annotated[list[Positive], Field(min_length=2, max_length=2)] | None = knob(
        "smallest and largest factor on a window's sigma_y; null: one sigma_y"
    )
    missing: Fraction = knob("largest fraction of a window's observations that is missing")


class Continued(Section):
    """Trainings that begin with the weights of another noise level."""

    sigma_y: Positive | None = knob("noise level that the others begin with; null: random weights", unit="state units")
    steps: Count = knob("optimizer steps of the others (schedule cycle)", unit="steps")


class Training(OwnTraining):
    """Pretraining of the learned filters."""

    ensemble_size: Several = knob("members N during pretraining", section="4, training")
    epochs: Count = knob("passes over the training windows (schedule window)", unit="epochs", section="A")
    continued: Continued = knob("trainings that begin with the weights of another of noise_levels")
    weight_decay: Nonnegative = knob("weight decay", section="A")
    checkpoint_seconds: Positive = knob("wall time between resume files; changing it reruns nothing", unit="s")
    time_limit: Positive | None = knob("wall time of one job, to be continued by a retry; null: none", unit="minutes")


class Learned(Section, Generic[Network]):
    """A learned filter that is not in the paper."""

    model: Network = knob("network")
    training: OwnTraining = knob("laid over the section training")


class ConvModel(Section):
    """Sizes of the network of `mnmef_conv`."""

    channels: Count = knob("channels of each convolution")
    layers: Count = knob("number of convolutions")
    kernel: Count = knob("width of a convolution, odd", unit="sites")
    patch: Count = knob("grid points that make one site", unit="grid points")
    reach: Count = knob("largest distance of an observation in the gain", unit="grid points")
    inflation: Switch = knob("add the learned inflation at inference")


class LocalModel(Section):
    """Sizes of the network of `mnmef_local`, and the localized filter that it starts as."""

    channels: Count = knob("channels of each convolution")
    layers: Count = knob("number of convolutions")
    kernel: Count = knob("its width, odd", unit="grid points")
    reach: Count = knob("largest distance of an observation in the gain", unit="grid points")
    radius: Positive = knob("length of the first taper at ten members", unit="grid points")
    growth: Nonnegative = knob("power of N with which this length grows")
    first_inflation: Positive = knob("first factor on the analysis anomalies")
    near: Whole = knob("largest distance of anomalies that are mixed", unit="grid points")
    every: Count = knob("distance between the points where observations may lie", unit="grid points")
    passes: Count = knob("of each observation; all but the last correct the start of the cycle")
    square_root: Switch = knob("whether anomalies get LETKF's square root in place of half the gain")


class MembersModel(Section):
    """Sizes of the networks of `mnmef_members`, and the filter that it starts as."""

    width: Count = knob("units of each layer")
    first_inflation: Positive = knob("first factor on the analysis anomalies")


class Finetuning(Section):
    """Adaptation of the heads to each ensemble size."""

    epochs: Count = knob("passes over the training windows (schedule window)", unit="epochs", section="4, fine-tuning")
    steps: Count = knob("optimizer steps (schedule cycle)", unit="steps", section="4, fine-tuning")
    learning_rate_factor: Positive = knob("factor on the first learning rate", section="4, fine-tuning")
    decay: Decay = knob("course of the learning rate", section="4, fine-tuning")
    batch_divisor: dict[int, Count] = knob("divisor of the batch at an ensemble size", section="4, fine-tuning")
    keep: Literal["last", "better"] = knob("the weights at the end, or the pretrained ones if better")
    keep_cycles: Count = knob("of the tuning split, by which the better ones are chosen", unit="cycles")
