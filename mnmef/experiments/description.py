"""Descriptions of experiments, as data files and classes have them; apart from the files, since some need DAPPER."""

from typing import Any

from mnmef.core.references import dapper_module
from mnmef.experiments.files import DESCRIPTION, known_experiments, read_experiment, with_absolute_paths


def describe(name: str) -> dict[str, Any]:
    """Return the description of the experiment `name`: its name and the keys of `DESCRIPTION`.

    A module of DAPPER as the system says what the file does not.
    """
    content = read_experiment(name)
    described = {"name": name, **{key: content[key] for key in DESCRIPTION if key in content}}
    folder = known_experiments()[name].parent
    if "system" in content:
        section = content["system"]
        described["system"] = with_absolute_paths({"name": section} if isinstance(section, str) else section, folder)
    if "truth" in content:
        described["truth"] = with_absolute_paths(content["truth"], folder)
    if "observation" in content:
        described["observation"] = with_absolute_paths(content["observation"], folder)
    system = described.get("system")
    module = dapper_module(system.get("name")) if isinstance(system, dict) else None
    if module is not None:
        from mnmef.systems.from_dapper import describe_module  # loads DAPPER and torch

        if described.get("observation") == "dapper":
            del described["observation"]
        described = describe_module(module, has_observation="observation" in described) | described
    return described
