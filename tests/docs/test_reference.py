"""Generated pages: the references and the gallery have what there is."""

import re

import pytest
import yaml

from docs.site import config_keys, gallery, results_files, tables
from mnmef.experiments.files import DESCRIPTION, shipped_experiments


def keys_of(section, prefix=""):
    """All keys of a mapping with those of its sections, dotted."""
    for name, value in section.items():
        yield f"{prefix}{name}"
        if isinstance(value, dict):
            yield from keys_of(value, f"{prefix}{name}.")


@pytest.fixture(scope="module")
def config_rows():
    rows = re.findall(r"^\| `([\w.]+)` \|(.*)\|$", config_keys.page(), flags=re.MULTILINE)
    return {key: [cell.strip() for cell in re.split(r"(?<!\\)\|", cells)] for key, cells in rows}


def test_every_key_of_the_config_is_in_its_reference_with_type_and_meaning(root, config_rows):
    config = yaml.safe_load((root / "config.yaml").read_text())
    overlays = config.pop("scales")
    # Mappings by a method, an ensemble size or a checkpoint are one key.
    free = (
        "own_weights.",
        "search.inflation.",
        "search.localization_radius.",
        "finetuning.batch_divisor.",
        "robustness.options.",
    )
    keys = {key for part in (config, *overlays.values()) for key in keys_of(part) if not key.startswith(free)}
    sections = set(re.findall(r"^## `(\w+)`$", config_keys.page(), flags=re.MULTILINE))
    assert keys - set(config_rows) == sections
    assert [key for key, cells in config_rows.items() if not cells[0] or not cells[-1]] == []


def test_defaults_of_the_reference_are_those_of_the_config(config_rows):
    assert config_rows["training.learning_rate"][1] == "`0.001`"
    assert config_rows["data.test.cycles"][1] == "`1500`"
    assert config_rows["training.checkpoint_seconds"][2] == "s"
    assert config_rows["model.width"][3] == "A"


def test_every_key_that_describes_an_experiment_is_in_the_reference(config_rows):
    assert set(DESCRIPTION) <= set(config_rows)
    found = {
        f"observation.{key}"
        for path in shipped_experiments().values()
        for key in yaml.safe_load(path.read_text())["observation"]
    }
    assert found <= set(config_rows)


def test_the_reference_of_files_has_a_heading_for_each_and_a_meaning_for_each_column():
    page = results_files.page()
    said = results_files.declared()
    assert all(f"### `{path}`" in page for kind in ("netcdf", "tables") for path in said[kind])
    assert not re.search(r"\| *\|$", page, flags=re.MULTILINE)


def test_the_gallery_is_the_one_of_the_captions_and_pictures(root):
    assert (root / "docs" / "gallery.md").read_text() == gallery.page()


def test_every_table_of_results_says_what_made_it():
    page = tables.page()
    assert page.count(", by `") == page.count("\n## ") == len(list(tables.FOLDER.glob("*.csv")))
