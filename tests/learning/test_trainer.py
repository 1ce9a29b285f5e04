"""Training: it learns, it resumes bit for bit, and it survives what goes wrong."""

import dataclasses
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from mnmef.data.twin import simulate_truth, training_split
from mnmef.experiments.experiment import Experiment
from mnmef.experiments.load import load_experiment
from mnmef.filters.learned import initial_filter
from mnmef.learning.fitting import training_data
from mnmef.learning.losses import LOSSES
from mnmef.learning.options import DECAYS, TrainingOptions
from mnmef.learning.resuming import keep_state, last_state
from mnmef.learning.trainer import Trainer
from mnmef.learning.training import train
from mnmef.learning.windows import Windows

SMALL = {"feature_size": 8, "width": 8, "heads": 2, "seeds": 2}
OPTIONS = TrainingOptions(ensemble_size=4, steps=12, window_cycles=6, batch=4, learning_rate=1e-3)
SYSTEM = load_experiment("lorenz63")


@pytest.fixture(scope="module")
def truth():
    return torch.from_numpy(simulate_truth(SYSTEM, 16, 10, np.random.default_rng(0)))


def make():
    return initial_filter(SYSTEM, 1.0, SMALL, 0)


def weights(filter_):
    return torch.cat([p.detach().flatten() for p in filter_.parameters()])


@pytest.mark.parametrize("schedule", ["cycle", "window"])
def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not(truth, schedule):
    options = dataclasses.replace(OPTIONS, schedule=schedule, steps=4)
    results = []
    for seed in (0, 0, 1):
        filter_ = make()
        train(filter_, truth, dataclasses.replace(options, seed=seed))
        results.append(weights(filter_))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


@pytest.mark.parametrize(
    "change",
    [
        *({"schedule": "cycle"}, {"schedule": "window"}, {"optimizer": "muon"}, {"other_sizes": (2, 8)}),
        {"gradient_cycles": 3, "target_members": 5},
        {"missing": 0.5},
    ],
    ids=str,
)
def test_a_resumed_training_ends_with_the_bits_of_an_uninterrupted_one(truth, change):
    options = dataclasses.replace(OPTIONS, steps=6, **change)
    uninterrupted = make()
    train(uninterrupted, truth, options)
    first = Trainer(make(), truth, options)
    for _ in range(3):
        first.optimizer_step()
    second = Trainer(make(), truth, options)
    second.load_state_dict(first.state_dict())
    while second.step_number < options.steps:
        second.optimizer_step()
    assert torch.equal(weights(second.filter), weights(uninterrupted))


def test_training_with_gaps_and_laplace_noise_resumes_with_the_same_bits(truth):
    description = {**SYSTEM.description, "observation": {"every": 1, "missing": 0.6, "distribution": "laplace"}}
    gappy, options = Experiment.from_description(description), dataclasses.replace(OPTIONS, steps=6)
    drawing, whole, first, second = (Trainer(initial_filter(gappy, 1.0, SMALL, 0), truth, options) for _ in range(4))
    seen = torch.cat([drawing.windows.observe(drawing.batch, truth[:, 0], 1.0) for _ in range(20)])
    assert abs(float(seen.isnan().double().mean()) - 0.6) < 4 * (0.24 / seen.numel()) ** 0.5
    for trainer, steps in ((whole, 6), (first, 3)):
        for _ in range(steps):
            trainer.optimizer_step()
    second.load_state_dict(first.state_dict())
    while second.step_number < options.steps:
        second.optimizer_step()
    assert whole.skipped_steps == whole.lost_windows == 0
    assert torch.equal(weights(second.filter), weights(whole.filter))
    assert not torch.equal(weights(whole.filter), weights(drawing.filter))


