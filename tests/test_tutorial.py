"""The notebooks in docs/: they run to their end, draw, and show what they show in the repository."""

import copy
import re

import nbformat
import pytest
from nbclient import NotebookClient


def pictures(notebook) -> int:
    return sum("image/png" in output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", []))


def scores(notebook) -> str:
    """The sources, which hold no score, are left out."""
    return "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))


# Pictures, and a text that only a run can have printed.
NOTEBOOKS = {"tutorial": (3, r"\d+ parameters"), "dapper": (0, r"mnmef\.Learned .* 0\.2\d ")}


@pytest.fixture(params=NOTEBOOKS)
def name(request):
    return request.param


@pytest.fixture
def stored(root, name):
    return nbformat.read(root / "docs" / f"{name}.ipynb", as_version=4)


def test_the_stored_notebook_is_executed_in_order_and_small(stored, root, name):
    counts = [cell["execution_count"] for cell in stored.cells if cell["cell_type"] == "code"]
    assert counts == list(range(1, len(counts) + 1))
    assert pictures(stored) == NOTEBOOKS[name][0]
    assert (root / "docs" / f"{name}.ipynb").stat().st_size < 1_000_000
    assert re.search(NOTEBOOKS[name][1], scores(stored).replace(",", ""))


def test_the_notebook_runs_to_its_end_and_draws(stored, root, name):
    notebook = copy.deepcopy(stored)
    for cell in notebook.cells:
        if cell["cell_type"] == "code":
            cell["outputs"] = []
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(root / "docs")}}).execute()
    assert pictures(notebook) == NOTEBOOKS[name][0]
    assert re.search(NOTEBOOKS[name][1], scores(notebook).replace(",", ""))
