"""Observations that are too far off are counted and left out."""

import numpy as np
import pytest
import torch
import xarray as xr

from mnmef.assimilation.assimilate import assimilate
from mnmef.assimilation.gross_errors import GrossErrorCheck
from mnmef.filters.base import Filter
from mnmef.filters.classical import make_classical
from mnmef.filters.esrf import ESRF
from mnmef.filters.options import Options
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


def test_innovations_leave_out_what_was_rejected(twin):
    experiment, _, observations = twin
    filter_ = make_classical("enkf", experiment, 1.0, 1.1, options=Options(prior_spread=0.3))
    wrong, missing = observations[:9].copy(), observations[:9].copy()
    wrong[4, 3], wrong[6], missing[4, 3], missing[6] = 1e6, -1e6, np.nan, np.nan
    checked = assimilate(GrossErrorCheck(filter_, 50.0), experiment, wrong, save="innovations")
    expected = assimilate(filter_, experiment, missing, save="innovations")
    assert list(checked["rejected"].values) == [0, 0, 0, 0, 1, 0, 10, 0, 0]
    xr.testing.assert_identical(checked.drop_vars("rejected"), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_checked_network_goes_on_from_its_result_in_the_precision_of_its_weights(twin, root, dtype):
    experiment, _, observations = twin
    weights = root / "resources" / "weights" / "lorenz96_1.0" / "mnmef_conv_pretrained.safetensors"
    checked = GrossErrorCheck(load_checkpoint(weights).to(dtype), 100.0)
    whole = assimilate(checked, experiment, observations[:8])
    assert whole["last_ensemble"].dtype == str(dtype).removeprefix("torch.")
    second = assimilate(
        checked, experiment, observations[5:8], first_ensemble=assimilate(checked, experiment, observations[:5])
    )
    np.testing.assert_array_equal(second["mean"], whole["mean"][5:])


def test_a_filter_without_a_name_is_called_by_its_class(twin):
    experiment, _, observations = twin

    class Mine(Filter):
        def analyze(self, forecast, observation, experiment, noise=None):
            return forecast

    class Other(ESRF):
        pass

    assert assimilate(Mine(), experiment, observations[:2]).attrs["filter"] == "Mine"
    assert Other(1.0).name == "esrf"


@pytest.mark.parametrize("limit", [0.0, -3.0, np.nan, np.inf, "5", True])
def test_a_limit_that_is_none_is_refused(twin, limit):
    with pytest.raises(ValueError, match="limit must be a positive, finite number"):
        GrossErrorCheck(make_classical("esrf", twin[0], 1.0, 1.1), limit)


def test_a_smoother_has_no_check_of_gross_errors(twin):
    experiment, _, observations = twin
    with pytest.raises(ValueError, match="stand-alone analysis, not ienks"):
        assimilate(GrossErrorCheck(make_classical("ienks", experiment, 1.0, 1.1), 5.0), experiment, observations[:3])
