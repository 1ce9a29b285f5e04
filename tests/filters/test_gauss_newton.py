"""The compiled Gauss-Newton step is the one of array operations, trajectory by trajectory."""

import pytest
import torch

from mnmef.experiments.load import load_experiment
from mnmef.filters.base import observation_perturbations
from mnmef.filters.finite_size import EnKFN
from mnmef.filters.gauss_newton import CompiledGaussNewton, GaussNewton, gauss_newton
from mnmef.filters.linalg import HUGE, principal_modes
from mnmef.kernels.lanes import LANES

SIGMA = 0.7


def problem(batch, members, size, is_perturbed):
    """Both iterations, an ensemble of 11 numbers a member, and what it observes (batch, members, size) by a curved
    function.
    """
    generator = torch.Generator().manual_seed(members + size)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    ensemble, projection = 2.0 * normal(batch, members, 11), normal(11, size) / 2.0

    def observe(states):
        return states @ projection + 0.1 * torch.sin(3.0 * states @ projection)

    draws = observation_perturbations(normal(batch, members, size), 1.0) if is_perturbed else None
    given = normal(batch, size), SIGMA, draws
    return GaussNewton(*given), CompiledGaussNewton(*given, torch.Size([batch])), ensemble, observe


def iterated(iteration, ensemble, observe, times):
    """The ensembles that an iteration moves to."""
    anomalies, transform, now = ensemble - ensemble.mean(-2, keepdim=True), None, ensemble
    for _ in range(times):
        transform = iteration.step(observe(now), transform)
        now = transform.moved(ensemble, anomalies)
        yield now


@pytest.mark.parametrize("is_perturbed", [False, True])
@pytest.mark.parametrize(
    ("batch", "members", "size"),
    [(13, 100, 16), (9, 7, 20), (3, 6, 50), (1, 40, 10), (3, 4, 3), (20, 12, 1), (8, 2, 16)],
)
def test_the_compiled_iteration_is_that_of_array_operations(batch, members, size, is_perturbed):
    reference, compiled, ensemble, observe = problem(batch, members, size, is_perturbed)
    pairs = zip(*(iterated(i, ensemble, observe, 4) for i in (reference, compiled)), strict=True)
    for k, (expected, found) in enumerate(pairs):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12 * 100**k)


def test_modes_of_many_observations_are_in_the_space_of_members():
    rows = torch.randn(4, 6, 50, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    rows = rows - rows.mean(-2, keepdim=True)  # one mode is zero
    modes, squares, vectors = principal_modes(rows)
    assert (modes.shape, vectors.shape) == ((4, 6, 6), (4, 50, 6))
    torch.testing.assert_close(modes @ vectors.mT, rows, rtol=0, atol=1e-12)
    torch.testing.assert_close(vectors.mT @ vectors, torch.eye(6).to(rows).expand(4, 6, 6), rtol=0, atol=1e-12)
    torch.testing.assert_close(modes.mT @ modes, torch.diag_embed(squares.squeeze(-2)), rtol=0, atol=1e-11)


def test_finite_size_inflation_is_the_same_in_the_spaces_of_members_and_of_observations(monkeypatch):
    experiment = load_experiment("lorenz96_full")
    generator = torch.Generator().manual_seed(2)
    forecast = torch.randn(3, 8, 40, generator=generator, dtype=torch.float64)
    observation = 2.0 * torch.randn(3, 40, generator=generator, dtype=torch.float64)
    found = EnKFN(SIGMA).analyze(forecast, observation, experiment)
    monkeypatch.setattr("mnmef.filters.linalg.has_more_observations", lambda *sizes: False)
    torch.testing.assert_close(found, EnKFN(SIGMA).analyze(forecast, observation, experiment), rtol=0, atol=1e-10)


@pytest.mark.parametrize(("members", "size"), [(20, 40), (20, 41)])
def test_the_kernel_serves_where_observations_are_at_most_twice_the_members(members, size):
    chosen = gauss_newton(torch.zeros(1, size, dtype=torch.float64), SIGMA, None, torch.Size([1, members, 40]))
    assert isinstance(chosen, CompiledGaussNewton if size <= 2 * members else GaussNewton)


@pytest.mark.parametrize("is_perturbed", [False, True])
def test_steep_and_bad_trajectories_are_treated_as_by_array_operations_and_change_no_other(is_perturbed):
    reference, compiled, ensemble, observe = problem(11, 9, 10, is_perturbed)
    first, second = observe(ensemble), observe(ensemble + 0.1)
    bad = first.clone()
    for row, (member, value) in {2: (3, torch.nan), 4: (0, torch.inf), 5: (1, 1e80), 9: (2, -torch.inf)}.items():
        bad[row, member, 1] = value
    bad[1] *= 30.0
    bad[10] *= 60.0  # the last lanes, which repeat this one
    anomalies = ensemble - ensemble.mean(-2, keepdim=True)
    sound = torch.tensor([0, 3, 6, 7, 8])
    expected = expected_transform = found_transform = sound_transform = None
    for observed in (bad, torch.where(bad == first, second, bad)):
        sound_transform = compiled.step(first if sound_transform is None else second, sound_transform)
        expected_transform = reference.step(observed, expected_transform)
        found_transform = compiled.step(observed, found_transform)
        expected, found = (t.moved(ensemble, anomalies) for t in (expected_transform, found_transform))
        torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-7, equal_nan=True)
        assert found.isnan().flatten(1).any(1).tolist() == [r in (2, 4, 5, 9) for r in range(11)]
        assert torch.equal(found[sound], sound_transform.moved(ensemble, anomalies)[sound])
    assert (bad[5].square().sum() > HUGE).item()


