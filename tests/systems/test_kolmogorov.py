"""The Kolmogorov flow has the solutions that are known, and its steps the order of their scheme."""

import itertools

import numpy as np
import pytest
import torch

from mnmef.systems.kolmogorov import Kolmogorov

POINTS = 16
Y, X = np.meshgrid(*2 * [2 * np.pi * np.arange(POINTS) / POINTS], indexing="ij")


def flat(field):
    return torch.from_numpy(field.reshape(-1))


def waves(largest=3, points=POINTS):
    """A field of all waves up to a wave number."""
    rng = np.random.default_rng(0)
    y, x = np.meshgrid(*2 * [2 * np.pi * np.arange(points) / points], indexing="ij")
    numbers = range(-largest, largest + 1)
    return sum(
        rng.normal() * np.cos(k * x + m * y + rng.uniform(0, 6))
        for k, m in itertools.product(numbers, numbers)
        if (k, m) != (0, 0)
    )


def test_the_laminar_flow_is_a_fixed_point():
    system = Kolmogorov(POINTS, reynolds=10.0, wave_number=4)
    laminar = flat(-10.0 / 4 * np.cos(4 * Y))  # the velocity is Re / k^2 sin(k y)
    torch.testing.assert_close(system.advance(laminar, 20), laminar, rtol=1e-11, atol=1e-11)


def test_from_rest_the_laminar_flow_grows_as_the_forced_wave_does_alone():
    system = Kolmogorov(POINTS, step_size=0.1, reynolds=10.0, wave_number=4)
    grown = flat(-10.0 / 4 * (1.0 - np.exp(-16 / 10.0)) * np.cos(4 * Y))
    torch.testing.assert_close(system.advance(torch.zeros(POINTS**2, dtype=torch.float64), 10), grown)


@pytest.mark.parametrize("vortex", [np.cos(2 * X) * np.cos(2 * Y), np.sin(2 * X - 2 * Y)])
def test_a_vortex_of_one_wave_number_decays_by_viscosity_alone_without_a_force(vortex):
    # Taylor and Green: its vorticity is constant along streamlines.
    system = Kolmogorov(POINTS, step_size=0.05, reynolds=20.0, force=0.0)
    torch.testing.assert_close(system.advance(flat(vortex), 20), np.exp(-8 / 20.0) * flat(vortex))


def test_the_tendency_is_that_of_the_equation_by_derivatives_on_the_grid():
    h, reynolds = 1e-4, 30.0
    system, wave_numbers = Kolmogorov(POINTS, h, reynolds, 2), np.fft.fftfreq(POINTS, 1 / POINTS)
    kx, ky = np.meshgrid(wave_numbers, wave_numbers)

    def derivative(field, factor):
        return np.fft.ifft2(factor * np.fft.fft2(field)).real

    vorticity = waves(2)  # so that all waves of the products are below the cut
    square = kx**2 + ky**2
    stream = derivative(vorticity, 1.0 / np.where(square > 0, square, np.inf))
    u, v = derivative(stream, 1j * ky), -derivative(stream, 1j * kx)
    tendency = -u * derivative(vorticity, 1j * kx) - v * derivative(vorticity, 1j * ky)
    tendency += derivative(vorticity, -square) / reynolds - 2.0 * np.cos(2 * Y)
    one = system.step(flat(vorticity))
    found = (4.0 * one - 3.0 * flat(vorticity) - system.step(one)) / (2.0 * h)
    torch.testing.assert_close(found, flat(tendency), rtol=1e-4, atol=1e-4)


def test_the_mean_vorticity_stays():
    system = Kolmogorov(POINTS)
    start = flat(waves() + 0.7)
    assert float(system.advance(start, 40).mean()) == pytest.approx(0.7, abs=1e-12)


def test_the_steps_have_order_four():
    start = flat(waves())
    exact = Kolmogorov(POINTS, 0.4 / 256).advance(start, 256)
    errors = [float((Kolmogorov(POINTS, 0.4 / n).advance(start, n) - exact).norm()) for n in (8, 16, 32)]
    assert min(np.log2(a / b) for a, b in itertools.pairwise(errors)) == pytest.approx(4.0, abs=0.3)


def test_the_step_of_the_experiment_is_a_thousandth_of_an_analysis_error_off():
    from mnmef.experiments.load import load_experiment

    system = load_experiment("kolmogorov").system
    start = flat(waves(4, 64) / 2.0)
    coarse = system.advance(start, 20)
    fine = Kolmogorov(64, system.step_size / 4, system.reynolds).advance(start, 80)
    assert float((coarse - fine).square().mean().sqrt()) < 2e-4


def test_a_step_takes_away_what_is_above_the_cut():
    system = Kolmogorov(POINTS)
    shortest = flat(np.cos(7 * X) + np.cos(6 * Y))
    torch.testing.assert_close(system.step(shortest), system.step(torch.zeros_like(shortest)), rtol=0, atol=1e-13)
