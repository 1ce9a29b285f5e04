"""The schema of config.yaml: what every key means and what it may be."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from mnmef.config.fields import (
    Count,
    GriddedName,
    Int,
    Members,
    Nonnegative,
    Positive,
    Real,
    Section,
    Switch,
    SystemName,
    Trials,
    knob,
)
from mnmef.config.learning import Conv, Finetuning, Model, Training, TrainingSeeds
from mnmef.config.studies import FinetuningCurve, LinearGaussian, LocalizationStudy, Timing
from mnmef.core.errors import unknown_name

SYSTEMS = ("lorenz63", "lorenz96", "ks")
METHODS = ("enkf", "enkf_localized", "esrf", "letkf", "ienkf_pertobs", "ienkf_sqrt", "ienks_sqrt_lag2")
GRIDDED_METHODS = ("enkf_localized", "letkf")
"""Methods that localize, which needs a spatial grid: not for Lorenz '63."""
GRID_SIZES = (5, 10, 15, 20, 40, 60, 100)
"""Ensemble sizes for which resources/published/search_grids.yaml says where to search."""
GRIDDED_SYSTEMS = ("lorenz96", "ks")
"""Systems with a spatial grid."""
OBSERVED_EVERY = {"lorenz96": 4, "ks": 8}
"""Grid points from one observed point to the next."""
SPLITS = ("train", "tune", "test")

MethodName = Literal["enkf", "enkf_localized", "esrf", "letkf", "ienkf_pertobs", "ienkf_sqrt", "ienks_sqrt_lag2"]


class TrainSplit(Section):
    """Truths that learned filters are trained on."""

    windows: Count = knob("number of truths", section="5, training data")
    window_cycles: Count = knob("cycles that a training window spans", unit="cycles", section="5, training data")
    offset_cycles: Annotated[Int, Field(ge=0)] = knob(
        "cycles by which a window's start may lie inside its truth", unit="cycles", section="5, training data"
    )


class TuneSplit(Section):
    """Truths and observations that hyperparameters are chosen on."""

    trajectories: Count = knob("number of truths", section="5, benchmarks")
    cycles: Count = knob("observation times of each", unit="cycles", section="5, benchmarks")


class TestSplit(Section):
    """Truths and observations that all published scores refer to."""

    __test__ = False  # no pytest class, in spite of its name
    trajectories: Count = knob("number of truths", section="5, test data")
    cycles: dict[SystemName, Count] = knob(
        "observation times of each, per system", unit="cycles", section="5, test data"
    )


class Data(Section):
    """Sizes of the three splits."""

    members: Members = knob(
        "size of the stored first ensembles; a filter with N members takes the first N", section="5"
    )
    train: TrainSplit = knob("training split", section="5")
    tune: TuneSplit = knob("tuning split", section="5")
    test: TestSplit = knob("test split", section="5")


class Stage(Section):
    """A stage of a search, on part of the tuning split."""

    settings: Count = knob(
        "best settings of a cell that go on (screen) or are rerun (confirm)", section="5, benchmarks"
    )
    trajectories: Count = knob("trajectories for each", section="5, benchmarks")
    cycles: Count = knob("cycles of each trajectory", unit="cycles", section="5, benchmarks")


class Tuning(Section):
    """The search for inflation and localization radius of the classical filters."""

    engine: Literal["batched", "dapper", "screened"] = knob(
        "which implementation scores a setting", section="5, benchmarks"
    )
    trajectories: dict[SystemName, Count] = knob(
        "trajectories of the tuning split for each setting, per system", section="5, benchmarks"
    )
    cycles: Count = knob("cycles of each trajectory", unit="cycles", section="5, benchmarks")
    inflation_stride: Count = knob("take every k-th inflation of the published grid", section="5, benchmarks")
    radius_stride: Count = knob("take every k-th localization radius of the published grid", section="5, benchmarks")
    screen: Stage = knob("what all settings are scored on first (engine screened)", section="5, benchmarks")
    confirm: Stage = knob("what DAPPER confirms (engine screened)", section="5, benchmarks")