def test_kill_9_in_the_middle_then_a_second_start_ends_with_the_same_bits(tmp_path):
    script = textwrap.dedent(
        """
        import sys, time, numpy as np, torch
        from mnmef.data.twin import simulate_truth
        from mnmef.experiments.load import load_experiment
        from mnmef.learning.options import TrainingOptions
        from mnmef.filters.learned import initial_filter
        from mnmef.learning.trainer import Trainer
        from mnmef.learning.training import train
        experiment = load_experiment("lorenz63")
        truth = torch.from_numpy(simulate_truth(experiment, 16, 10, np.random.default_rng(0)))
        options = TrainingOptions(ensemble_size=4, steps=40, window_cycles=6, batch=4, learning_rate=1e-3)
        filter_ = initial_filter(experiment, 1.0, {"feature_size": 8, "width": 8, "heads": 2, "seeds": 2}, 0)
        if sys.argv[2] == "slow":
            step = Trainer.optimizer_step
            Trainer.optimizer_step = lambda self: (step(self), time.sleep(0.1))
        folder = None if sys.argv[2] == "alone" else sys.argv[1]
        train(filter_, truth, options, resume_folder=folder, checkpoint_seconds=0.2)
        torch.save(filter_.state_dict(), sys.argv[1] + "/" + sys.argv[2] + ".weights")
        """
    )

    def command(how):
        return [sys.executable, "-c", script, str(tmp_path), how]

    root = Path(__file__).parents[2]
    process = subprocess.Popen(command("slow"), cwd=root, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("[!.]*.pt")) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert list(tmp_path.glob("[!.]*.pt")), "no resume file was written before the kill"
    for how in ("resumed", "alone"):
        subprocess.run(command(how), cwd=root, check=True, stderr=subprocess.DEVNULL)
    resumed, alone = (torch.load(tmp_path / f"{how}.weights") for how in ("resumed", "alone"))
    assert all(torch.equal(resumed[key], alone[key]) for key in alone)
    assert not list(tmp_path.glob("*.pt*")), "the resume file is left behind"


