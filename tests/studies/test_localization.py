"""The record of learned localization weights, and its table."""

import numpy as np
import pytest
import torch

from mnmef.data.twin import simulate_split
from mnmef.experiments.load import load_experiment
from mnmef.filters.learned import make_learned
from mnmef.filters.localization import gaspari_cohn
from mnmef.learning.checkpoints import save_checkpoint
from mnmef.report.figures.localization import localization_table
from mnmef.studies.localization import RecordedRuns, record_weights


def runs(method, checkpoints, radii):
    return RecordedRuns(method, 1.0, checkpoints, radii, model={}, trajectories=2, cycles=3, seed=4)


@pytest.fixture(scope="module")
def split():
    return simulate_split(load_experiment("lorenz96"), "test", 2, 4, [1.0], 6, 0)


@pytest.fixture
def checkpoint(tmp_path):
    """A function that writes an untrained filter, changed by `edit`, and returns its path."""

    def write(edit=lambda filter_: None, **model):
        torch.manual_seed(0)
        filter_ = make_learned("mnmef", load_experiment("lorenz96"), 1.0, model)
        with torch.no_grad():
            edit(filter_)
        save_checkpoint(filter_, tmp_path / "w.safetensors")
        return tmp_path / "w.safetensors"

    return write


def test_a_head_that_knows_its_weights_gives_them_in_every_analysis(split, checkpoint):
    def edit(filter_):
        last = filter_.localization_head.rest[-1]
        last.weight.zero_()
        last.bias.copy_(torch.linspace(2.0, -2.0, 21))

    path = checkpoint(edit)
    run = record_weights(split, runs("mnmef_finetuned", {5: path, 6: path}, {5: 2.0, 6: 9.0}))
    assert run["weight"].shape == (2, 2, 3, 21)
    expected = 2.0 / (1.0 + np.exp(-np.linspace(2.0, -2.0, 21)))
    np.testing.assert_allclose(run["weight"], np.broadcast_to(expected, (2, 2, 3, 21)), rtol=1e-5)
    table = localization_table([run])
    assert len(table) == 2 * 21
    part = table[table["ensemble_size"] == 6]
    np.testing.assert_allclose(part["weight_mean"], expected, rtol=1e-5)
    np.testing.assert_allclose(part["weight_std"], 0.0, atol=1e-6)
    np.testing.assert_allclose(part["taper"], gaspari_cohn(np.arange(21), 9.0))
    assert (part["n_analyses"] == 6).all()


def test_the_weights_are_those_that_the_analysis_uses(split, checkpoint, monkeypatch):
    path = checkpoint()
    used = []
    original = type(make_learned("mnmef", load_experiment("lorenz96"), 1.0)).distance_weights

    def spy(filter_, feature, observation):
        found = original(filter_, feature, observation)
        used.append(found.clone())
        return found

    monkeypatch.setattr("mnmef.filters.mnmef.Mnmef.distance_weights", spy)
    run = record_weights(split, runs("mnmef_finetuned", {5: path}, {5: 2.0}))
    # Each cycle asks twice: in the analysis, and for the record.
    np.testing.assert_allclose(run["weight"][0].values.swapaxes(0, 1), torch.stack(used[::2]), rtol=1e-6)
    assert float(run["weight"].std()) > 0


def test_diverged_trajectories_are_left_out(split, checkpoint):
    run = record_weights(split, runs("m", {5: checkpoint()}, {5: 2.0}))
    run["weight"][0, 1, 2:] = np.nan
    assert (localization_table([run])["n_analyses"] == 5).all()


def test_a_filter_without_localization_is_refused(split, checkpoint):
    path = checkpoint(localization=False)
    with pytest.raises(ValueError, match="has no learned localization"):
        record_weights(split, runs("m", {5: path}, {5: 2.0}))