class Traced(Section):
    """Runs of which the analysis itself is kept, for the panels of figures 2, 3, 5 and 6."""

    ensemble_size: Members = knob("members N", section="5, figures 2, 3, 5, 6")
    trajectories: Count = knob("how many of the test trajectories", section="5, figures 2, 3, 5, 6")


class Climatology(Section):
    """A run from first ensembles that know the climate and nothing else."""

    ensemble_size: Members = knob("members N", section="none")
    cycles: Count = knob("length of the run", unit="cycles", section="none")


class Evaluation(Section):
    """Runs of all filters on the test split."""

    traced: Traced = knob("runs of which mean and deviation are kept", section="5")
    calibration_stride: Count = knob("score calibration every k-th cycle", unit="cycles", section="none")
    climatology: Climatology = knob("how fast a filter finds the truth from nothing", section="none")


class PublishedRound(Section):
    """A round of the race between the settings of a published grid, before the final one."""

    trials: Trials = knob("the first so many trials", section="5, benchmarks")
    cycles: Count = knob("cycles that are averaged over, after the burn-in", unit="cycles", section="5, benchmarks")
    keep: Count = knob("settings that stay at most", section="5, benchmarks")


class Published(Section):
    """The published search, done again under its own protocol: target published_baselines."""

    trials: Trials = knob("trials of the final round", section="5, benchmarks")
    cycles: Count | None = knob("cap on the cycles of a trial; null: as published", unit="cycles", section="none")
    rounds: list[PublishedRound] = knob("rounds before the final one; [] runs all settings in full", section="none")
    standard_errors: Nonnegative = knob(
        "a setting leaves if it is worse than the best by more standard errors than this", section="none"
    )
    fraction: Nonnegative = knob("and by more than this fraction of the best score", section="none")


class Robustness(Section):
    """The robustness table: filters away from what they were trained and tuned at."""

    sigma_y: Positive = knob("noise level of training and tuning", unit="state units", section="none")
    ensemble_size: Members = knob("number of members N", section="none")
    noise_levels: list[Positive] = knob("other noise levels sigma_y", unit="state units", section="none")
    forcings: list[Positive] = knob("other forcings F of Lorenz '96", section="none")
    gap: Count = knob("cycles without observations", unit="cycles", section="none")
    trajectories: Trials = knob("truths of each condition", section="none")
    cycles: Count = knob("observation times of each truth", unit="cycles", section="none")


def _quadruple(value: int) -> int:
    """Refuse a number that four does not divide."""
    if value % 4:
        raise PydanticCustomError("quadruple", "must be a multiple of 4, since every fourth variable is observed")
    return value


class Scaling(Section):
    """Lorenz '96 with more variables than in training and tuning."""

    sigma_y: Positive = knob("noise level", unit="state units", section="none")
    ensemble_size: Members = knob("number of members N", section="none")
    sizes: list[Annotated[Count, AfterValidator(_quadruple)]] = knob("numbers of variables D", section="none")
    dense_limit: Count = knob("largest D for filters that form D x d matrices", section="none")
    points: Count = knob("trajectories make up so many variables, at least one", section="none")
    cycles: Trials = knob("observation times of each trajectory", unit="cycles", section="none")
    timed_cycles: Count = knob("cycles of one trajectory that are timed", unit="cycles", section="none")


class Reference(Section):
    """Classical filters with a very large ensemble."""

    in_figures: Switch = knob("draw them in figures 1, 4 and 7", section="none")
    ensemble_size: Members = knob("number of members N", section="none")
    methods: list[MethodName] = knob("methods to choose from", section="none")
    inflations: list[Annotated[Real, Field(ge=1)]] = knob("inflations to try", section="none")
    radii: dict[GriddedName, list[Positive]] = knob(
        "localization radii to try, per system", unit="grid points", section="none"
    )
    trajectories: Count = knob("trajectories of the tuning split for each setting", section="none")
    cycles: Count = knob("cycles of each trajectory", unit="cycles", section="none")


