"""The reference of the config, from its schema: type, default, unit, section of the paper and meaning of each key."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from mnmef.config.experiment import Description
from mnmef.config.schema import Config

ROOT = Path(__file__).parents[2]
HEAD = "| key | type | default | unit | paper | meaning |\n|---|---|---|---|---|---|\n"
LIMITS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
INTRODUCTION = """# Config

Every key of [config.yaml](../../config.yaml), generated from the schema that checks it. Defaults are those of
`config.yaml`, which are the published ones; the overlays of the scales `quick` and `laptop` are at its end, and the
[files of the experiments](../../mnmef/experiments/paper) lay their own over them
([order of the layers](../workflow.md#the-config)). Paper: the section that speaks of a key; empty where the paper does
not know it.
"""
EXPERIMENT = """## The file of an experiment

These keys describe the experiment; all others of its file are laid over those above.
"""
SCALES = """## Scales

`scales.quick`, `scales.laptop` and `scales.paper` hold keys of the above, laid over them.
"""


def kind(field: dict[str, Any]) -> str:
    """Return the type of a field of a JSON schema in words."""
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(kind(each) for each in field["anyOf"]))
    if "$ref" in field:
        return "section"
    if "enum" in field or "const" in field:
        return "one of " + ", ".join(f"`{value}`" for value in field.get("enum", [field.get("const")]))
    match field.get("type"):
        case "array":
            return f"list of ({kind(field.get('items') or field['prefixItems'][0])})"
        case "object":
            values = field.get("additionalProperties")
            return f"mapping to ({kind(values)})" if isinstance(values, dict) else "mapping"
        case name:
            return f"{name}" + "".join(f" {sign} {field[key]:g}" for key, sign in LIMITS.items() if key in field)


def section_in(field: Any) -> str | None:
    """Return the name of the first section that a field holds, itself or as an entry of a list or mapping."""
    if isinstance(field, dict) and "$ref" in field:
        return str(field["$ref"].split("/")[-1])
    inner = field.values() if isinstance(field, dict) else field if isinstance(field, list) else ()
    return next((found for each in inner if (found := section_in(each))), None)


def rows(schema: dict[str, Any], parts: dict[str, Any], values: Any, prefix: str = "") -> Iterator[tuple[str, ...]]:
    """Yield key, type, default, unit, section and meaning of each field, a section before its own fields."""
    for name, field in schema["properties"].items():
        value = values.get(name, field.get("default")) if isinstance(values, dict) else None
        text = yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix("...\n").strip()
        has_default = "$ref" not in field and isinstance(values, dict) and (name in values or "default" in field)
        paper, unit = field.get("section", "none"), field.get("unit", "1")
        yield (
            f"`{prefix}{name}`",
            kind(field),
            f"`{text}`" if has_default else "",
            "" if unit == "1" else unit,
            "" if paper == "none" else paper,
            field["description"].replace("<", "&lt;"),
        )
        inner = section_in(field)
        if inner is not None:
            yield from rows(parts[inner], parts, value if "$ref" in field else None, f"{prefix}{name}.")


def table(entries: Iterable[tuple[str, ...]]) -> str:
    """Return rows as a table."""
    return HEAD + "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |\n" for row in entries)


def page() -> str:
    """Return the page: keys that are no sections, then a part for each section."""
    values = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    schema, own = Config.model_json_schema(), Description.model_json_schema()
    single: list[tuple[str, ...]] = []
    sections: dict[str, list[tuple[str, ...]]] = {}
    for row in rows(schema, schema["$defs"], values):
        first = row[0].strip("`").split(".")[0]
        if row[1] == "section" and row[0] == f"`{first}`":
            sections[first] = []
        else:
            sections.get(first, single).append(row)
    text = [INTRODUCTION, f"## General\n\n{table(single)}"]
    for name, found in sections.items():
        about = schema["properties"][name]["description"]
        text.append(f"## `{name}`\n\n{about[0].upper()}{about[1:]}.\n\n{table(found)}")
    return "\n".join([*text, EXPERIMENT, table(rows(own, own["$defs"], {})), SCALES])
