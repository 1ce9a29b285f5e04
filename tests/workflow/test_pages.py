"""How-to pages of docs/: their files, Python and commands, as a reader would take them from top to bottom."""

import re
import shlex
from pathlib import Path

import pandas as pd
import pytest
import xarray as xr
import yaml

from mnmef.__main__ import main
from mnmef.experiments.files import use_experiments

FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The reader's folder, which the pages on the lake share."""
    return tmp_path_factory.mktemp("pages")


@pytest.fixture
def read(root, monkeypatch, snakemake):
    """A function that goes through a page in a folder and returns the names of its Python, with what was run."""

    def command(line: str, folder: Path) -> None:
        words = [word.replace("CHECKOUT", str(root)) for word in shlex.split(line, comments=True)]
        if words[:3] == ["python", "-m", "mnmef"]:
            assert main(words[3:]) == 0, line
        else:
            assert words[0] == "snakemake", line
            run = snakemake(folder, *words[1:])
            assert run.returncode == 0, run.stdout[-8000:]

    def through(page: str, folder: Path) -> dict:
        monkeypatch.chdir(folder)
        monkeypatch.syspath_prepend(folder)
        names: dict = {}
        for language, options, text in FENCE.findall((root / "docs" / page).read_text()):
            title = re.search(r'title="(.*?)"', options)
            if title:
                with Path(title[1]).open("a" if "append" in options else "w") as file:
                    file.write(text)
            elif language == "python":
                exec(text, names)
            elif language == "yaml":
                assert all(yaml.safe_load(line) for line in text.splitlines())
            else:
                assert language == "console"
                for line in re.findall(r"^\$ (.*)$", text, flags=re.MULTILINE):
                    command(line, folder)
        return names

    yield through
    use_experiments([])


def test_a_filter_is_used_as_the_page_says(root, read, capsys):
    names = read("use.md", root)
    assert (
        float(names["error"][50:].mean()) < float(names["error_letkf"][50:].mean()) < float(names["error"][:5].mean())
    )
    assert names["ensemble"].shape == (1, 10, 40)
    assert "RMSE" in capsys.readouterr().out


def test_a_system_of_ones_own_goes_through_the_workflow_as_the_page_says(folder, read):
    read("own_system.md", folder)
    scores = pd.read_csv(folder / "results" / "quick" / "scores.csv")
    assert set(scores["method"]) == {"enkf", "esrf"}
    assert (folder / "results" / "quick" / "figures" / "curves_lake.png").stat().st_size > 0


def test_observations_of_ones_own_are_assimilated_as_the_page_says(folder, read):
    result = read("own_observations.md", folder)["result"]
    assert isinstance(result, xr.Dataset)
    assert result["mean"].shape == (3, 3)
    assert bool(result["mean"].notnull().all())


def test_a_filter_of_ones_own_is_scored_as_the_page_says(folder, read):
    names = read("own_filter.md", folder)
    scores = pd.read_csv(folder / "results" / "quick" / "scores.csv")
    assert "Relaxed" in set(scores["method"])
    assert names["result"]["deviation"].shape == (5, 3)


def test_the_commands_of_the_reproduction_name_targets_that_there_are(root, snakemake):
    text = (root / "docs" / "reproduce.md").read_text()
    targets = re.findall(r"`((?:figure|table)_\w+|claims)`", text)
    assert len(set(targets)) == 13 + 3 + 1
    plan = snakemake(root, "--dry-run", *targets, "--config", "scale=quick", "weights=shipped")
    assert plan.returncode == 0, plan.stdout
    lines = re.findall(r"^\$ (?:\w+=\S+ )*snakemake (.*)$", text, flags=re.MULTILINE)
    for line in lines:
        plan = snakemake(root, "--dry-run", *shlex.split(line, comments=True))
        assert plan.returncode == 0, (line, plan.stdout)
    assert lines
