"""The glossary docs/glossary.md: a term is defined once, and what it says of the code is there."""

import ast
import re
from collections import Counter

import pytest
import yaml


@pytest.fixture(scope="module")
def rows(root):
    lines = (root / "docs" / "glossary.md").read_text(encoding="utf-8").splitlines()
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    assert table[0] == ["term", "meaning", "in code"]
    return table[2:]


def names_in(tree):
    """What a module defines, takes or gets by name, and its texts that could be names, such as those of columns."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.ClassDef():
                yield node.name
            case ast.arg():
                yield node.arg
            case ast.Name(ctx=ast.Store()):
                yield node.id
            case ast.Attribute(ctx=ast.Store()):
                yield node.attr
            case ast.Constant(value=str(text)) if text.isidentifier():
                yield text


def keys_in(content):
    """All keys of a mapping, those of its sections included."""
    if isinstance(content, dict):
        for key, value in content.items():
            yield str(key)
            yield from keys_in(value)


@pytest.fixture(scope="module")
def known(root):
    modules = (root / "mnmef").rglob("*.py")
    names = {name for path in modules for name in names_in(ast.parse(path.read_text(encoding="utf-8")))}
    files = [root / "config.yaml", *(root / "mnmef" / "experiments").rglob("*.yaml")]
    return names | {key for path in files for key in keys_in(yaml.safe_load(path.read_text(encoding="utf-8")))}


def test_every_term_is_defined_once_and_in_alphabetical_order(rows):
    terms = [re.sub("[^a-z]", "", row[0].lower()) for row in rows]
    assert [term for term, count in Counter(terms).items() if count > 1] == []
    assert terms == sorted(terms)


def test_every_term_has_a_meaning_in_full_sentences(rows):
    assert [row[0] for row in rows if len(row) != 3 or not row[1].endswith(".")] == []


def test_every_identifier_of_the_glossary_exists_in_the_package_or_in_the_config(rows, known):
    named = {name: row[0] for row in rows for name in re.findall("`([^`]+)`", row[2])}
    assert all(re.search("`", row[2]) for row in rows), "a term without a name in the code"
    assert {name: term for name, term in named.items() if name not in known} == {}
