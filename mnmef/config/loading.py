"""Reading config.yaml: layers, checks, and errors that say how to put it right.

For each experiment, layers are merged one over the other: the keys of config.yaml, those of the experiment's file, the
overlays of the chosen scale in both, and what the user gave with `--configfile` or `--config`. All of it is checked
before any job, so that a typing error costs seconds and not hours.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from mnmef.config.checks import faults_of_experiment, faults_of_file, faults_of_run
from mnmef.config.experiment import Description
from mnmef.config.messages import ConfigError, Layers, distinct, explain
from mnmef.config.outside import code_of, faults_of_code, faults_of_filters, take_experiments
from mnmef.config.schema import RUN_WIDE, Config
from mnmef.config.settings import layers, merge
from mnmef.core.errors import unknown_name
from mnmef.core.names import use_filters
from mnmef.experiments.description import describe
from mnmef.experiments.files import known_experiments

Checked = TypeVar("Checked", bound=BaseModel)


@dataclass(frozen=True)
class RunConfig:
    """The checked config of a run.

    Parameters
    ----------
    common : Config
        Without what the files of experiments say: for keys that all experiments have in common.
    experiments : dict of Config
        By experiment, with what its file says.
    descriptions : dict of dict
        By experiment, its system and observations.
    """

    common: Config
    experiments: dict[str, Config]
    descriptions: dict[str, dict[str, Any]]


def load_config(raw: Mapping[str, Any], overrides: Mapping[str, Any] | None = None) -> RunConfig:
    """Merge and check the config of `raw["scale"]`.

    Parameters
    ----------
    raw : mapping
        The content of config.yaml, possibly with the user's overrides already merged in (as Snakemake does).
    overrides : mapping
        The user's own keys alone; they win over all overlays as well.

    Raises
    ------
    ConfigError
        Naming every key that is unknown (with the nearest known one), of the wrong type, out of range or at odds with
        another, and the file that it is in.
    """
    overrides = {key: _typed(value) for key, value in (overrides or {}).items() if key != "scales"}
    scale = _scale(raw, overrides)
    raw, at_scale, overrides = take_experiments(raw, raw["scales"][scale] or {}, overrides)
    raw = {**raw, "scales": {**raw["scales"], scale: at_scale}}
    common = _checked(Config, _layers(raw, scale, None, overrides))
    _refuse(faults_of_run(common, overrides))
    experiments, descriptions = {}, {}
    for name in common.experiments:
        _refuse(faults_of_file(name))
        own = _layers(raw, scale, name, overrides)
        experiments[name] = _checked(Config, own)
        described = _checked(Description, [(describe(name), f"{known_experiments()[name].name}: ")])
        _refuse(faults_of_code(name))
        descriptions[name] = described.model_dump(exclude_none=True) | {"grid": described.grid} | code_of(name)
        _refuse(faults_of_experiment(experiments[name], descriptions[name]))
        _refuse(faults_of_filters(name, experiments[name].filters))
    use_filters(str(entry["name"]).rpartition(":")[2] for part in experiments.values() for entry in part.filters)
    return RunConfig(common, experiments, descriptions)


def _scale(raw: Mapping[str, Any], overrides: Mapping[str, Any]) -> str:
    """Return the scale in use, after a check that its overlay is there."""
    scales, scale = raw.get("scales"), overrides.get("scale", raw.get("scale"))
    if not isinstance(scales, Mapping):
        fault = "config key scales is missing or no mapping: it must hold an overlay for each scale, possibly empty"
    elif scale not in scales:
        fault = unknown_name("scale", scale, scales)
    elif not re.fullmatch(r"\w[\w-]*", str(scale)):
        fault = f"scale = {scale!r}: names a folder of results, so that it must have letters, digits, - and _ alone"
    elif not isinstance(scales[scale] or {}, Mapping):
        fault = f"scales.{scale} = {scales[scale]!r}: must be a mapping of keys to lay over the others, or empty"
    else:
        return str(scale)
    raise ConfigError(fault)


def _layers(raw: Mapping[str, Any], scale: str, name: str | None, overrides: Mapping[str, Any]) -> Layers:
    """Return all layers of an experiment, or those that all experiments have in common."""
    file = f"{known_experiments()[name].name}: " if name else ""
    prefixes = ("", file, f"scales.{scale}.", f"{file}scales.{scale}.")
    return [(overrides, ""), *reversed(list(zip(layers(raw, scale, name), prefixes, strict=True)))]


def _checked(kind: type[Checked], parts: Layers) -> Checked:
    """Merge and check layers."""
    try:
        return kind.model_validate(merge(*(layer for layer, _ in reversed(parts))))
    except ValidationError as error:
        lines = [explain(details, parts, kind) for details in distinct(error.errors(include_url=False))]
        raise ConfigError("\n".join(lines)) from None


def _refuse(faults: Iterable[str]) -> None:
    """Stop if there is a fault."""
    lines = list(faults)
    if lines:
        raise ConfigError("\n".join(lines))


def _typed(value: Any) -> Any:
    """Read numbers, truth values and null that Snakemake's `--config key={...}` leaves as text."""
    if isinstance(value, Mapping):
        return {key: _typed(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_typed(entry) for entry in value]
    scalar = yaml.safe_load(value) if isinstance(value, str) else value
    return value if isinstance(scalar, dict | list) else scalar


def write_config(run: RunConfig, path: str | Path) -> None:
    """Write the merged config as YAML, unless the file says the same already."""
    from mnmef.io.files import write_text  # imports pandas and xarray, which reading a config does not need

    common = run.common.model_dump()
    content = {key: common[key] for key in RUN_WIDE}
    for name, config in run.experiments.items():
        own = {key: value for key, value in config.model_dump().items() if key not in RUN_WIDE}
        content[name] = {**run.descriptions[name], **own}
    text = f"# The config that made these results: scale {run.common.scale}, then each experiment.\n"
    text += yaml.safe_dump(content, sort_keys=False)
    path = Path(path)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_text(text, path)
