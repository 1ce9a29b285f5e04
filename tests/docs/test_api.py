"""The reference of the package names what is not documented."""

import ast

from docs.site import api

SOURCE = '''"""A module."""


class Bare:
    def _private(self): ...


def told(first, second):
    """Do it.

    Parameters
    ----------
    first : int
        Something.
    """
'''


def test_missing_docstrings_and_parameters_are_named():
    assert list(api.undocumented(ast.parse(SOURCE), "m")) == ["m.Bare", "parameter second of m.told"]


def test_every_public_name_of_the_package_is_documented():
    missing = [x for name, path in api.modules() for x in api.undocumented(ast.parse(path.read_text()), name)]
    assert missing == []


def test_every_public_module_has_a_page_and_an_entry_of_the_menu():
    pages = {page for page in api.pages() if not page.endswith("README.md")}
    menu = api.menu()
    entries = {page for entry in menu if isinstance(entry, dict) for value in entry.values() for page in flat(value)}
    assert pages == entries
    assert len(pages) > 100


def flat(value):
    """The pages in an entry of a menu."""
    return [value] if isinstance(value, str) else [page for each in value for page in flat(next(iter(each.values())))]
