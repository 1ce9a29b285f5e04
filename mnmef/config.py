"""The schema of config.yaml: what every key means, what it may be, and errors that say how to put it right.

`load_config` merges three layers, each over the one before: the keys of config.yaml, the overlay of the chosen scale,
and what the user gave with `--configfile` or `--config`. It runs before any job, so that a typing error costs seconds
and not hours.
"""

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from mnmef.errors import unknown_name

SYSTEMS = ("lorenz63", "lorenz96", "ks")
METHODS = ("enkf", "enkf_localized", "esrf", "letkf", "ienkf_pertobs", "ienkf_sqrt", "ienks_sqrt_lag2")
GRIDDED_METHODS = ("enkf_localized", "letkf")
"""Methods that localize, which needs a spatial grid: not for Lorenz '63."""
GRID_SIZES = (5, 10, 15, 20, 40, 60, 100)
"""Ensemble sizes for which resources/published/search_grids.yaml says where to search."""
SPLITS = ("train", "tune", "test")


class ConfigError(ValueError):
    """A config that cannot be used; the text has one line for each fault."""


def _number(value: object) -> object:
    """Refuse what pydantic would quietly turn into a number: `true` is no 1.0."""
    if isinstance(value, bool):
        raise PydanticCustomError("float_type", "must be a number")
    return value


Int = Annotated[int, Field(strict=True)]
Count = Annotated[Int, Field(ge=1)]
Members = Annotated[Int, Field(ge=2)]
Trials = Annotated[Int, Field(ge=2)]
Real = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
Switch = Annotated[bool, Field(strict=True)]
Positive = Annotated[Real, Field(gt=0)]
Nonnegative = Annotated[Real, Field(ge=0)]
SystemName = Literal["lorenz63", "lorenz96", "ks"]
MethodName = Literal["enkf", "enkf_localized", "esrf", "letkf", "ienkf_pertobs", "ienkf_sqrt", "ienks_sqrt_lag2"]


def knob(description: str, *, unit: str = "1", section: str, **limits: Any) -> Any:
    """A field of the schema: what it means, in which unit ("1" for a pure number), and where the paper speaks of it."""
    return Field(description=description, json_schema_extra={"unit": unit, "section": section}, **limits)