@pytest.mark.parametrize("is_perturbed", [False, True])
def test_a_trajectory_alone_and_threads_give_the_same_bits(is_perturbed):
    reference, compiled, ensemble, observe = problem(19, 20, 16, is_perturbed)
    *_, together = iterated(compiled, ensemble, observe, 3)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        *_, apart = iterated(compiled, ensemble, observe, 3)
    finally:
        torch.set_num_threads(threads)
    torch.testing.assert_close(apart, together, rtol=0, atol=0)
    observed = observe(ensemble)
    batch = compiled.step(observed, None)
    for row in (0, 7, 18):
        draws = None if reference.draws is None else reference.draws[row : row + 1]
        alone = CompiledGaussNewton(compiled.observation[row : row + 1], SIGMA, draws, torch.Size([1]))
        transform = alone.step(observed[row : row + 1], alone.step(observed[row : row + 1], None))
        expected = compiled.step(observed, batch)
        lanes = [t.state.view(len(t.state), -1, LANES) for t in (transform, expected)]
        assert torch.equal(lanes[0][0, :, 0], lanes[1][row // LANES, :, row % LANES])


def test_leading_dimensions_and_strided_single_precision_observations_are_those_of_one_batch():
    experiment = load_experiment("ks")
    generator = torch.Generator().manual_seed(3)
    ensemble = torch.randn(2, 3, 5, 128, generator=generator)
    observation = torch.randn(3, 16, generator=generator, dtype=torch.float64)
    iteration = gauss_newton(observation, SIGMA, None, ensemble.shape)
    assert isinstance(iteration, CompiledGaussNewton)
    observed = experiment.observe(ensemble)
    found = iteration.step(observed, None).moved(ensemble, ensemble)
    expected = GaussNewton(observation, SIGMA, None).step(observed, None).moved(ensemble, ensemble)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("dtype", "members"), [(torch.float32, 10), (torch.float64, 2)])
def test_other_precisions_and_the_smallest_ensembles_are_left_to_array_operations(dtype, members):
    observation = torch.zeros(4, 3, dtype=dtype)
    assert isinstance(gauss_newton(observation, 1.0, None, torch.Size([4, members, 8])), GaussNewton)


def test_without_numba_array_operations_do_the_same(monkeypatch):
    monkeypatch.setattr("mnmef.filters.gauss_newton.HAS_NUMBA", False)
    iteration = gauss_newton(torch.zeros(4, 16, dtype=torch.float64), 1.0, None, torch.Size([4, 10, 128]))
    assert isinstance(iteration, GaussNewton)
    assert iteration.step(torch.ones(4, 10, 16), None).left.isfinite().all()
