"""Tables 5 and 6 from checkpoints."""

from pathlib import Path

import pandas as pd
import pytest

from mnmef.experiments.load import load_experiment
from mnmef.filters.learned import make_learned
from mnmef.learning.checkpoints import save_checkpoint
from mnmef.learning.inventory import list_checkpoints
from mnmef.report.tables import parameter_page, parameter_table, time_page, time_table

PARAMETERS = pd.read_csv("resources/published/parameters_table_5.csv")
HOURS = pd.read_csv("resources/published/training_hours_table_6.csv")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    trainings = [(10, False, 100.0), (20, True, 5.0), (40, True, 8.0)]
    paths = []
    for experiment in ("ks", "lorenz96", "lorenz63"):
        filter_ = make_learned("mnmef", load_experiment(experiment), 1.0)
        for members, heads_only, seconds in trainings:
            paths.append(folder / f"{experiment}_{members}.safetensors")
            training = {"heads_only": heads_only, "ensemble_size": members, "steps": 3, "batch": 2, "schedule": "cycle"}
            save_checkpoint(filter_, paths[-1], {"training": training, "seconds": seconds, "hardware": "a chip"})
    return list_checkpoints(paths)


def test_parameters_are_counted_as_published(weights):
    table = parameter_table(weights, PARAMETERS)
    assert table["experiment"].tolist() == ["lorenz63", "lorenz96", "ks"]
    for name in ("parameters", "finetuned_parameters"):
        assert table[name].tolist() == table[f"published_{name}"].tolist()
    assert parameter_page(table).loc[1, "parameters"] == "341,551 (341,551)"


def test_checkpoints_of_different_networks_are_no_table(weights):
    mixed = pd.concat([weights, weights.assign(parameters=7)])
    with pytest.raises(ValueError, match="different numbers of parameters"):
        parameter_table(mixed, PARAMETERS)


def test_times_stand_beside_the_published_ones_of_the_same_cell(weights):
    table = time_table(weights, HOURS).set_index(["experiment", "stage", "ensemble_size"])
    assert len(table) == 9
    row = table.loc["lorenz96", "finetuned", 20]
    assert row["ratio"] == pytest.approx(0.05)
    assert row["published_ratio"] == pytest.approx(0.051 / 4.03)
    assert table.loc[("ks", "pretrained", 10), "published_hours"] == 8.22
    other_noise = time_table(weights.assign(sigma_y=0.7), HOURS)
    assert other_noise["published_hours"].isna().all()
    assert set(time_page(table.reset_index())["hardware"]) == {"a chip"}


def test_shipped_heads_count_with_what_they_stand_on():
    folder = Path("resources/weights/ks_1.0")
    table = list_checkpoints(
        [folder / f"{name}.safetensors" for name in ("mnmef_pretrained", "mnmef_finetuned_5", "mnmef_conv_pretrained")]
    )
    assert table["parameters"].tolist()[:2] == [374289, 374289]
    assert table["finetuned_parameters"].tolist() == [90065, 90065, 0]
    assert table["stage"].tolist() == ["pretrained", "finetuned", "pretrained"]
    assert (table["seconds"] > 0).all()
