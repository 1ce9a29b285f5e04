"""Our LETKF at the published hyperparameters scores what the paper says it scores."""

import numpy as np
import pytest
import torch

from mnmef.cycling import run_filter
from mnmef.filters.classical import make_classical
from mnmef.metrics import time_mean_rmse
from mnmef.published import load_searches
from mnmef.systems import make_system

CYCLES, BURN_IN = 1500, 133  # 20 time units of 0.15 each
TRIALS = 16


@pytest.mark.slow
@pytest.mark.parametrize("members", [20, 40])
def test_letkf_on_lorenz_96_reproduces_the_published_error_within_5_percent(members):
    table = load_searches("resources/published/dapper_grid_search_best.csv")
    row = table.query(
        "system == 'lorenz96' and sigma_y == 1.0 and method == 'letkf' and ensemble_size == @members"
    ).iloc[0]
    system = make_system("lorenz96")
    generator = torch.Generator().manual_seed(members)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    # The published protocol: truth and members all drawn from N(x0, 0.1 I), x0 = (1, 0, ..., 0), scores after the
    # burn-in.
    center = torch.eye(1, system.state_size, dtype=torch.float64)
    states = [center + 0.1**0.5 * normal(TRIALS, system.state_size)]
    for _ in range(CYCLES):
        states.append(system.propagate(states[-1]))
    truth = torch.stack(states[1:], 1)
    first = center + 0.1**0.5 * normal(TRIALS, members, system.state_size)
    observations = system.observe(truth) + normal(TRIALS, CYCLES, system.observation_size)
    filter_ = make_classical("letkf", system, 1.0, row.inflation, row.localization_radius)
    record = run_filter(filter_, system, first, observations, truth)
    rmse = time_mean_rmse(record.rmse.numpy(), BURN_IN).mean()
    # The published R-RMSE divides by the root mean square of an independent truth; any long truth has the same.
    rrmse = rmse / np.sqrt((truth[:, BURN_IN:].numpy() ** 2).mean())
    assert (record.diverged_at < 0).all()
    assert rmse == pytest.approx(row.rmse, rel=0.05)
    assert rrmse == pytest.approx(row.rrmse, rel=0.05)
    print(f"N = {members}: RMSE {rmse:.4f} (published {row.rmse}), R-RMSE {rrmse:.4f} (published {row.rrmse})")
