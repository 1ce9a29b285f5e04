"""Machine code that is kept for the next process follows the source of all kernels."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "mnmef"
MEASURE = """
import numpy as np
from mnmef.kernels.eigen import eigenpairs
values, vectors = np.empty((1, 2)), np.empty((1, 2, 2))
eigenpairs(0, 1, np.array([[[2.0, 1.0], [1.0, 2.0]]]), values, vectors)
print(np.sort(values.ravel()).round(12).tolist())
"""


CHAOS = """
import numpy as np
import torch
from mnmef.systems import make_system
system = make_system({"name": "ks"})
state = torch.from_numpy(np.random.default_rng(0).standard_normal((16, 128)))
print(system.advance(state.float(), 8).double().sum().item().hex(), system.advance(state, 8).sum().item().hex())
"""


def measured(tree, code=MEASURE, **environment):
    """What the kernels of a copy of the package say, in a process of its own."""
    unset = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, cwd=tree, env=unset | environment, capture_output=True, text=True, check=True)
    return result.stdout.strip()


@pytest.fixture
def tree(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "tree" / "mnmef", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "tree"


@pytest.mark.parametrize(
    ("vectors", "file", "text", "edited"),
    [
        ("1", "vectors.py", '"fmul"', '"fadd"'),
        ("0", "lanes.py", "rows[i, lane] = state[i]", "rows[i, lane] = 2.0 * state[i]"),
    ],
)
def test_an_edit_of_a_helper_in_another_file_is_seen_by_the_next_process(tree, tmp_path, vectors, file, text, edited):
    cache = {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "MNMEF_VECTORS": vectors}
    assert measured(tree, **cache) == "[1.0, 3.0]"
    compiled = sorted(tmp_path.glob("cache/*/**/*.nbc"))
    assert measured(tree, **cache) == "[1.0, 3.0]"
    assert sorted(tmp_path.glob("cache/*/**/*.nbc")) == compiled
    helpers = tree / "mnmef" / "kernels" / file
    assert text in helpers.read_text()
    helpers.write_text(helpers.read_text().replace(text, edited))
    assert measured(tree, **cache) != "[1.0, 3.0]"


@pytest.mark.parametrize("vectors", ["0", pytest.param("1", marks=pytest.mark.slow)])
def test_the_process_that_compiles_has_the_bits_of_those_that_load_what_it_kept(tree, tmp_path, vectors):
    cache = {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "MNMEF_VECTORS": vectors}
    assert measured(tree, CHAOS, **cache) == measured(tree, CHAOS, **cache)


def test_the_cache_is_in_the_package_or_where_the_user_wants_it(tree, tmp_path):
    measured(tree)
    (folder,) = (tree / "mnmef" / "kernels" / "__pycache__").glob("mnmef-kernels-*")
    assert list(folder.rglob("*.nbc"))
    measured(tree, NUMBA_CACHE_DIR=str(tmp_path / "own"))
    (own,) = (tmp_path / "own").iterdir()
    assert own.name == folder.name


def test_without_vectors_kernels_say_the_same(tree, tmp_path):
    assert measured(tree, NUMBA_CACHE_DIR=str(tmp_path / "cache"), MNMEF_VECTORS="0") == "[1.0, 3.0]"
    (tree / "mnmef" / "kernels" / "vectors.py").unlink()
    assert measured(tree, NUMBA_CACHE_DIR=str(tmp_path / "cache")) == "[1.0, 3.0]"
