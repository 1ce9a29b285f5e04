"""Filters that come with the package: the best one, a certain one, and the list of what there is."""

import json

import pytest
import torch

import mnmef
from mnmef.core.shipped import SHIPPED
from mnmef.learning.shipped import SHIPPED_WEIGHTS


def _cards(cell, stage):
    return [json.loads(path.read_text()) for path in (SHIPPED_WEIGHTS / cell).glob(f"*_{stage}.json")]


@pytest.mark.parametrize("experiment", ["lorenz96", "ks", "lorenz63"])
def test_the_best_filter_has_the_smallest_score_on_the_tuning_split(experiment):
    cards = _cards(f"{experiment}_1.0", "pretrained")
    best = min(cards, key=lambda card: card["tuning_split"]["rrmse"])
    filter_ = mnmef.load(experiment)
    assert (filter_.name, filter_.experiment.name, filter_.sigma_y) == (best["filter"], experiment, 1.0)


def test_a_certain_filter_has_the_weights_of_its_file():
    filter_ = mnmef.load("lorenz96", filter="mnmef", sigma_y=0.7, ensemble_size=20)
    known = mnmef.load_checkpoint(SHIPPED / "resources/weights/lorenz96_0.7/mnmef_finetuned_20.safetensors")
    assert filter_.tuned_members == 20
    assert all(torch.equal(value, known.state_dict()[key]) for key, value in filter_.state_dict().items())


def test_weights_that_serve_all_sizes_are_taken_where_none_are_fine_tuned():
    filter_ = mnmef.load("lorenz63", filter="mnmef", ensemble_size=12)
    assert filter_.tuned_members is None


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"experiment": "lorenz69"}, "Did you mean 'lorenz96'. Known: kolmogorov, ks, ks_full, lorenz63, lorenz96"),
        ({"experiment": "ks", "filter": "letkf"}, "unknown filter .* Known: mnmef, mnmef_conv"),
        ({"experiment": "ks", "sigma_y": 3.0}, "unknown sigma_y .* Known: 0.7, 1.0"),
    ],
)
def test_an_unknown_name_lists_what_there_is(asked, said):
    with pytest.raises(ValueError, match=said):
        mnmef.load(**asked)


def test_every_shipped_file_of_weights_is_listed():
    assert set(mnmef.shipped_weights()["path"]) == set(SHIPPED_WEIGHTS.glob("*/*.safetensors"))
