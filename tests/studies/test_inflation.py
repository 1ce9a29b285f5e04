"""The inflation of a trained filter is tuned on the tuning split, and only that changes."""

import pytest
import torch

from mnmef.assimilation.twin import run_on_twin
from mnmef.experiments.load import load_experiment
from mnmef.filters.learned import initial_filter
from mnmef.learning.checkpoints import load_checkpoint, read_card, read_tensors, save_checkpoint
from mnmef.studies.beside_classical import Design, scored
from mnmef.studies.inflation import FACTORS, main, tune_inflation

FULL = load_experiment("lorenz96_full")


def local(first_inflation):
    """An untrained filter."""
    model = {"channels": 4, "layers": 1, "first_inflation": first_inflation, "growth": 0.0}
    return initial_filter(FULL, 1.0, model, 0, name="mnmef_local")


def test_an_inflation_that_is_too_large_is_lowered_to_the_best_factor():
    design, filter_ = Design(FULL, 1.0, 20, 1), local(1.2)
    factor = tune_inflation(filter_, design, [10], (2, 100))
    assert float(filter_.inflation[0].detach().exp()) == pytest.approx(1.2 * factor, rel=1e-6)
    scores = []
    for each in FACTORS:
        with torch.no_grad():
            data = design.simulate("tune", (2, 100), 10, 10)
            record = run_on_twin(local(1.2 * each), FULL, data, seed=1, stream="mnmef_local", title="")
        scores.append(scored(record, 20, 1)["rmse"])
    assert factor == FACTORS[scores.index(min(scores))] == min(FACTORS)


def test_the_command_writes_the_same_weights_but_for_the_inflation(tmp_path, capsys):
    given, tuned = tmp_path / "given.safetensors", tmp_path / "tuned.safetensors"
    save_checkpoint(local(1.05), given, {"seconds": 12.0})
    main([str(given), str(tuned), "--sizes", "4", "8", "--extent", "2", "20", "--burn-in", "5"])
    assert "factor" in capsys.readouterr().out
    before, after = read_tensors(given), read_tensors(tuned)
    assert [name for name in before if not torch.equal(before[name], after[name])] in ([], ["inflation"])
    card = read_card(tuned)
    assert card["seconds"] == 12.0
    inflation = load_checkpoint(tuned).inflation[0].detach().exp()
    assert float(inflation) == pytest.approx(1.05 * card["inflation_factor"], rel=1e-6)