def flipped(content):
    changed = bytearray(content)
    changed[len(content) // 2] ^= 16
    return bytes(changed)


@pytest.mark.parametrize("damage", [lambda content: content[:300], lambda content: b"", flipped])
@pytest.mark.parametrize("both", [False, True])
def test_a_damaged_resume_file_is_named_and_the_last_good_state_goes_on_to_the_same_bits(
    truth, tmp_path, capsys, monkeypatch, damage, both
):
    options = dataclasses.replace(OPTIONS, steps=6)
    whole, resumed = make(), make()
    train(whole, truth, options)

    def stop(self):
        if self.step_number == 4:
            raise KeyboardInterrupt
        step(self)

    step = Trainer.optimizer_step
    monkeypatch.setattr(Trainer, "optimizer_step", stop)
    with pytest.raises(KeyboardInterrupt):
        train(make(), truth, options, resume_folder=tmp_path, checkpoint_seconds=0.0)
    steps = []
    monkeypatch.setattr(Trainer, "optimizer_step", lambda self: (steps.append(self.step_number), step(self)))
    earlier, newest = sorted(tmp_path.iterdir(), key=lambda path: path.stat().st_mtime)
    for path in (newest, earlier) if both else (newest,):
        path.write_bytes(damage(path.read_bytes()))
    train(resumed, truth, options, resume_folder=tmp_path)
    printed = capsys.readouterr().out
    assert f"{newest} is damaged" in printed
    assert (f"{earlier} is damaged" in printed) == both
    assert steps == (list(range(6)) if both else [3, 4, 5])
    assert torch.equal(weights(resumed), weights(whole))
    assert not list(tmp_path.iterdir())


def test_a_good_state_is_not_replaced_by_a_damaged_one(tmp_path):
    path = tmp_path / "a.pt"
    for step in range(2):
        keep_state({"step": step}, path)
    path.write_bytes(path.read_bytes()[:300])
    assert last_state(path) == {"step": 0}
    keep_state({"step": 2}, path)
    path.unlink()
    assert last_state(path) == {"step": 0}


def test_a_training_whose_result_cannot_be_written_is_not_lost(truth, tmp_path, monkeypatch):
    def full(curve):
        raise OSError("No space left on device")

    arguments = {"resume_folder": tmp_path, "checkpoint_seconds": 0.0}
    with pytest.raises(OSError, match="No space"):
        train(make(), truth, dataclasses.replace(OPTIONS, steps=3), **arguments, finish=full)
    monkeypatch.setattr(Trainer, "optimizer_step", None)  # no step is left
    train(make(), truth, dataclasses.replace(OPTIONS, steps=3), **arguments)
    assert not list(tmp_path.iterdir())


def test_other_options_do_not_resume_from_a_foreign_state(truth):
    digests = {
        Trainer(make(), truth, dataclasses.replace(OPTIONS, learning_rate=rate)).digest() for rate in (1e-3, 2e-3)
    }
    assert len(digests) == 2


def test_the_loss_falls(truth):
    filter_ = make()
    curve = train(filter_, truth, dataclasses.replace(OPTIONS, steps=300, batch=16, learning_rate=3e-3))
    assert curve["loss"].tail(40).mean() < 0.7 * curve["loss"].iloc[15:40].mean()


def test_one_step_by_window_equals_the_mean_gradient_of_its_cycles(truth):
    options = dataclasses.replace(OPTIONS, schedule="window", steps=1)
    by_window = Trainer(make(), truth, options)
    by_window.optimizers[0].step = lambda: None
    by_window.optimizer_step()
    by_cycle = Trainer(make(), truth, options)
    gradients = []
    for _ in range(options.window_cycles):
        by_cycle.filter.zero_grad()
        by_cycle._cycle(1.0)
        gradients.append([p.grad.clone() for p in by_cycle.parameters])
    for parameter, *parts in zip(by_window.parameters, *gradients, strict=True):
        torch.testing.assert_close(parameter.grad, torch.stack(parts).mean(0))


@pytest.mark.parametrize("target_members", [0, 20])
def test_the_gradient_runs_through_the_forecasts_and_analyses_of_its_cycles(truth, target_members):
    options = dataclasses.replace(OPTIONS, gradient_cycles=3, target_members=target_members, loss="l2+spread")
    trainer = Trainer(make(), truth, options)
    ensemble = trainer.batch.ensemble.clone()
    cycles = []
    observe = trainer._observe
    trainer._observe = lambda: cycles.append(observe()) or cycles[-1]
    trainer._cycle(1.0)
    found = [p.grad.clone() for p in trainer.parameters if p.grad is not None]

    loss = 0
    for observation, noise, _, state, target in cycles:
        assert torch.equal(state, target) == (target_members == 0)
        ensemble = trainer.filter.analyze(SYSTEM.propagate(ensemble), observation, SYSTEM, noise)
        loss = loss + (LOSSES["l2"](ensemble, target) + LOSSES["spread"](ensemble, state)).mean() / 3
    expected = torch.autograd.grad(loss, trainer.parameters, allow_unused=True)
    for gradient, other in zip(found, (g for g in expected if g is not None), strict=True):
        torch.testing.assert_close(gradient, other)
    torch.testing.assert_close(trainer.batch.ensemble, ensemble.detach())


def test_each_window_has_a_noise_level_and_a_share_of_missing_observations_of_its_own(truth):
    options = dataclasses.replace(OPTIONS, batch=400, noise_range=(0.5, 2.0), missing=0.6, window_cycles=6)
    windows = Windows(truth, SYSTEM, options)
    batch = windows.batches[0]
    level, missing = batch.level.clone(), batch.missing.clone()
    # The median of an even draw of the logarithm is the geometric mean; half of the windows miss nothing.
    assert 0.5 <= level.min() < 0.6
    assert 1.8 < level.max() <= 2.0
    assert 0.9 < level.median() < 1.1
    assert 0.4 < (missing == 0).float().mean() < 0.6
    assert 0.5 < missing.max() <= 0.6
    state = windows.advance(batch)
    errors = torch.stack([windows.observe(batch, state, level.unsqueeze(-1)) - state[:, :1] for _ in range(400)])
    seen = errors.isfinite().float().mean(0).squeeze(-1)
    assert (seen - (1 - missing)).abs().max() < 0.11  # four standard errors
    deviation = torch.sqrt(errors.square().nanmean(0)).squeeze(-1)
    torch.testing.assert_close(deviation, level, rtol=0.25, atol=0)


def test_a_filter_for_a_range_of_noise_is_trained_at_the_noise_of_each_window(truth):
    options = dataclasses.replace(OPTIONS, noise_range=(0.5, 2.0))
    filter_ = initial_filter(SYSTEM, 1.0, {"width": 6}, 0, name="mnmef_members")
    trainer = Trainer(filter_, truth, options)
    levels, given, at_noise = trainer.batch.level.clone(), [], type(filter_).at_noise
    filter_.at_noise = lambda sigma_y: given.append(sigma_y) or at_noise(filter_, sigma_y)
    trainer.optimizer_step()
    torch.testing.assert_close(given[0].flatten(), levels)
    with pytest.raises(ValueError, match="noise_range must be null for mnmef, "):
        Trainer(make(), truth, options)


def test_windows_end_only_where_the_gradient_does(truth):
    trainer = Trainer(make(), truth, dataclasses.replace(OPTIONS, gradient_cycles=3, window_cycles=6))
    for _ in range(4):
        assert set((trainer.batch.remaining % 3).tolist()) == {0}
        trainer._cycle(1.0)


@pytest.mark.parametrize("schedule", ["cycle", "window"])
def test_a_batch_in_chunks_side_by_side_has_the_gradient_of_the_whole(truth, schedule):
    gradients = []
    threads = torch.get_num_threads()
    try:
        for chunks, used_threads in ((1, 1), (3, 1), (3, 2)):
            torch.set_num_threads(used_threads)
            options = dataclasses.replace(OPTIONS, schedule=schedule, chunks=chunks)
            trainer = Trainer(make(), truth, options)
            trainer.optimizer_step()
            assert (trainer.pool is not None) == (used_threads > 1)
            gradients.append(torch.cat([p.grad.flatten() for p in trainer.parameters]))
    finally:
        torch.set_num_threads(threads)
    assert torch.allclose(gradients[0], gradients[1], rtol=1e-4, atol=1e-7)
    assert torch.equal(gradients[1], gradients[2])


def test_in_chunks_a_lost_window_weighs_nothing_and_the_others_as_much_as_before(truth):
    gradients = []
    for chunks in (1, 2):
        trainer = Trainer(make(), truth, dataclasses.replace(OPTIONS, batch=16, chunks=chunks))
        trainer.batch.ensemble[0] = torch.nan
        trainer.optimizer_step()
        assert trainer.lost_windows == 1
        gradients.append(torch.cat([p.grad.flatten() for p in trainer.parameters]))
    assert gradients[0].isfinite().all()
    assert torch.allclose(*gradients, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("fraction", [0.0, 0.3, 1.0])
def test_the_asked_for_fraction_of_windows_starts_about_another_truth(truth, fraction):
    options = dataclasses.replace(OPTIONS, batch=1000, misplaced=fraction)
    batch = Trainer(make(), truth, options).batch
    distance = (batch.ensemble.mean(1) - truth[batch.window, batch.position]).norm(dim=-1)
    # The means of 4 members with standard deviation 0.1 are off by less than 0.5; another truth is farther away.
    expected = fraction * (1 - 1 / len(truth))  # one draw in 16 is the window's own truth
    assert float((distance > 0.5).float().mean()) == pytest.approx(expected, abs=0.05 if fraction else 0.0)


def test_a_fraction_of_misplaced_windows_is_one():
    with pytest.raises(ValueError, match=r"from 0 to 1, not 1\.5"):
        dataclasses.replace(OPTIONS, misplaced=1.5)


def test_fine_tuning_moves_the_heads_and_nothing_else(truth):
    filter_ = make()
    before = {name: p.detach().clone() for name, p in filter_.named_parameters()}
    train(filter_, truth, dataclasses.replace(OPTIONS, heads_only=True))
    for name, parameter in filter_.named_parameters():
        assert torch.equal(parameter, before[name]) == name.startswith("encoders."), name


def test_a_window_that_becomes_non_finite_is_dropped_and_counted_and_the_run_goes_on(truth):
    damaged = truth.clone()
    damaged[3] = torch.nan
    filter_ = make()
    curve = train(filter_, damaged, dataclasses.replace(OPTIONS, steps=40))
    assert curve["lost_windows"].iloc[-1] > 0
    assert bool(weights(filter_).isfinite().all())
    assert np.isfinite(curve["loss"]).all()


def test_a_non_finite_gradient_skips_the_step_and_is_counted(truth):
    trainer = Trainer(make(), truth, OPTIONS)
    before = weights(trainer.filter).clone()
    trainer.parameters[0].register_hook(lambda grad: grad * torch.nan)
    trainer.optimizer_step()
    assert trainer.skipped_steps == 1
    assert torch.equal(weights(trainer.filter), before)


def test_ages_of_a_cycle_batch_are_spread_over_the_window(truth):
    trainer = Trainer(make(), truth, dataclasses.replace(OPTIONS, batch=6, window_cycles=6))
    for _ in range(13):
        trainer._cycle(1.0)
    assert len(set(trainer.batch.remaining.tolist())) == 6


def test_ensemble_sizes_take_turns_with_as_many_members_in_a_batch(truth):
    trainer = Trainer(make(), truth, dataclasses.replace(OPTIONS, other_sizes=(2, 16)))
    seen = []
    for _ in range(6):
        trainer.optimizer_step()
        seen.append(tuple(trainer.batch.ensemble.shape[:2]))
    assert seen == [(4, 4), (8, 2), (1, 16)] * 2
    # Each batch goes on with its own windows: two turns, two cycles.
    assert all(int(batch.position.min()) >= 2 for batch in trainer.windows.batches)


@pytest.mark.parametrize("decay", list(DECAYS))
def test_each_step_is_taken_at_the_rate_of_its_options(truth, decay):
    options = dataclasses.replace(OPTIONS, decay=decay)
    trainer = Trainer(make(), truth, options)
    for step in range(options.steps):
        trainer.optimizer_step()
        assert [group["lr"] for group in trainer.optimizers[0].param_groups] == [options.rate_at(step)]
        assert options.rate_at(step) == OPTIONS.learning_rate * DECAYS[decay](step / options.steps)


def test_learning_rates_decay_as_documented():
    assert [DECAYS["halve"](f) for f in (0.0, 0.19, 0.2, 0.3, 0.4, 0.99)] == [1, 1, 0.5, 0.25, 0.125, 0.125]
    assert {DECAYS["constant"](f) for f in (0.0, 0.2, 1.0)} == {1.0}
    assert DECAYS["cosine"](0.0) == 1.0
    assert DECAYS["cosine"](1.0) == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schedule": "windows"}, "'windows'.*'window'"),
        ({"loss": "nl3"}, "'nl3'.*'nl2'"),
        ({"decay": "cosin"}, "'cosin'.*'cosine'"),
        ({"optimizer": "adam"}, "'adam'.*'adamw'"),
        ({"batch": 0}, "batch must be a whole number of at least 1, not 0"),
        ({"ensemble_size": 1}, "ensemble_size must be a whole number of at least 2, not 1"),
        ({"other_sizes": (5, 1)}, "ensemble_size must be a whole number of at least 2, not 1"),
        ({"noise_range": (1.5, 0.5)}, "noise_range.*smallest first, not"),
        ({"noise_range": (0.5, 1.5), "target_members": 9}, "target_members must be 0 with noise_range.*not 9"),
        ({"missing": 1.0}, "missing is a fraction.*not 1.0"),
    ],
)
def test_wrong_options_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(OPTIONS, **change)


