"""Reading config.yaml: layers, checks, and errors that say how to put it right.

`load_config` merges three layers, each over the one before: the keys of config.yaml, the overlay of the chosen scale,
and what the user gave with `--configfile` or `--config`. It runs before any job, so that a typing error costs seconds
and not hours.
"""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from mnmef.config.schema import SYSTEMS, Config, Section
from mnmef.config.settings import merge
from mnmef.core.errors import unknown_name


class ConfigError(ValueError):
    """A config that cannot be used; the text has one line for each fault."""


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
    from mnmef.io.files import write_text  # imports pandas and xarray, which reading a config does not need

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
    "dict_type": "must be a mapping, such as {{key: value}}",
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
