"""The wheel: where there is no checkout, no Snakemake and no DAPPER, it loads, assimilates and trains."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from mnmef import __version__
from tests.copies import share_kernels

ABSENT = ("snakemake", "dapper", "pydantic", "pydantic_core", "matplotlib", "jinja2", "mistune", "tabulate", "filelock")
"""Packages that the core must not need."""
HIDDEN = f"""
import sys

class Without:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in {ABSENT!r} else self.finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = map(Without, sys.meta_path)
"""


@pytest.fixture(scope="module")
def project(root):
    return tomllib.loads((root / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory, copy_sources):
    """The Python of an environment in which the wheel is installed, beside pinned packages but for those in ABSENT.

    They are looked up where this Python has them, since PyTorch alone would take minutes to install.
    """
    folder = tmp_path_factory.mktemp("package")
    tree, environment, wheels = copy_sources(folder / "tree"), folder / "environment", folder / "wheels"
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", wheels, tree], check=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    [site] = environment.glob("lib/python*/site-packages")
    [wheel] = wheels.glob("*.whl")
    python = environment / "bin/python"
    subprocess.run([*pip, "--python", python, "install", "--no-deps", wheel], check=True)
    import numpy

    share_kernels(site)
    (site / "pinned.pth").write_text(f"{Path(numpy.__file__).parents[1]}\n")
    (site / "sitecustomize.py").write_text(HIDDEN)
    return python


def run(python, folder, *arguments):
    """What a command prints in a folder, without the variables that tests set; it must end well."""
    variables = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "MNMEF"))}
    done = subprocess.run(
        [*map(str, arguments)],
        cwd=folder,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_lines_of_the_readme_run_as_printed_from_the_wheel(installed, root, tmp_path):
    readme = (root / "README.md").read_text()
    [code] = re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL)
    [printed] = re.findall(r"prints `RMSE (\d\.\d)", readme)
    [found] = re.findall(r"RMSE (\d\.\d)", run(installed, tmp_path, installed, "-c", code))
    assert float(found) == pytest.approx(float(printed), abs=0.15)
    said = run(installed, tmp_path, installed.with_name("mnmef"), "assimilate", "obs.nc", "--out", "analysis.nc")
    assert "Wrote analysis.nc" in said
    assert (tmp_path / "analysis.nc").exists()


def test_the_wheel_trains_and_knows_its_version(installed, tmp_path):
    mnmef = installed.with_name("mnmef")
    options = (
        "--scale",
        "quick",
        "--set",
        "training.steps=2",
        "--set",
        "data.train.windows=8",
        "--set",
        "training.batch=4",
    )
    run(installed, tmp_path, mnmef, "fit", *options, "--out", "weights", "lorenz63_1.0")
    said = run(installed, tmp_path, mnmef, "info", "weights/lorenz63_1.0/mnmef_pretrained.safetensors")
    assert "experiment: lorenz63" in said
    assert run(installed, tmp_path, mnmef, "version").startswith(f"mnmef {__version__}\n")


def test_importing_the_installed_package_loads_no_library_that_takes_time(installed, tmp_path):
    slow = ("torch", "numba", "xarray", "scipy", "pandas")
    code = f"import mnmef, sys; print(mnmef.__file__, [name for name in {slow} if name in sys.modules])"
    said = run(installed, tmp_path, installed, "-c", code)
    assert str(installed.parents[1]) in said
    assert said.endswith("[]\n")


def test_the_core_has_at_most_twelve_dependencies_and_none_of_the_workflow(project):
    names = {re.match(r"[\w-]+", each)[0].lower() for each in project["dependencies"]}
    assert len(names) <= 12
    assert not names & set(ABSENT)
    assert {"workflow", "dapper", "slurm"} <= set(project["optional-dependencies"])


def test_the_citation_names_the_version(root):
    citation = yaml.safe_load((root / "CITATION.cff").read_text())
    assert citation["version"] == __version__
    assert {"title", "authors", "license", "message", "preferred-citation", "abstract"} <= citation.keys()