class Config(Section):
    """The merged config of one scale."""

    scale: str = knob("name of the overlay in use; results go to results/<scale>", section="none")
    seed: Annotated[Int, Field(ge=0)] = knob("root of every random stream", section="none")
    weights: Literal["train", "shipped"] = knob("where learned filters come from", section="none")
    own_weights: dict[str, str] = knob(
        "checkpoints of the user's own to evaluate as `mnmef_own`, by <system>_<sigma_y>", section="none"
    )
    systems: list[SystemName] = knob("dynamical systems", section="5")
    noise_levels: list[Positive] = knob(
        "standard deviations sigma_y of the observation noise", unit="state units", section="5"
    )
    ensemble_sizes: list[Members] = knob("numbers of members N", section="5, figures 1, 4, 7")
    baselines: dict[SystemName, list[MethodName]] = knob("classical filters, per system", section="5, benchmarks")
    learned: list[Literal["mnmef", "mnmef_conv"]] = knob("learned filters", section="3")
    data: Data = knob("sizes of the splits", section="5")
    tuning: Tuning = knob("hyperparameter search of the classical filters", section="5, benchmarks")
    model: Model = knob("network", section="A")
    training: Training = knob("pretraining", section="4")
    training_seeds: TrainingSeeds = knob("further trainings from other seeds", section="none")
    mnmef_conv: Conv = knob("the filter with convolutions", section="none")
    finetuning: Finetuning = knob("fine-tuning", section="4")
    finetuning_curve: FinetuningCurve = knob("R-RMSE along a fine-tuning", section="5, figure 11")
    linear_gaussian: LinearGaussian = knob("learned filters against the exact filter", section="C, figure C.13")
    evaluation: Evaluation = knob("evaluation", section="5")
    timing: Timing = knob("timing of all filters", section="5, figure 8")
    localization_study: LocalizationStudy = knob("record of the learned localization weights", section="5, figure 10")
    published: Published = knob("the published baselines under the published protocol", section="5, benchmarks")
    robustness: Robustness = knob("robustness of the filters, beyond the paper", section="none")
    reference: Reference = knob("a very large ensemble, beyond the paper", section="none")
    scaling: Scaling = knob("more variables, beyond the paper", section="none")

    @model_validator(mode="after")
    def _consistent(self) -> "Config":
        faults = list(_contradictions(self))
        if faults:
            raise PydanticCustomError("contradiction", "{text}", {"text": "\n".join(faults)})
        return self


def _contradictions(config: Config) -> Iterator[str]:
    """What is wrong with values that are fine one by one."""
    for key in ("systems", "noise_levels", "ensemble_sizes"):
        values = getattr(config, key)
        if not values or len(set(values)) < len(values):
            yield f"{key} = {values}: must have at least one entry and none twice"
    for key, sizes in (
        ("ensemble_sizes", config.ensemble_sizes),
        ("finetuning_curve.ensemble_sizes", config.finetuning_curve.ensemble_sizes),
    ):
        if max(sizes, default=0) > config.data.members:
            yield f"data.members = {config.data.members}: must be at least the largest of {key}, {max(sizes)}"
    per_system: dict[str, Mapping[Any, Any]] = {
        "baselines": config.baselines,
        "data.test.cycles": config.data.test.cycles,
        "tuning.trajectories": config.tuning.trajectories,
        "training.loss": config.training.loss,
        "training.batch": config.training.batch,
        "training.learning_rate": config.training.learning_rate,
        "training.gradient_clip": config.training.gradient_clip,
        "finetuning.learning_rate_factor": config.finetuning.learning_rate_factor,
    }
    conv = config.mnmef_conv
    gridded: dict[str, Mapping[Any, Any]] = {
        "mnmef_conv.model.patch": conv.model.patch,
        "mnmef_conv.model.reach": conv.model.reach,
        "mnmef_conv.training.batch": conv.training.batch,
        "mnmef_conv.training.learning_rate": conv.training.learning_rate,
        "mnmef_conv.training.gradient_clip": conv.training.gradient_clip,
    }
    for key, values in (per_system | gridded).items():
        for system in config.systems:
            if key in gridded and system not in GRIDDED_SYSTEMS:
                continue
            if system not in values:
                yield f"{key} = {dict(values)}: must have an entry for {system}, which is among systems"
    for system, patch in conv.model.patch.items():
        if OBSERVED_EVERY[system] % patch:
            yield (
                f"mnmef_conv.model.patch.{system} = {patch}: must divide the distance between observed grid points, "
                f"{OBSERVED_EVERY[system]}"
            )
    for members in config.ensemble_sizes:
        if members not in GRID_SIZES and any(config.baselines.values()):
            known = ", ".join(map(str, GRID_SIZES))
            yield f"ensemble_sizes has {members}: classical filters can be tuned for {known} only"
    for method in config.baselines.get("lorenz63", []):
        if method in GRIDDED_METHODS:
            yield f"baselines.lorenz63 has {method}, which localizes, but Lorenz '63 has no spatial grid"
    for key, (value, other, limit) in _limits(config).items():
        if value > limit:
            yield f"{key} = {value}: must be at most {other} = {limit}"
    yield from _shrinking(config.published)
    if config.robustness.cycles <= 2 * config.robustness.gap:
        yield (
            f"robustness.cycles = {config.robustness.cycles}: must be more than twice robustness.gap = "
            f"{config.robustness.gap}, so that cycles follow the gap"
        )
    if config.scaling.timed_cycles >= config.scaling.cycles:
        yield (
            f"scaling.timed_cycles = {config.scaling.timed_cycles}: must be less than scaling.cycles = "
            f"{config.scaling.cycles}"
        )
    for system in config.systems:
        batch = config.training.batch.get(system, 1)
        if config.training.schedule == "window" and batch > config.data.train.windows:
            yield f"training.batch.{system} = {batch}: must be at most data.train.windows = {config.data.train.windows}"
    cells = [f"{system}_{level}" for system in config.systems for level in config.noise_levels]
    for cell in config.own_weights:
        if cell not in cells:
            yield unknown_name("cell in own_weights", cell, cells)
    if config.model.width % config.model.heads:
        yield f"model.heads = {config.model.heads}: must divide model.width = {config.model.width}"
    if config.model.input == "separate" and config.model.feature_size % 2:
        yield f"model.feature_size = {config.model.feature_size}: must be even where model.input is separate"


