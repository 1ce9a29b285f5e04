"""The notebook docs/tutorial.ipynb: it runs to its end, draws, and shows what it shows in the repository."""

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


@pytest.fixture(scope="module")
def stored(root):
    return nbformat.read(root / "docs" / "tutorial.ipynb", as_version=4)


def test_the_stored_notebook_is_executed_in_order_and_small(stored, root):
    counts = [cell["execution_count"] for cell in stored.cells if cell["cell_type"] == "code"]
    assert counts == list(range(1, len(counts) + 1))
    assert pictures(stored) == 3
    assert (root / "docs" / "tutorial.ipynb").stat().st_size < 1_000_000


def test_the_notebook_runs_to_its_end_and_draws(stored, root):
    notebook = copy.deepcopy(stored)
    for cell in notebook.cells:
        if cell["cell_type"] == "code":
            cell["outputs"] = []
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(root / "docs")}}).execute()
    assert pictures(notebook) == 3
    assert re.search(r"\d+ parameters", scores(notebook).replace(",", ""))
