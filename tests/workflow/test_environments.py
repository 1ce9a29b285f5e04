"""Pins: conda environments, the pip lock and pyproject.toml say the same."""

import ast
import itertools
import json
import re
import subprocess
import sys
import tomllib
import venv
from importlib import metadata
from pathlib import Path

import pytest
import rattler
import yaml
from packaging.requirements import Requirement

from mnmef.io.digest import imported_modules

CONDA_NAMES = {"pytorch": "torch", "matplotlib-base": "matplotlib"}
IMPORT_NAMES = {"yaml": "pyyaml", "llvmlite": "numba"}


def steps() -> dict[str, set[str]]:
    """The scripts of each conda environment, as the rules say."""
    found: dict[str, set[str]] = {}
    for path in (ROOT / "rules").glob("*.smk"):
        for rule in re.split(r"^(?=\S)", path.read_text(), flags=re.MULTILINE):
            environment = re.search(r'"\.\./envs/(\w+)\.yaml"', rule)
            script = re.search(r'"\.\./workflow_scripts/(\w+/\w+)\.py"', rule)
            if environment and script:
                found.setdefault(environment[1], set()).add(script[1])
    return found


ROOT = Path(__file__).parents[2]
STEPS = steps()


@pytest.fixture(scope="module")
def lock(root) -> dict[str, set[str]]:
    """Versions of each package in the lock; more than one where they differ between Pythons."""
    versions: dict[str, set[str]] = {}
    files = (root / "requirements.lock", root / "docs" / "requirements.lock")
    for line in "".join(file.read_text() for file in files).splitlines():
        if line and not line.startswith("#"):
            name, version = line.split(" ;")[0].split("==")
            versions.setdefault(name.lower(), set()).add(version)
    return versions


def pins(root, step: str) -> dict[str, str]:
    """Packages and versions of a conda environment, under their names on PyPI."""
    found = {}
    for item in yaml.safe_load((root / "envs" / f"{step}.yaml").read_text())["dependencies"]:
        for text in item["pip"] if isinstance(item, dict) else [item]:
            match = re.fullmatch(r"([a-z0-9-]+)\s*(?:={1,2}\s*([\w.]+))?", text)
            assert match, text
            found[CONDA_NAMES.get(match[1], match[1])] = match[2]
    return found


def test_every_script_runs_in_one_environment_and_every_environment_is_used(root):
    scripts = [script for step in STEPS.values() for script in step]
    assert sorted(scripts) == sorted(
        f"{path.parent.name}/{path.stem}" for path in (root / "workflow_scripts").rglob("*.py")
    )
    assert {path.stem for path in (root / "envs").glob("*.yaml")} == set(STEPS)


@pytest.mark.parametrize("step", STEPS)
def test_pins_of_an_environment_equal_the_lock(root, lock, step):
    found = pins(root, step)
    assert found.pop("python") == "3.11"
    for name, version in found.items():
        if name != "pip":
            assert version in lock[name], f"{name} {version}"


@pytest.mark.parametrize("step", STEPS)
def test_conda_understands_every_line_of_an_environment(root, step):
    described = yaml.safe_load((root / "envs" / f"{step}.yaml").read_text())
    assert described["channels"] == ["conda-forge", "nodefaults"]
    for text in described["dependencies"]:
        if isinstance(text, str):
            spec = rattler.MatchSpec(text, strict=True)
            assert spec.name is not None
            assert spec.version is not None or text == "pip"


@pytest.mark.parametrize("step", STEPS)
def test_an_environment_holds_exactly_what_its_step_imports(root, step):
    imported: set[str] = set()
    for script in sorted(STEPS[step]):
        path = root / "workflow_scripts" / f"{script}.py"
        # The module of logs counts too, although it is no part of digests.
        for module in [path, root / "mnmef" / "io" / "logs.py", *imported_modules(path, root).values()]:
            imported |= third_party(ast.parse(module.read_text()))
    # xarray writes through netcdf4 without our importing it.
    assert set(pins(root, step)) - {"python", "pip"} == imported | {"netcdf4"}


def third_party(tree: ast.Module) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    # Scripts import snakemake for type checkers only.
    outside = names - set(sys.stdlib_module_names) - {"mnmef", "snakemake"}
    return {IMPORT_NAMES.get(name, name).lower() for name in outside}