def _limits(config: Config) -> dict[str, tuple[int, str, int]]:
    """Keys with a value that another one limits: the value, the other key and its value."""
    limits: dict[str, tuple[int, str, int]] = {
        "tuning.cycles": (config.tuning.cycles, "data.tune.cycles", config.data.tune.cycles),
        "evaluation.traced.trajectories": (
            config.evaluation.traced.trajectories,
            "data.test.trajectories",
            config.data.test.trajectories,
        ),
        "finetuning_curve.cycles": (
            config.finetuning_curve.cycles,
            "data.test.cycles.lorenz96",
            config.data.test.cycles.get("lorenz96", config.finetuning_curve.cycles),
        ),
    }
    study, test = config.localization_study, config.data.test
    limits["localization_study.trajectories"] = (study.trajectories, "data.test.trajectories", test.trajectories)
    if "lorenz96" in test.cycles:
        limits["localization_study.cycles"] = (study.cycles, "data.test.cycles.lorenz96", test.cycles["lorenz96"])
    for system, number in config.tuning.trajectories.items():
        limits[f"tuning.trajectories.{system}"] = (number, "data.tune.trajectories", config.data.tune.trajectories)
    for system, cycles in config.data.test.cycles.items():
        limits[f"evaluation.climatology.cycles (for {system})"] = (
            config.evaluation.climatology.cycles,
            f"data.test.cycles.{system}",
            cycles,
        )
    for size, most in (("trajectories", config.data.tune.trajectories), ("cycles", config.data.tune.cycles)):
        limits[f"reference.{size}"] = (getattr(config.reference, size), f"data.tune.{size}", most)
    for name, stage in (("screen", config.tuning.screen), ("confirm", config.tuning.confirm)):
        for size, most in (("trajectories", config.data.tune.trajectories), ("cycles", config.data.tune.cycles)):
            limits[f"tuning.{name}.{size}"] = (getattr(stage, size), f"data.tune.{size}", most)
    return limits


def _shrinking(published: Published) -> Iterator[str]:
    """Rounds of the race that are smaller than the one before."""
    trials = [*(entry.trials for entry in published.rounds), published.trials]
    for key, values in (("trials", trials), ("cycles", [entry.cycles for entry in published.rounds])):
        if values != sorted(values):
            yield f"published: {key} are {values} from round to round, but must not decrease"
