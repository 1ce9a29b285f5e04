"""Errors of the config's schema in our words."""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from mnmef.config.schema import RENAMED, RUN_WIDE
from mnmef.core.errors import unknown_name
from mnmef.experiments.files import DESCRIPTION, known_experiments

Layers = list[tuple[Mapping[str, Any], str]]
"""Mappings that are laid over one another, the first one on top, each with the prefix of its keys in error texts."""


class ConfigError(ValueError):
    """A config that cannot be used; the text has one line for each fault."""


_RIGHT = {
    "missing": "is missing",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be finite",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "list_type": "must be a list, such as [a, b]",
    "tuple_type": "must be a list, such as [a, b]",
    "dict_type": "must be a mapping, such as {{key: value}}",
    "model_type": "must be a section with keys of its own",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "too_short": "must have at least one entry",
    "multiple_of": "must be a multiple of {multiple_of}",
    "literal_error": "must be {expected}",
    "string_pattern_mismatch": "is not understood",
    "twice": "must not have {entry} twice",
}
"""Type of a pydantic error -> the requirement, in our words."""


def distinct(errors: list[ErrorDetails]) -> list[ErrorDetails]:
    """Return errors without those of further forms that a key may have: of each key, the form that fits it farthest."""
    forms: dict[tuple[Any, ...], dict[str, list[ErrorDetails]]] = {}
    for details in errors:
        place = details["loc"]
        form = next((i for i, part in enumerate(place) if "[" in str(part) and part != "[key]"), len(place))
        plain = {**details, "loc": place[:form] + place[form + 1 :]}
        forms.setdefault(place[:form], {}).setdefault(str(place[form : form + 1]), []).append(plain)  # type: ignore[arg-type]
    best = (max(found.values(), key=lambda each: len(each[0]["loc"])) for found in forms.values())
    return [details for each in best for details in each]


def explain(details: ErrorDetails, parts: Layers, schema: type[BaseModel]) -> str:
    """Say in one line which key is wrong, its value and the requirement.

    Parameters
    ----------
    details : dict
        An error of pydantic's.
    parts : list
        The layers that were merged, the first one on top.
    schema : class
        The schema that they were checked against.
    """
    kind, value, context = details["type"], details["input"], details.get("ctx", {})
    location = tuple(part for part in details["loc"] if part != "[key]")
    path = ".".join(map(str, location))
    holders = (prefix for layer, prefix in parts if _holds(layer, location))
    prefix = next(holders, parts[0][1] if len(parts) == 1 else "")
    if kind == "extra_forbidden":
        return _unknown_key(path, prefix, _walk(schema, location[:-1])[0], schema)
    right = _RIGHT.get(kind, details["msg"]).format(**context)
    if isinstance(value, Mapping) and value and set(value) <= set(known_experiments()):
        right += f"; what differs between experiments stands in their files, such as {next(iter(value))}.yaml"
    if kind == "literal_error" and str(value) in RENAMED:
        right = f"is called {RENAMED[str(value)]} now"
    elif kind == "literal_error":
        allowed = str(context["expected"]).replace("'", "").replace(" or ", ", ").split(", ")
        near = difflib.get_close_matches(str(value), allowed, n=1, cutoff=0.4)
        right += f"; did you mean {near[0]!r}?" if near else ""
    given = "" if kind == "missing" else f" = {value!r}"
    return f"config key {prefix}{path}{given} {right}{_description(_walk(schema, location)[1])}"


def _unknown_key(path: str, prefix: str, section: type[BaseModel], schema: type[BaseModel]) -> str:
    """Say that there is no such key, with its present name, the section that has it, or the nearest key."""
    if path in RENAMED:
        return f"config key {prefix}{path} is called {RENAMED[path]} now"
    above, _, name = path.rpartition(".")
    elsewhere = [known for known in _paths(schema) if known.rpartition(".")[2] == name]
    if elsewhere:
        return f"config key {prefix}{path} is not there; it is a key of its own: {' or '.join(elsewhere)}"
    start = prefix + (f"{above}." if above else "")
    known = list(section.model_fields)
    if section is schema and prefix.partition(": ")[0] in {file.name for file in known_experiments().values()}:
        known = [*DESCRIPTION, *(key for key in known if key not in RUN_WIDE)]
    return unknown_name("config key", prefix + path, [start + key for key in known])


def _paths(section: type[BaseModel], start: str = "") -> Iterator[str]:
    """Yield all keys of a section as dotted paths, those of its own sections included."""
    for key, field in section.model_fields.items():
        yield start + key
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _paths(field.annotation, f"{start}{key}.")


def _holds(layer: object, location: tuple[str | int, ...]) -> bool:
    """Return whether `layer` sets the key at `location`; a position in a list counts as set with its list."""
    for part in location:
        if isinstance(layer, list):
            return True
        if not isinstance(layer, Mapping) or part not in layer:
            return False
        layer = layer[part]
    return True


def _walk(schema: type[BaseModel], location: tuple[str | int, ...]) -> tuple[type[BaseModel], FieldInfo | None]:
    """Return the innermost section on the way to `location`, and the last field on it."""
    section, field = schema, None
    for part in map(str, location):
        if part in section.model_fields:  # otherwise a position in a list, or a key of a mapping
            field = section.model_fields[part]
            section = _section_in(field.annotation) or section
    return section, field


def _section_in(annotation: Any) -> type[BaseModel] | None:
    """Return the section that a field holds, be it in a list or a mapping, if any."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_section_in, get_args(annotation))), None)


def _description(field: FieldInfo | None) -> str:
    """Give meaning, unit and section of the paper of a field in brackets."""
    if field is None:
        return ""
    extra: Any = field.json_schema_extra
    unit = "" if extra["unit"] == "1" else f", in {extra['unit']}"
    where = "" if extra["section"] == "none" else f"; paper: section {extra['section']}"
    return f" ({field.description}{unit}{where})"