class Section(BaseModel):
    """Base of all sections: no unknown keys, no changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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


class Confirm(Section):
    """What DAPPER reruns of the settings that the batched engine liked best."""

    settings: Count = knob("best settings of a cell that are rerun", section="5, benchmarks")
    trajectories: Count = knob("trajectories for each", section="5, benchmarks")
    cycles: Count = knob("cycles of each trajectory", unit="cycles", section="5, benchmarks")


class Tuning(Section):
    """The search for inflation and localization radius of the classical filters."""

    engine: Literal["batched", "dapper", "screened"] = knob(
        "which implementation scores a setting", section="5, benchmarks"
    )
    trajectories: Count = knob("trajectories of the tuning split for each setting", section="5, benchmarks")
    cycles: Count = knob("cycles of each trajectory", unit="cycles", section="5, benchmarks")
    inflation_stride: Count = knob("take every k-th inflation of the published grid", section="5, benchmarks")
    radius_stride: Count = knob("take every k-th localization radius of the published grid", section="5, benchmarks")
    confirm: Confirm = knob("what DAPPER confirms (engine screened)", section="5, benchmarks")


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
    loss: Annotated[str, Field(pattern=r"^(nl2|l2|rmse)(\+(nl2|l2|rmse))*$")] = knob(
        "nl2, l2 or rmse, or a sum of them such as nl2+rmse", section="4, loss"
    )
    schedule: Literal["window", "cycle"] = knob(
        "an optimizer step per window or per assimilation cycle", section="4, training"
    )
    epochs: Count = knob("passes over the training windows (schedule window)", unit="epochs", section="A")
    steps: Count = knob("optimizer steps (schedule cycle)", unit="steps", section="A")
    batch: dict[SystemName, Count] = knob("windows in a batch, per system", unit="windows", section="A")
    learning_rate: dict[SystemName, Positive] = knob("first learning rate of AdamW, per system", section="A")
    decay: Literal["halve", "cosine"] = knob("course of the learning rate", section="A")
    weight_decay: Nonnegative = knob("weight decay of AdamW", section="A")
    gradient_clip: dict[SystemName, Positive | None] = knob(
        "largest norm of a step's gradient, per system", section="none"
    )
    checkpoint_seconds: Positive = knob(
        "wall time between resume files; changing it reruns nothing", unit="s", section="none"
    )


class Finetuning(Section):
    """Adaptation of the heads to each ensemble size."""

    epochs: Count = knob("passes over the training windows (schedule window)", unit="epochs", section="4, fine-tuning")
    steps: Count = knob("optimizer steps (schedule cycle)", unit="steps", section="4, fine-tuning")
    learning_rate_factor: Positive = knob("factor on the first learning rate", section="4, fine-tuning")
    batch_divisor: dict[int, Count] = knob("divisor of the batch at an ensemble size", section="4, fine-tuning")


class Traced(Section):
    """Runs of which the analysis itself is kept, for the panels of figures 2, 3, 5 and 6."""

    ensemble_size: Members = knob("members N", section="5, figures 2, 3, 5, 6")
    trajectories: Count = knob("how many of the test trajectories", section="5, figures 2, 3, 5, 6")


class Evaluation(Section):
    """Runs of all filters on the test split."""

    traced: Traced = knob("runs of which mean and deviation are kept", section="5")


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


class Config(Section):
    """The merged config of one scale."""

    scale: str = knob("name of the overlay in use; results go to results/<scale>", section="none")
    seed: Annotated[Int, Field(ge=0)] = knob("root of every random stream", section="none")
    weights: Literal["train"] = knob("where learned filters come from", section="none")
    own_weights: dict[str, str] = knob(
        "checkpoints of the user's own to evaluate as `mnmef_own`, by <system>_<sigma_y>", section="none"
    )
    systems: list[SystemName] = knob("dynamical systems", section="5")
    noise_levels: list[Positive] = knob(
        "standard deviations sigma_y of the observation noise", unit="state units", section="5"
    )
    ensemble_sizes: list[Members] = knob("numbers of members N", section="5, figures 1, 4, 7")
    baselines: dict[SystemName, list[MethodName]] = knob("classical filters, per system", section="5, benchmarks")
    data: Data = knob("sizes of the splits", section="5")
    tuning: Tuning = knob("hyperparameter search of the classical filters", section="5, benchmarks")
    model: Model = knob("network", section="A")
    training: Training = knob("pretraining", section="4")
    finetuning: Finetuning = knob("fine-tuning", section="4")
    evaluation: Evaluation = knob("evaluation", section="5")
    published: Published = knob("the published baselines under the published protocol", section="5, benchmarks")

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
    largest = max(config.ensemble_sizes, default=0)
    if largest > config.data.members:
        yield f"data.members = {config.data.members}: must be at least the largest of ensemble_sizes, {largest}"
    per_system: dict[str, Mapping[Any, Any]] = {
        "baselines": config.baselines,
        "data.test.cycles": config.data.test.cycles,
        "training.batch": config.training.batch,
        "training.learning_rate": config.training.learning_rate,
        "training.gradient_clip": config.training.gradient_clip,
    }
    for key, values in per_system.items():
        for system in config.systems:
            if system not in values:
                yield f"{key} = {dict(values)}: must have an entry for {system}, which is among systems"
    for members in config.ensemble_sizes:
        if members not in GRID_SIZES and any(config.baselines.values()):
            known = ", ".join(map(str, GRID_SIZES))
            yield f"ensemble_sizes has {members}: classical filters can be tuned for {known} only"
    for method in config.baselines.get("lorenz63", []):
        if method in GRIDDED_METHODS:
            yield f"baselines.lorenz63 has {method}, which localizes, but Lorenz '63 has no spatial grid"
    limits = {
        "tuning.trajectories": (config.tuning.trajectories, "data.tune.trajectories", config.data.tune.trajectories),
        "tuning.cycles": (config.tuning.cycles, "data.tune.cycles", config.data.tune.cycles),
        "tuning.confirm.trajectories": (
            config.tuning.confirm.trajectories,
            "data.tune.trajectories",
            config.data.tune.trajectories,
        ),
        "tuning.confirm.cycles": (config.tuning.confirm.cycles, "data.tune.cycles", config.data.tune.cycles),
        "evaluation.traced.trajectories": (
            config.evaluation.traced.trajectories,
            "data.test.trajectories",
            config.data.test.trajectories,
        ),
    }
    for key, (value, other, limit) in limits.items():
        if value > limit:
            yield f"{key} = {value}: must be at most {other} = {limit}"
    yield from _shrinking(config.published)
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


def _shrinking(published: Published) -> Iterator[str]:
    """Rounds of the race that are smaller than the one before."""
    trials = [*(entry.trials for entry in published.rounds), published.trials]
    for key, values in (("trials", trials), ("cycles", [entry.cycles for entry in published.rounds])):
        if values != sorted(values):
            yield f"published: {key} are {values} from round to round, but must not decrease"


def merge(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the entries of `overlay` laid over it, section by section; lists and values are replaced whole."""
    merged = dict(base)
    for key, value in overlay.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def load_config(raw: Mapping[str, Any], overrides: Mapping[str, Any] | None = None) -> Config:
    """The merged and checked config of `raw["scale"]`.

    raw: the content of config.yaml, possibly with the user's overrides already merged in (as Snakemake does).
    overrides: the user's own keys alone; they win over the overlay of the scale as well.
    Raises `ConfigError` naming every key that is unknown (with the nearest known one), of the wrong type, out of range
    or at odds with another.
    """
    overrides = {key: _typed(value) for key, value in (overrides or {}).items() if key != "scales"}
    scales = raw.get("scales")
    if not isinstance(scales, Mapping):
        raise ConfigError(
            "config key scales is missing or no mapping: it must hold an overlay for each scale, possibly empty"
        )
    scale = overrides.get("scale", raw.get("scale"))
    if scale not in scales:
        raise ConfigError(unknown_name("scale", scale, scales))
    overlay = scales[scale] or {}
    if not isinstance(overlay, Mapping):
        raise ConfigError(f"scales.{scale} = {overlay!r}: must be a mapping of keys to lay over the others, or empty")
    base = {key: value for key, value in raw.items() if key != "scales"}
    merged = merge(merge(base, overlay), overrides)
    try:
        return Config.model_validate(merged)
    except ValidationError as error:
        layers = ((overrides, ""), (overlay, f"scales.{scale}."))
        lines = [_explain(details, layers) for details in error.errors(include_url=False)]
        raise ConfigError("\n".join(lines)) from None