def test_truths_shorter_than_a_window_are_refused(truth):
    with pytest.raises(ValueError, match="window of 6 cycles"):
        Trainer(make(), truth[:, :5], OPTIONS)


@pytest.mark.parametrize("missing", [0.0, 0.9])
def test_a_training_on_stored_observations_is_given_those_of_its_truths_and_draws_none(truth, missing):
    stored = 10.0 * SYSTEM.observe(truth)
    stored[::2] = torch.nan
    options = dataclasses.replace(OPTIONS, missing=missing, target_members=5)
    trainer = Trainer(make(), (truth, stored), options)
    given, kept = [], 0
    for _ in range(20):
        observation, _, _, states, _ = trainer._observe()
        is_stored = trainer.batch.window % 2 == 1
        expected = torch.where(is_stored.unsqueeze(-1), 10.0 * SYSTEM.observe(states), torch.nan)
        seen = observation.isfinite()
        assert torch.equal(observation[seen], expected[seen])
        assert not bool((seen & expected.isnan()).any())
        given.append(seen)
        kept += int(expected.isfinite().sum())
    assert (int(torch.cat(given).sum()) == kept) == (missing == 0.0)
    assert kept > 0


def test_stored_observations_decide_what_is_learned_and_whether_a_training_goes_on(truth):
    stored = SYSTEM.observe(truth)
    results, digests = [], []
    for data in (truth, (truth, stored), (truth, stored), (truth, stored + 1.0)):
        filter_ = make()
        trainer = Trainer(filter_, data, dataclasses.replace(OPTIONS, steps=3))
        digests.append(trainer.digest())
        for _ in range(3):
            trainer.optimizer_step()
        results.append(weights(filter_))
    assert torch.equal(results[1], results[2])
    assert digests[1] == digests[2]
    assert len(set(digests)) == 3
    assert not torch.equal(results[1], results[3])
    assert not torch.equal(results[0], results[1])


def test_the_training_split_says_whether_observations_are_stored(truth):
    states = truth.numpy()
    split = training_split(SYSTEM, states)
    assert torch.equal(training_data(split), truth)
    both = training_data(training_split(SYSTEM, states, states[..., :1]))
    assert torch.equal(both[0], truth)
    assert torch.equal(both[1], truth[..., :1])
    with pytest.raises(ValueError, match="stored observations have one noise level: noise_range must be null"):
        Trainer(make(), both, dataclasses.replace(OPTIONS, noise_range=(0.5, 2.0)))
