"""On a pretended accelerator everything runs without mixing devices, gives what a CPU gives, and seldom waits."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch

from mnmef.assimilation.assimilate import assimilate
from mnmef.assimilation.cycling import noise_source, run_filter
from mnmef.core import graphs
from mnmef.core.names import LOCALIZED_METHODS, METHODS
from mnmef.data.twin import simulate_training
from mnmef.experiments.experiment import Experiment
from mnmef.experiments.load import load_experiment
from mnmef.filters.classical import CLASSICAL_METHODS, make_classical
from mnmef.filters.learned import initial_filter
from mnmef.learning import resuming
from mnmef.learning.options import TrainingOptions
from mnmef.learning.trainer import Trainer
from mnmef.studies import linear_gaussian
from tests.pretended_device import NAME, Accelerator, pretended_accelerator

SMALL = {
    "mnmef": {"feature_size": 8, "width": 16, "heads": 2, "seeds": 2},
    "mnmef_conv": {"channels": 8, "layers": 2},
    "mnmef_local": {"channels": 8, "layers": 2, "reach": 6},
}
SYSTEMS = {name: load_experiment(name) for name in ("lorenz63", "lorenz96", "ks")}
TRUTHS = {
    name: torch.from_numpy(simulate_training(system, 12, 8, 1)["truth"].values) for name, system in SYSTEMS.items()
}


def training(name, system, device, steps, model=None, experiment=None, **options):
    """A trainer after some steps."""
    filter_ = initial_filter(experiment or SYSTEMS[system], 1.0, SMALL[name] if model is None else model, 1, name=name)
    given = {"ensemble_size": 4, "window_cycles": 4, "batch": 6, "learning_rate": 1e-3, "steps": 10**5, **options}
    trainer = Trainer(filter_.to(device), TRUTHS[system], TrainingOptions(**given))
    for _ in range(steps):
        trainer.optimizer_step()
    return trainer


def weights(trainer):
    return torch.cat([parameter.detach().cpu().flatten() for parameter in trainer.filter.parameters()])


@pytest.mark.parametrize(
    ("name", "system", "options"),
    [
        ("mnmef", "lorenz63", {"schedule": "window", "chunks": 2}),
        ("mnmef", "lorenz96", {"schedule": "window", "heads_only": True, "decay": "constant"}),
        ("mnmef", "lorenz96", {"optimizer": "muon", "loss": "crps", "other_sizes": (2, 8), "misplaced": 0.2}),
        ("mnmef", "ks", {"loss": "l2", "gradient_clip": 1.0, "decay": "halve", "weight_decay": 0.01}),
        ("mnmef", "lorenz96", {"schedule": "window", "gradient_cycles": 2, "target_members": 6}),
        ("mnmef_conv", "lorenz96", {"optimizer": "muon", "loss": "nl2+spread", "chunks": 3}),
        ("mnmef_conv", "ks", {"schedule": "window", "loss": "rmse"}),
        ("mnmef_local", "lorenz96", {"gradient_cycles": 2, "target_members": 6, "loss": "l2+spread"}),
    ],
    ids=str,
)
def test_a_training_on_an_accelerator_is_that_on_a_cpu(name, system, options):
    here = training(name, system, "cpu", 2, **options)
    with pretended_accelerator():
        there = training(name, system, NAME, 1, **options)
        again = training(name, system, NAME, 0, **options)
        again.load_state_dict(there.state_dict())
        again.optimizer_step()
        found = weights(again)
    # Rounding differs, and a first step of AdamW is as long for a gradient near zero as for any other.
    moved = (found - weights(here)).abs() > 1e-5
    assert float(moved.float().mean()) < 0.02
    assert torch.equal(again.batch.window, here.batch.window)


def test_a_training_with_gaps_runs_on_an_accelerator():
    gappy = Experiment.from_description(
        {**SYSTEMS["lorenz96"].description, "observation": {"every": 4, "missing": 0.5}}
    )
    with pretended_accelerator():
        trainer = training("mnmef", "lorenz96", NAME, 3, experiment=gappy)
        assert trainer.lost_windows == trainer.skipped_steps == 0


def test_a_state_that_was_kept_on_a_gpu_is_read_without_one(tmp_path, monkeypatch):
    resuming.keep_state({"step_number": 3}, tmp_path / "a.pt")
    asked, load = {}, torch.load
    monkeypatch.setattr(torch, "load", lambda *args, **options: asked.update(options) or load(*args, **options))
    assert resuming.last_state(tmp_path / "a.pt") == {"step_number": 3}
    assert asked["map_location"] == "cpu"


def run(filter_, experiment, device, dtype):
    """Scores of three cycles of two trajectories."""
    draws = np.random.default_rng(0)
    truth = torch.from_numpy(simulate_training(experiment, 2, 3, 1)["truth"].values).to(dtype)
    first = truth[:, :1] + torch.from_numpy(draws.standard_normal((2, 8, experiment.state_size))).to(dtype)
    observed = experiment.observe(truth[:, 1:]) + torch.from_numpy(
        draws.standard_normal((2, 3, experiment.observation_size))
    ).to(dtype)
    data = [part.to(device) for part in (first, observed, truth[:, 1:])]
    noise = noise_source(0, "test", 8, (2, 8, experiment.observation_size))
    with torch.no_grad():
        return run_filter(filter_, experiment, *data, noise, traced=1)


@pytest.mark.parametrize("name", SMALL)
def test_an_evaluation_on_an_accelerator_is_that_on_a_cpu_and_waits_for_nothing_between_first_and_last_cycle(name):
    experiment = SYSTEMS["lorenz96"]
    filter_ = initial_filter(experiment, 1.0, SMALL[name], 1, name=name)
    here = run(filter_, experiment, "cpu", torch.float32)
    with pretended_accelerator() as accelerator:
        filter_.to(NAME)
        there = run(filter_, experiment, NAME, torch.float32)
        accelerator.clear()
        run(filter_, experiment, NAME, torch.float32)
    torch.testing.assert_close(there.error_norm, here.error_norm, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(there.mean, here.mean, rtol=1e-3, atol=1e-2)
    at_both_ends = 3 + 1 + 7  # data, the check of observations, and the parts of the record
    assert sum(accelerator.waits.values()) <= at_both_ends, accelerator.waits


@pytest.mark.parametrize("method", CLASSICAL_METHODS)
def test_a_classical_filter_on_an_accelerator_is_that_on_a_cpu(method):
    experiment = SYSTEMS["lorenz96"]
    radius = 4.0 if method in LOCALIZED_METHODS else None
    runs = []
    for device in ("cpu", NAME):
        filter_ = make_classical(method, experiment, 1.0, 1.02 if METHODS[method].inflates else 1.0, radius)
        with pretended_accelerator() if device == NAME else nullcontext():
            runs.append(run(filter_, experiment, device, torch.float64).error_norm)
    torch.testing.assert_close(runs[1], runs[0], rtol=1e-6, atol=1e-6)


def test_assimilate_runs_where_the_weights_are():
    experiment = SYSTEMS["lorenz96"]
    filter_ = initial_filter(experiment, 1.0, SMALL["mnmef"], 1)
    observations = experiment.observe(TRUTHS["lorenz96"][0, 1:]).numpy().copy()
    observations[2] = np.nan
    here = assimilate(filter_, experiment, observations, save=["members", "innovations"])
    with pretended_accelerator() as accelerator:
        there = assimilate(filter_.to(NAME), experiment, observations, save=["members", "innovations"])
    assert accelerator.launches
    np.testing.assert_allclose(there["mean"], here["mean"], rtol=1e-3, atol=1e-2)
    np.testing.assert_allclose(there["innovation"], here["innovation"], rtol=1e-3, atol=1e-2)


def test_the_linear_gaussian_study_trains_and_runs_on_the_device(monkeypatch):
    sizes = {"windows": 8, "window_cycles": 4, "steps": 2, "batch": 4, "learning_rate": 1e-3, "gradient_clip": None}
    study = linear_gaussian.LinearRun("mnmef", "nl2", SMALL["mnmef"], 0, 6, 0.1, 1.0, 8, 3, 5, sizes, 0.0)
    here = linear_gaussian.run_linear_gaussian(study)
    monkeypatch.setattr(linear_gaussian, "default_device", lambda: torch.device(NAME))
    with pretended_accelerator() as accelerator:
        there = linear_gaussian.run_linear_gaussian(study)
    assert any("trainer" in line for line in accelerator.launches)
    np.testing.assert_allclose(there["wasserstein"], here["wasserstein"], rtol=1e-2)


PER_CYCLE = [("mnmef", name, "window") for name in SYSTEMS] + [
    ("mnmef", "lorenz96", "cycle"),
    ("mnmef_conv", "lorenz96", "cycle"),
    ("mnmef_conv", "ks", "cycle"),
    ("mnmef_local", "lorenz96", "cycle"),
]


def counted(accelerator: Accelerator, name: str, system: str, schedule: str) -> tuple[float, float]:
    """Launches and waits per cycle of a training with networks as large as by default."""
    patch = {"patch": 4, "reach": 32} if (name, system) == ("mnmef_conv", "ks") else {}
    trainer = training(name, system, NAME, 1, patch, schedule=schedule)
    accelerator.clear()
    for _ in range(1 if schedule == "window" else 4):
        trainer.optimizer_step()
    return sum(accelerator.launches.values()) / 4, sum(accelerator.waits.values()) / 4


def test_a_cycle_of_training_waits_once_and_recorded_launches_little_as_the_documentation_says(
    monkeypatch, root, capsys
):
    rows = ["| filter | experiment | schedule | waits | launches | launches, recorded |", "|---|---|---|---|---|---|"]
    for name, system, schedule in PER_CYCLE:
        with pretended_accelerator() as accelerator, monkeypatch.context() as patch:
            launches, waits = counted(accelerator, name, system, schedule)
            patch.setenv("MNMEF_GRAPH", "1")
            patch.setattr(graphs, "record", accelerator.record)
            recorded, waits_recorded = counted(accelerator, name, system, schedule)
        rows.append(f"| `{name}` | `{system}` | `{schedule}` | {waits:.0f} | {launches:.0f} | {recorded:.0f} |")
        assert waits <= 1
        assert waits_recorded <= 1
        assert recorded <= 350
    with capsys.disabled():
        print("", *rows, sep="\n")
    assert "\n".join(rows) in (root / "docs" / "clusters.md").read_text()


def test_a_recorded_training_is_the_same(monkeypatch):
    with pretended_accelerator() as accelerator, monkeypatch.context() as patch:
        plain = weights(training("mnmef", "lorenz96", NAME, 3, schedule="window", other_sizes=(2, 8)))
        patch.setenv("MNMEF_GRAPH", "1")
        patch.setattr(graphs, "record", accelerator.record)
        recorded = weights(training("mnmef", "lorenz96", NAME, 3, schedule="window", other_sizes=(2, 8)))
    assert torch.equal(recorded, plain)
