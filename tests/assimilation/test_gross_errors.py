"""Observations that are too far off are counted and left out."""

import numpy as np
import pytest

from mnmef.assimilation.assimilate import assimilate
from mnmef.assimilation.gross_errors import GrossErrorCheck
from mnmef.filters.classical import make_classical
from mnmef.learning.checkpoints import load_checkpoint


@pytest.mark.parametrize("method", ["letkf", "enkf_localized"])
def test_a_gross_error_is_counted_and_does_what_a_missing_observation_does(twin, method):
    experiment, truth, observations = twin
    filter_ = make_classical(method, experiment, 1.0, 1.1, 4.0)
    first = truth[0] + 0.5 * np.random.default_rng(2).standard_normal((20, 40))
    wrong, missing = observations[:12].copy(), observations[:12].copy()
    wrong[5, 3], missing[5, 3] = 1e6, np.nan
    arguments = {"first_ensemble": first, "seed": 3}
    checked = assimilate(GrossErrorCheck(filter_, 6.0), experiment, wrong, **arguments)
    expected = assimilate(filter_, experiment, missing, **arguments)
    assert list(checked["rejected"].values) == [0] * 5 + [1] + [0] * 6
    np.testing.assert_array_equal(checked["mean"], expected["mean"])
    assert "rejected" not in expected


def test_a_check_without_gross_errors_changes_no_bit_and_counts_anew_in_each_call(twin, root):
    experiment, _, observations = twin
    weights = root / "resources" / "weights" / "lorenz96_1.0" / "mnmef_conv_pretrained.safetensors"
    network = load_checkpoint(weights)
    checked = GrossErrorCheck(network, 100.0)
    for _ in range(2):
        found = assimilate(checked, experiment, observations[:6])
        assert list(found["rejected"].values) == [0] * 6
    np.testing.assert_array_equal(found["mean"], assimilate(network, experiment, observations[:6])["mean"])


@pytest.mark.parametrize("limit", [0.0, -3.0, np.nan, np.inf, "5", True])
def test_a_limit_that_is_none_is_refused(twin, limit):
    with pytest.raises(ValueError, match="limit must be a positive, finite number"):
        GrossErrorCheck(make_classical("esrf", twin[0], 1.0, 1.1), limit)


def test_a_smoother_has_no_check_of_gross_errors(twin):
    experiment, _, observations = twin
    with pytest.raises(ValueError, match="stand-alone analysis, not ienks"):
        assimilate(GrossErrorCheck(make_classical("ienks", experiment, 1.0, 1.1), 5.0), experiment, observations[:3])
