"""The taper is Gaspari and Cohn's in DAPPER's convention."""

import numpy as np
import pytest

from mnmef.experiments.load import load_experiment
from mnmef.filters.localization import domain_taper, gaspari_cohn


@pytest.mark.parametrize("radius", [0.001, 0.7, 3.0, 20.0])
def test_coefficients_equal_dappers(radius):
    from dapper.tools.localization import dist2coeff

    distance = np.linspace(0, 40, 401)
    np.testing.assert_allclose(gaspari_cohn(distance, radius), dist2coeff(distance, radius), atol=1e-14)


def test_the_taper_falls_from_one_to_zero_and_is_a_positive_definite_kernel_on_the_circle():
    taper = gaspari_cohn(np.arange(0, 60, 0.1), 5.0)
    assert taper[0] == 1.0
    assert (np.diff(taper) <= 1e-12).all()
    assert taper[-1] == 0.0
    gap = np.abs(np.arange(40)[:, None] - np.arange(40))
    kernel = gaspari_cohn(np.minimum(gap, 40 - gap), 3.0)
    assert np.linalg.eigvalsh(kernel).min() > -1e-12


def test_domain_localization_leaves_out_what_dapper_leaves_out():
    from dapper.tools.localization import inds_and_coeffs

    experiment = load_experiment("lorenz96")
    taper = domain_taper(experiment, 3.0)
    for i in range(40):
        kept, coefficients = inds_and_coeffs(experiment.distances()[i].astype(float), 3.0)
        np.testing.assert_array_equal(np.flatnonzero(taper[i]), kept)
        np.testing.assert_allclose(taper[i, kept], coefficients)


@pytest.mark.parametrize("radius", [0.0, -1.0, float("nan")])
def test_a_radius_that_is_not_positive_is_refused(radius):
    with pytest.raises(ValueError, match="radius must be positive"):
        gaspari_cohn(np.ones(2), radius)
