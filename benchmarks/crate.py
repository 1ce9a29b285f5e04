"""The description of an archived run as a Workflow Run RO-Crate: JSON-LD by the profiles named in `PROFILES`."""

import mimetypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mnmef import __version__

NAME = "ro-crate-metadata.json"
CONTEXT = ["https://w3id.org/ro/crate/1.1/context", "https://w3id.org/ro/terms/workflow-run/context"]
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
LICENSE = "https://spdx.org/licenses/MIT"
SNAKEMAKE = "https://w3id.org/workflowhub/workflow-ro-crate#snakemake"
PAPER = "https://arxiv.org/abs/2504.17836"
TYPES = {
    ".nc": "application/netcdf",
    ".safetensors": "application/octet-stream",
    ".smk": "text/plain",
    ".md": "text/markdown",
}


def _file(name: str, checksum: str, size: int) -> dict[str, Any]:
    """Describe a file of the archive."""
    kind = TYPES.get(Path(name).suffix) or mimetypes.guess_type(name)[0] or "text/plain"
    described = {"@id": name, "@type": "File", "name": Path(name).name, "encodingFormat": kind}
    return {**described, "contentSize": str(size), "sha256": checksum}


def _workflow(snakefile: tuple[str, int], run: Mapping[str, str]) -> list[dict[str, Any]]:
    """Describe the Snakefile and its language."""
    return [
        {
            **_file("Snakefile", *snakefile),
            "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow"],
            "name": "MNMEF pipeline",
            "programmingLanguage": {"@id": SNAKEMAKE},
            "version": f"{__version__}, commit {run['commit']}",
            "license": {"@id": LICENSE},
        },
        {
            "@id": SNAKEMAKE,
            "@type": "ComputerLanguage",
            "name": "Snakemake",
            "identifier": {"@id": "https://snakemake.github.io"},
            "url": {"@id": "https://snakemake.github.io"},
            "version": run["snakemake"],
        },
    ]


def describe(files: Mapping[str, tuple[str, int]], run: Mapping[str, str]) -> dict[str, Any]:
    """Describe a run.

    Parameters
    ----------
    files : mapping
        SHA-256 and size in bytes of each file, by its path in the archive.
    run : mapping
        `scale`, `commit`, `processor`, `snakemake` (a version); `started`, `ended` and `published`, in
        ISO 8601.

    Returns
    -------
    dict
        The content of `ro-crate-metadata.json`.
    """
    config, ids = f"results/{run['scale']}/config.yaml", {name: {"@id": name} for name in files}
    results = [ids[name] for name in files if name.startswith("results/") and name != config]
    title = f"MNMEF pipeline at scale {run['scale']}"
    graph: list[dict[str, Any]] = [
        {
            "@id": NAME,
            "@type": "CreativeWork",
            "about": {"@id": "./"},
            "conformsTo": [{"@id": "https://w3id.org/ro/crate/1.1"}, {"@id": [*PROFILES][-1]}],
        },
        {
            "@id": "./",
            "@type": "Dataset",
            "name": title,
            "description": f"Scores, evaluations, weights, figures, tables, logs and config of a run that computes the "
            f"figures and tables of {PAPER}. `make restore` puts them back into a checkout.",
            "datePublished": run["published"],
            "license": {"@id": LICENSE},
            "conformsTo": [{"@id": profile} for profile in PROFILES],
            "mainEntity": {"@id": "Snakefile"},
            "mentions": {"@id": "#run"},
            "hasPart": list(ids.values()),
        },
        *_workflow(files["Snakefile"], run),
        {
            "@id": "#run",
            "@type": "CreateAction",
            "name": f"Run of {title}",
            "description": f"On {run['processor']}",
            "instrument": {"@id": "Snakefile"},
            "object": ids[config],
            "result": results,
            "startTime": run["started"],
            "endTime": run["ended"],
            "actionStatus": {"@id": "http://schema.org/CompletedActionStatus"},
        },
        {"@id": LICENSE, "@type": "CreativeWork", "name": "MIT license"},
    ]
    graph += [{"@id": i, "@type": "CreativeWork", "name": n, "version": i.split("/")[-1]} for i, n in PROFILES.items()]
    graph += [_file(name, *files[name]) for name in files if name != "Snakefile"]
    return {"@context": CONTEXT, "@graph": graph}
