"""The inflation of a trained filter is tuned on the tuning split, and only that changes."""

import math

import pytest
import torch

from mnmef.assimilation.twin import run_on_twin
from mnmef.experiments.load import load_experiment
from mnmef.filters.learned import initial_filter
from mnmef.learning.checkpoints import load_checkpoint, read_card, read_tensors, save_checkpoint
from mnmef.studies.beside_classical import Design, scored
from mnmef.studies.inflation import FACTORS, main, tune_inflation

FULL = load_experiment("lorenz96_full")
LORENZ63 = load_experiment("lorenz63")


def local(first_inflation):
    """An untrained filter."""
    model = {"channels": 4, "layers": 1, "first_inflation": first_inflation, "growth": 0.0}
    return initial_filter(FULL, 1.0, model, 0, name="mnmef_local")


def test_an_inflation_that_is_too_large_is_lowered_to_the_best_factor():
    design, filter_ = Design(FULL, 1.0, 20, 1), local(1.2)
    factor = tune_inflation(filter_, design, [10], (2, 100))[10]
    assert float(filter_.inflation[0].detach().exp()) == pytest.approx(1.2 * factor, rel=1e-6)
    scores = []
    for each in FACTORS:
        with torch.no_grad():
            data = design.simulate("tune", (2, 100), 10, 10)
            record = run_on_twin(local(1.2 * each), FULL, data, seed=1, stream="mnmef_local", title="")
        scores.append(scored(record, 20, 1)["rmse"])
    assert factor == FACTORS[scores.index(min(scores))] == min(FACTORS)


def test_the_best_factor_is_not_next_to_divergence(monkeypatch):
    rmse = dict(zip(FACTORS, (2.0, 0.9, 0.5, 0.6, 0.65, 0.9, 1.0, 1.0, 1.0, 1.0), strict=True))
    filter_ = local(1.0)

    def score_of(inflation, *_):
        return {"rmse": rmse[round(math.exp(float(inflation)), 3)], "trajectories": 2}

    monkeypatch.setattr("mnmef.studies.inflation.run_on_twin", lambda given, *_, **__: given.inflation[0].clone())
    monkeypatch.setattr("mnmef.studies.inflation.scored", score_of)
    assert tune_inflation(filter_, Design(FULL, 1.0, 2, 1), [10, 10], (2, 5)) == {10: 0.995}  # 0.99 has a bad neighbor


def test_two_sizes_get_the_factors_that_each_of_them_has_alone():
    tuned = local(1.0)
    best = tune_inflation(tuned, Design(FULL, 1.0, 20, 1), [5, 20], (2, 100))
    assert list(best) == [5, 20]
    assert best[5] > best[20]  # fewer members need more inflation
    level, slope = tuned.inflation.detach()
    for members, factor in best.items():
        assert float(torch.exp(level + slope * math.log(members / 10))) == pytest.approx(factor, rel=1e-6)


@pytest.mark.parametrize("name", ["mnmef_local", "mnmef_members"])
def test_the_command_writes_the_same_weights_but_for_the_inflation(tmp_path, capsys, name):
    given, tuned = tmp_path / "given.safetensors", tmp_path / "tuned.safetensors"
    first = local(1.05) if name == "mnmef_local" else initial_filter(LORENZ63, 1.0, {}, 0, name=name)
    save_checkpoint(first, given, {"seconds": 12.0})
    main([str(given), str(tuned), "--sizes", "4", "8", "--extent", "2", "20", "--burn-in", "5"])
    assert "factors" in capsys.readouterr().out
    before, after = read_tensors(given), read_tensors(tuned)
    assert [key for key in before if not torch.equal(before[key], after[key])] in ([], ["inflation"])
    card = read_card(tuned)
    assert card["seconds"] == 12.0
    level, slope = load_checkpoint(tuned).inflation.detach() - first.inflation.detach()
    for members, factor in card["inflation_factors"].items():
        assert float(level + slope * math.log(int(members) / 10)) == pytest.approx(math.log(factor), abs=1e-6)


def test_a_filter_without_such_an_inflation_is_refused(tmp_path, capsys):
    given = tmp_path / "conv.safetensors"
    save_checkpoint(initial_filter(FULL, 1.0, {"channels": 4, "patch": 1}, 0, name="mnmef_conv"), given, {})
    with pytest.raises(SystemExit):
        main([str(given), str(tmp_path / "out.safetensors")])
    assert "is a checkpoint of mnmef_conv" in capsys.readouterr().err
