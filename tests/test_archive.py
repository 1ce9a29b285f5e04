"""Archives of results: what is packed comes back, what was changed is named, and the description is complete."""

import json
import tarfile
from base64 import urlsafe_b64encode
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

from benchmarks import archive, crate
from benchmarks.compare import difference
from mnmef.io import manifest
from mnmef.learning.checkpoints import write_tensors

FILES = (
    "README.md",
    "config.yaml",
    "scores.csv",
    "logs/job.log",
    "figures/figure_1.png",
    "data/ks_test.nc",
    ".job.lock",
)


@pytest.fixture
def packed(tmp_path, monkeypatch):
    """The archive of what looks like a run, packed in one folder; another folder is the working one."""
    run, clone = tmp_path / "run", tmp_path / "clone"
    clone.mkdir()
    for name in FILES:
        (run / "results/quick" / name).parent.mkdir(parents=True, exist_ok=True)
        (run / "results/quick" / name).write_text(f"content of {name}\n")
    records = run / ".snakemake/metadata"
    records.mkdir(parents=True)
    for number, name in enumerate(
        (f"results/quick/{'long' * 80}.nc", "results/quick/scores.csv", "results/laptop/scores.csv")
    ):
        code = urlsafe_b64encode(name.encode()).decode()
        parts = ["@" + code[:200], code[200:]] if len(code) > 200 else [code]
        path = records.joinpath(*parts)
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"rule": "score_filters", "starttime": 1e9 + number, "endtime": 1.1e9, "input": []}))
    monkeypatch.chdir(run)
    archive.pack("quick", tmp_path / "run.tar.xz")
    monkeypatch.chdir(clone)
    return tmp_path / "run.tar.xz"


def rewritten(packed, tmp_path, change):
    """The archive with the content of its files changed by a function of name and content; None leaves one out."""
    other = tmp_path / "other.tar.xz"
    folder = tmp_path / "unpacked"
    with tarfile.open(packed) as opened:
        opened.extractall(folder, filter="data")
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        content = change(path.relative_to(folder).as_posix(), path.read_bytes())
        path.unlink() if content is None else path.write_bytes(content)
    with tarfile.open(other, "w:xz") as opened:
        opened.add(folder, ".")
    return other


def test_what_is_packed_comes_back_of_one_time_stamp(packed):
    archive.restore(packed)
    there = {
        path.relative_to("results/quick").as_posix(): path
        for path in Path("results/quick").rglob("*")
        if path.is_file()
    }
    kept = {name for name in FILES if not name.startswith("data") and not name.endswith(".lock")}
    assert set(there) == kept | {archive.PROCESSOR}
    assert all(there[name].read_text() == f"content of {name}\n" for name in kept)
    assert len({there[name].stat().st_mtime for name in kept}) == 1
    assert set(archive.records_of("quick")) == {"results/quick/scores.csv", f"results/quick/{'long' * 80}.nc"}


def test_the_same_files_give_the_same_checksums(packed):
    with tarfile.open(packed) as opened:
        lines = opened.extractfile(archive.LISTED).read().decode().splitlines()
    opened_sums = dict(reversed(line.split("  ")) for line in lines)
    archive.restore(packed)
    assert opened_sums["results/quick/scores.csv"] == manifest.checksum("results/quick/scores.csv")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda name, content: content[:-1] + b"!" if name.endswith("scores.csv") else content,
            "scores.csv is not as it was",
        ),
        (lambda name, content: None if name.endswith("scores.csv") else content, "scores.csv is missing"),
        (lambda name, content: None if name == archive.LISTED else content, "README.md is not in manifest-sha256.txt"),
    ],
)
def test_a_tampered_file_is_named_and_nothing_is_written(packed, tmp_path, change, said):
    with pytest.raises(ValueError, match=said):
        archive.restore(rewritten(packed, tmp_path, change))
    assert not list(Path().iterdir())


def test_a_damaged_archive_is_named(packed, tmp_path):
    content = bytearray(packed.read_bytes())
    content[len(content) // 2] ^= 1
    packed.write_bytes(content)
    with pytest.raises(ValueError, match=r"run.tar.xz is no archive of a run, or a damaged one"):
        archive.restore(packed)


def test_results_that_are_there_are_not_overwritten(packed):
    Path("results/quick").mkdir(parents=True)
    with pytest.raises(FileExistsError, match="results/quick is there already"):
        archive.restore(packed)


def test_a_run_that_is_not_finished_is_not_packed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert archive.main(["pack", "quick"]) == 1


def test_the_crate_has_what_its_profiles_require_and_names_only_what_it_has(packed):
    with tarfile.open(packed) as opened:
        described = json.loads(opened.extractfile(crate.NAME).read())
        members = set(opened.getnames())
    entities = {entity["@id"]: entity for entity in described["@graph"]}
    assert len(entities) == len(described["@graph"])
    root, run, workflow = entities["./"], entities["#run"], entities["Snakefile"]
    assert {"name", "description", "datePublished", "license", "hasPart"} <= root.keys()
    assert entities[crate.NAME]["about"] == {"@id": "./"}
    assert {each["@id"] for each in root["conformsTo"]} == set(crate.PROFILES)
    assert root["mainEntity"] == {"@id": "Snakefile"}
    assert {"File", "SoftwareSourceCode", "ComputationalWorkflow"} <= set(workflow["@type"])
    assert {"name", "instrument", "object", "result", "startTime", "endTime", "actionStatus"} <= run.keys()
    assert {each["@id"] for each in root["hasPart"]} == members - {crate.NAME, archive.LISTED}

    def references(value):
        if isinstance(value, dict):
            yield from (
                [value["@id"]] if set(value) == {"@id"} else (i for each in value.values() for i in references(each))
            )
        elif isinstance(value, list):
            yield from (i for each in value for i in references(each))

    inside = {i for entity in described["@graph"] for i in references(list(entity.values()))}
    assert {i for i in inside if "://" not in i} <= set(entities)


@pytest.mark.parametrize("kind", ["nc", "csv", "safetensors"])
def test_a_changed_bit_is_a_difference_unless_the_processor_is_another(tmp_path, kind):
    values = np.linspace(1.0, 2.0, 50)

    def write(name, numbers, seconds):
        file = tmp_path / f"{name}.{kind}"
        if kind == "nc":
            xr.Dataset({"error": ("cycle", numbers), "seconds": seconds}, attrs={"commit": name}).to_netcdf(file)
        elif kind == "csv":
            pd.DataFrame({"error": numbers, "seconds": seconds}).to_csv(file, index=False)
        else:
            write_tensors({"error": torch.from_numpy(numbers)}, {"seconds": seconds}, file)
        return file

    old, same = write("old", values, 1.0), write("same", values, 2.0)
    rounded, other = write("rounded", np.nextafter(values, 3.0), 1.0), write("other", 1.1 * values, 1.0)
    assert difference(old, same, exact=True) is None
    assert "error differs in 50 of 50 entries" in difference(old, rounded, exact=True)
    assert difference(old, rounded, exact=False) is None
    assert "mean size" in difference(old, other, exact=False)