def _typed(value: Any) -> Any:
    """`value` with numbers, truth values and null where Snakemake's `--config key={...}` leaves them as text."""
    if isinstance(value, Mapping):
        return {key: _typed(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_typed(entry) for entry in value]
    scalar = yaml.safe_load(value) if isinstance(value, str) else value
    return value if isinstance(scalar, dict | list) else scalar


def write_config(config: Config, path: str | Path) -> None:
    """Write the merged config as YAML, unless the file says the same already."""
    from mnmef.io import write_text  # imports pandas and xarray, which reading a config does not need

    text = f"# The config that made these results: config.yaml with the overlay {config.scale}.\n"
    text += yaml.safe_dump(config.model_dump(), sort_keys=False)
    path = Path(path)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_text(text, path)


_RIGHT = {
    "missing": "is missing",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be finite",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be text",
    "list_type": "must be a list, such as [a, b]",
    "dict_type": "must be a mapping, such as {key: value}",
    "model_type": "must be a section with keys of its own",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "literal_error": "must be {expected}",
    "string_pattern_mismatch": "is not understood",
}
"""Type of a pydantic error -> what would be right, in our words."""


def _explain(details: ErrorDetails, layers: tuple[tuple[Mapping[str, Any], str], ...]) -> str:
    """One line (or several, for contradictions) that says which key is wrong, its value and what would be right."""
    kind, value, context = details["type"], details["input"], details.get("ctx", {})
    if kind == "contradiction":
        return details["msg"]
    location = tuple(part for part in details["loc"] if part != "[key]")
    path = ".".join(map(str, location))
    prefix = next((prefix for layer, prefix in layers if _holds(layer, location)), "")
    if kind == "extra_forbidden":
        known = _section_at(location[:-1]).model_fields
        return unknown_name(
            "config key", prefix + path, [prefix + ".".join(map(str, (*location[:-1], k))) for k in known]
        )
    if "[key]" in details["loc"] and kind == "literal_error":
        return unknown_name(
            "config key", prefix + path, [f"{prefix}{'.'.join(map(str, location[:-1]))}.{s}" for s in SYSTEMS]
        )
    right = _RIGHT.get(kind, details["msg"]).format(**context)
    if kind == "literal_error":
        allowed = str(context["expected"]).replace("'", "").replace(" or ", ", ").split(", ")
        near = difflib.get_close_matches(str(value), allowed, n=1, cutoff=0.4)
        right += f"; did you mean {near[0]!r}?" if near else ""
    about = _description(location)
    return f"config key {prefix}{path}{'' if kind == 'missing' else f' = {value!r}'} {right}{about}"


def _holds(layer: object, location: tuple[str | int, ...]) -> bool:
    """Whether `layer` sets the key at `location`; a position in a list counts as set with its list."""
    for part in location:
        if isinstance(layer, list):
            return True
        if not isinstance(layer, Mapping) or part not in layer:
            return False
        layer = layer[part]
    return True


def _section_at(location: tuple[str | int, ...]) -> type[Section]:
    """The section that `location` leads to, or the innermost one on the way."""
    section: type[Section] = Config
    inner: Any = Config
    for part in location:
        field = section.model_fields.get(str(part))
        # In a list of sections, the part is a position.
        inner = get_args(inner)[0] if get_origin(inner) is list else field and field.annotation
        if isinstance(inner, type) and issubclass(inner, Section):
            section = inner
        elif get_origin(inner) is not list:
            break
    return section


def _description(location: tuple[str | int, ...]) -> str:
    """Meaning, unit and section of the paper of the field at `location`, in brackets; empty if it is no field."""
    section = _section_at(location)
    for part in location:
        field = section.model_fields.get(str(part))
        if field is not None and not (isinstance(field.annotation, type) and issubclass(field.annotation, Section)):
            extra: Any = field.json_schema_extra or {}
            unit = "" if extra.get("unit", "1") == "1" else f", in {extra['unit']}"
            where = "" if extra.get("section", "none") == "none" else f"; paper: section {extra['section']}"
            return f" ({field.description}{unit}{where})"
    return ""