def test_the_lock_pins_every_dependency_that_the_project_states(root, lock):
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    of_docs = (root / "docs" / "requirements.lock").read_text().lower()
    for requirement in extras.pop("docs"):
        assert re.search(rf"^{re.split(r'[<>=]', requirement)[0]}==", of_docs, flags=re.MULTILINE), requirement
    for requirement in itertools.chain(project["dependencies"], *extras.values()):
        if not requirement.startswith("mnmef["):  # an extra that has another one
            assert re.split(r"[<>=]", requirement)[0].lower() in lock, requirement


def test_the_lock_has_an_old_dapper_for_an_old_python_and_a_new_one_for_new_pythons(root):
    text = (root / "requirements.lock").read_text()
    assert re.search(r"^dapper==1\.7\.1 ; python_full_version < '3\.12'$", text, flags=re.MULTILINE)
    assert re.search(r"^dapper==1\.8\.\d+ ; python_full_version >= '3\.12'$", text, flags=re.MULTILINE)


def modules_of(root, step: str) -> tuple[set[str], set[str]]:
    """The modules that the scripts of a step run, and what any line of them imports, at its top or in a function."""
    run, imported = {"mnmef.io.logs"}, set()
    for script in STEPS[step]:
        path = root / "workflow_scripts" / f"{script}.py"
        used = imported_modules(path, root)
        run |= {f"workflow_scripts.{script.replace('/', '.')}", *used}
        for module in [path, *used.values()]:
            imported |= third_party(ast.parse(module.read_text()))
    return run, imported


def needed(names: set[str]) -> set[str]:
    """Packages with all that they require, as pip would install them here."""
    found: set[str] = set()
    waiting = [Requirement(name) for name in names]
    while waiting:
        requirement = waiting.pop()
        key = f"{requirement.name.lower().replace('_', '-')}[{','.join(sorted(requirement.extras))}]"
        if key in found:
            continue
        found.add(key)
        for text in metadata.requires(requirement.name) or []:
            other = Requirement(text)
            if other.marker is None or any(other.marker.evaluate({"extra": e}) for e in {"", *requirement.extras}):
                waiting.append(other)
    return {key.split("[")[0] for key in found}


def link_packages(names: set[str], folder: Path) -> None:
    """Make the files of installed packages, and of no others, importable from `folder`."""
    for name in names:
        distribution = metadata.distribution(name)
        tops = {file.parts[0] for file in distribution.files or [] if file.parts[0] not in ("..", "__pycache__")}
        for top in tops:
            if not (folder / top).exists():
                (folder / top).symlink_to(Path(str(distribution.locate_file(top))).resolve())


IMPORT_ALL = """
import importlib, json, sys
modules, path = json.loads(sys.argv[1]), sys.argv[2]
for name in modules:
    importlib.import_module(name)
import xarray
from mnmef.io.files import read_dataset, write_dataset
write_dataset(xarray.Dataset({"a": ("x", [1.0, 2.0])}), path, provenance={"kind": "data"})
assert read_dataset(path, kind="data")["a"].sum() == 3.0
"""


@pytest.mark.parametrize("step", STEPS)
def test_a_step_runs_where_only_its_packages_are_installed(root, step, tmp_path):
    names = set(pins(root, step)) - {"python", "pip"}
    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    site = next((tmp_path / "venv" / "lib").glob("python*/site-packages"))
    link_packages(needed(names), site)
    python = tmp_path / "venv" / "bin" / "python"
    modules, imported = modules_of(root, step)
    spelled = {value: key for key, value in IMPORT_NAMES.items()} | {"netcdf4": "netCDF4"}
    everything = [*sorted(spelled.get(name, name) for name in imported), *sorted(modules)]
    command = [str(python), "-c", IMPORT_ALL, json.dumps(everything), str(tmp_path / "file.nc")]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # What the step does not name is not there.
    absent = {"snakemake", "dapper", "matplotlib"} - needed(names)
    assert absent
    for name in absent:
        assert subprocess.run([str(python), "-c", f"import {name}"], cwd=root, capture_output=True).returncode != 0
