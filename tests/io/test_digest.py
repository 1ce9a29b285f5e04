"""Digests of code: what changes them, and what does not."""

import pytest

from mnmef.io.digest import code_digest, imported_modules

SOURCES = {
    "mnmef/__init__.py": '"""The package."""\n',
    "mnmef/deep.py": "VALUE = 1\n",
    "mnmef/middle.py": "def f():\n    from mnmef.deep import VALUE\n    return VALUE\n",
    "mnmef/parts/__init__.py": "",
    "mnmef/parts/near.py": "from . import far\n",
    "mnmef/parts/far.py": "from ..deep import VALUE\n",
    "mnmef/other.py": "VALUE = 2\n",
    "mnmef/io/__init__.py": "",
    "mnmef/io/logs.py": "VALUE = 3\n",
    "run.py": '"""A script."""\nfrom mnmef import middle\nimport mnmef.io.logs\n\nprint(middle.f())  # shows it\n',
}


@pytest.fixture
def write(tmp_path):
    """A function that lays out the sources with changes and returns the digest of run.py."""

    def digest(**changes):
        # A new folder each time: the digests of a process are remembered by path.
        tree = tmp_path / str(len(list(tmp_path.iterdir())))
        for name, text in {
            **SOURCES,
            **{key.replace("__", "/") + ".py": value for key, value in changes.items()},
        }.items():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_text(text)
        return code_digest("run.py", tree)

    return digest


def test_an_edit_of_the_script_changes_the_digest(write):
    assert write(run=SOURCES["run.py"] + "print(1)\n") != write()


def test_an_edit_of_a_module_that_is_imported_indirectly_inside_a_function_changes_the_digest(write):
    assert write(mnmef__deep="VALUE = 7\n") != write()


def test_an_edit_of_a_module_that_is_not_imported_changes_nothing(write):
    assert write(mnmef__other="VALUE = 7\n") == write()


def test_comments_docstrings_and_layout_change_nothing(write):
    edited = (
        '"""Another text."""\n\nfrom mnmef import middle  # the middle\nimport mnmef.io.logs\nprint( middle.f() )\n'
    )
    assert write(run=edited, mnmef__deep='"""About the value."""\n\nVALUE = (\n    1\n)\n"""The value."""\n') == write()


def test_the_logging_of_jobs_changes_nothing(write):
    assert write(mnmef__io__logs="VALUE = 7\n") == write()


def test_relative_imports_are_followed(tmp_path, write):
    write(run="import mnmef.parts.near\n")
    modules = imported_modules(tmp_path / "0" / "run.py", tmp_path / "0")
    assert set(modules) == {"mnmef", "mnmef.parts", "mnmef.parts.near", "mnmef.parts.far", "mnmef.deep"}


def test_a_plot_depends_on_no_training_and_a_training_on_no_plot(root):
    plots = [set(imported_modules(path, root)) for path in sorted((root / "workflow_scripts").rglob("plot_*.py"))]
    training = set(imported_modules(root / "workflow_scripts" / "learning" / "train_filter.py", root))
    assert plots
    assert not any("mnmef.learning.trainer" in modules for modules in plots)
    assert not any(name.startswith("mnmef.report") for name in training)


def test_a_training_depends_on_no_classical_filter(root):
    training = set(imported_modules(root / "workflow_scripts" / "learning" / "train_filter.py", root))
    assert "mnmef.filters.mnmef" in training
    assert not training & {
        "mnmef.filters.classical",
        "mnmef.search.search",
        "mnmef.filters.dapper_bridge",
        "mnmef.config.loading",
    }


def test_a_missing_script_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent\.py"):
        code_digest("absent.py", tmp_path)
