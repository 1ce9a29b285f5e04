"""A run that is cut and goes on from what was saved ends with the same bits."""

from functools import partial

import numpy as np
import pytest
import torch
import xarray as xr

from mnmef.assimilation.assimilate import assimilate
from mnmef.assimilation.gross_errors import GrossErrorCheck
from mnmef.assimilation.restart import STREAM
from mnmef.core.names import CLASSICAL_METHODS, LEARNED_FILTERS, METHODS
from mnmef.experiments.experiment import Experiment
from mnmef.filters.base import CycleResult
from mnmef.filters.classical import make_classical
from mnmef.filters.esrf import ESRF
from mnmef.filters.mnmef import Mnmef, ModelOptions
from mnmef.filters.options import Options
from mnmef.learning.shipped import load


def filters(experiment):
    options = ModelOptions(feature_size=8, width=8, heads=2, seeds=2, hidden_layers=1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield Mnmef(experiment, 1.0, options)
    yield make_classical("enkf", experiment, 1.0, 1.1)
    yield make_classical("letkf", experiment, 1.0, 1.1, 4.0)
    yield make_classical("esrf", experiment, 1.0, 1.1)


@pytest.mark.parametrize("method", range(4), ids=["mnmef", "enkf", "letkf", "esrf"])
def test_two_halves_with_a_file_between_them_are_the_whole_bit_by_bit(twin, method, tmp_path):
    experiment, _, observations = twin
    filter_ = list(filters(experiment))[method]
    keep = ("members", "innovations")
    whole = assimilate(filter_, experiment, observations, members=12, save=keep, seed=4)
    half = len(observations) // 2 + 1
    assimilate(filter_, experiment, observations[:half], members=12, save=keep, seed=4).to_netcdf(tmp_path / "half.nc")
    first, other = xr.load_dataset(tmp_path / "half.nc"), list(filters(experiment))[method]
    second = assimilate(other, experiment, observations[half:], first_ensemble=first, save=keep, seed=4)
    each = ["mean", "deviation", "members", "innovation", "expected_variance", "chi_square", "rank"]
    xr.testing.assert_identical(xr.concat([first[each], second[each]], "cycle"), whole[each])
    np.testing.assert_array_equal(second["last_ensemble"], whole["members"][-1])
    np.testing.assert_allclose(whole["members"].mean("member"), whole["mean"], rtol=1e-5, atol=1e-5)
    assert bool(whole["members"].notnull().all())
    given = {"first_ensemble": first["last_ensemble"], "first_cycle": half}
    apart = assimilate(other, experiment, observations[half:], **given, save=keep, seed=4)
    xr.testing.assert_identical(apart, second)


@pytest.mark.parametrize("calendar", ["standard", "noleap"])
def test_dates_go_with_the_result_and_a_restart_goes_on_from_the_last(twin, calendar, tmp_path):
    experiment, _, values = twin
    esrf = make_classical("esrf", experiment, 1.0, 1.1)
    dates = xr.date_range("2020-02-27", periods=6, freq="12h", calendar=calendar, use_cftime=calendar == "noleap")
    observations = xr.DataArray(values[:6], {"time": dates}, ("time", "site"))
    whole = assimilate(esrf, experiment, observations)
    assert list(whole["time"].to_index()) == list(dates)
    assimilate(esrf, experiment, observations[:4]).to_netcdf(tmp_path / "first.nc")
    first = xr.load_dataset(tmp_path / "first.nc")
    second = assimilate(esrf, experiment, observations[4:], first_ensemble=first)
    xr.testing.assert_identical(xr.concat([first["mean"], second["mean"]], "cycle"), whole["mean"])
    for begin, said in ((3, "comes .*02-28 12:00:00"), (5, "after the time .*-28 12:00:00 comes")):
        with pytest.raises(ValueError, match=said):
            assimilate(esrf, experiment, observations[begin:], first_ensemble=first)


ROTATED = Options(rotation=True)
CARRYING = {
    "lag 1": ("ienks", {"lag": 1}),
    "lag 5": ("ienks", {"lag": 5}),
    "finite size": ("ienks", {"lag": 3, "options": Options(hyperprior=2.0)}),
    "rotated window": ("ienks", {"lag": 3, "options": ROTATED}),
    "background": ("var3d", {"options": Options(background=0.1)}),
    "always drawn again": ("particle", {"options": Options(resampling=1.0, jitter=2.0)}),
    "never drawn again": ("particle", {"options": Options(resampling=0.0)}),
    **{f"rotated {method}": (method, {"options": ROTATED}) for method in ("enkf", "esrf", "letkf", "ienkf_pertobs")},
    "rotated and relaxed": ("denkf", {"options": Options(rotation=True, prior_spread=0.3, prior_perturbations=0.2)}),
    **{method: (method, {}) for method in CLASSICAL_METHODS},
}


@pytest.mark.parametrize("kind", CARRYING)
def test_any_filter_cut_at_any_cycle_ends_with_the_bits_of_one_that_is_not(twin, kind, tmp_path):
    (method, given), (experiment, _, observations) = CARRYING[kind], twin
    # One cycle has no observation at all.
    observations = np.where(np.arange(9)[:, None] == 4, np.nan, observations[:9])
    radius = 4.0 if METHODS[method].localizes else None

    def make():
        return make_classical(method, experiment, 1.0, 1.1 if METHODS[method].inflates else 1.0, radius, **given)

    keep = {"members": 30, "save": "members", "seed": 4}

    def run(part, before=None, filter_=None):
        return assimilate(filter_ or make(), experiment, part, first_ensemble=before, **keep)

    whole, kept = run(observations), make()
    assert bool(whole["members"].notnull().all())
    for cut in range(1, 9):
        run(observations[:cut], filter_=kept).to_netcdf(tmp_path / f"{cut}.nc")
        first = xr.load_dataset(tmp_path / f"{cut}.nc")
        second = run(observations[cut:], first, kept if cut % 2 else None)
        each = ["mean", "deviation", "members"]
        xr.testing.assert_identical(xr.concat([first[each], second[each]], "cycle"), whole[each])
        for name in ("last_ensemble", *(name for name in whole if name == "carried" or name.startswith(STREAM))):
            xr.testing.assert_identical(second[name], whole[name])


@pytest.mark.parametrize("name", LEARNED_FILTERS)
def test_shipped_weights_cut_at_any_cycle_end_with_the_bits_of_those_that_are_not(name):
    filter_ = load("lorenz63" if name == "mnmef_members" else "lorenz96", filter=name)
    observations = np.random.default_rng(1).standard_normal((5, filter_.experiment.observation_size))
    whole = assimilate(filter_, filter_.experiment, observations)
    for cut in range(1, 5):
        first = assimilate(filter_, filter_.experiment, observations[:cut])
        second = assimilate(filter_, filter_.experiment, observations[cut:], first_ensemble=first)
        np.testing.assert_array_equal(second["last_ensemble"], whole["last_ensemble"])


class Jittered(ESRF):
    """A filter of a user's, with a random stream of NumPy's, that runs the model twice a cycle."""

    name = "jittered"

    def __init__(self, bits=np.random.PCG64):
        super().__init__(1.0, 1.1)
        self.rng = np.random.Generator(bits(3))

    def cycle(self, carry, observation, experiment, noise=None):
        result = super().cycle(experiment.propagate(carry[0]), observation, experiment, noise)
        analysis = result.analysis + carry[1] + 0.1 * torch.from_numpy(self.rng.standard_normal(carry[0].shape[-1]))
        return CycleResult(result.forecast, analysis, (analysis, torch.from_numpy(self.rng.random((1, 1, 1)))))

    def start(self, ensemble):
        return ensemble, torch.zeros(1, 1, 1, dtype=ensemble.dtype)


@pytest.mark.parametrize("bits", [np.random.PCG64, np.random.MT19937])
@pytest.mark.parametrize("noise", [None, {"per_cycle": 0.1}, {"per_step": 0.1}])
def test_a_filter_of_ones_own_goes_on_bit_by_bit(twin, noise, bits):
    experiment = Experiment.from_description(twin[0].description | {"process_noise": noise})
    run = partial(assimilate, Jittered(bits), experiment, members=8)
    whole, first = run(twin[2][:6]), run(twin[2][:2])
    second = assimilate(Jittered(bits), experiment, twin[2][2:6], first_ensemble=first)
    np.testing.assert_array_equal(second["last_ensemble"], whole["last_ensemble"])


def test_what_a_filter_cannot_go_on_from_is_named(twin, tmp_path):
    experiment, _, observations = twin
    observations = observations[:6]

    def ienks(lag):
        return make_classical("ienks", experiment, 1.0, 1.1, lag=lag)

    saved = assimilate(ienks(4), experiment, observations, members=30)
    given = {"first_ensemble": saved["last_ensemble"], "first_cycle": 6}
    with pytest.raises(ValueError, match=r"ienks carries more than its last ensemble .* which an array has not"):
        assimilate(ienks(4), experiment, observations, **given)
    saved.drop_vars("carried").to_netcdf(tmp_path / "older.nc")
    older = xr.load_dataset(tmp_path / "older.nc")
    with pytest.raises(
        ValueError, match=r"with the variable `carried`, which .*older\.nc has not, of an earlier version"
    ):
        assimilate(ienks(4), experiment, observations, first_ensemble=older)
    with pytest.raises(ValueError, match="ienks with lag 2 cannot go on from a window of 4 cycles"):
        assimilate(ienks(2), experiment, observations, first_ensemble=saved)
    var3d = make_classical("var3d", experiment, 1.0, 1.0)
    with pytest.raises(ValueError, match=r"\(1, 30, 40\) and the numbers \[3\], .*static goes on from \(2, 40\) and 0"):
        assimilate(var3d, experiment, observations, first_ensemble=saved)
    with pytest.raises(ValueError, match="first_cycle = 5, but first_ensemble ends with cycle 6; leave it out"):
        assimilate(ienks(4), experiment, observations, first_ensemble=saved, first_cycle=5)
    with pytest.raises(ValueError, match="first_ensemble is a run of the experiment ks, not of lorenz96"):
        assimilate(ienks(4), experiment, observations, first_ensemble=saved.assign_attrs(experiment="ks"))


@pytest.mark.parametrize("is_checked", [False, True])
def test_random_numbers_of_a_filter_go_on_with_the_result_of_its_earlier_run_alone(twin, is_checked):
    experiment, _, observations = twin
    rotated, plain = (make_classical("esrf", experiment, 1.0, 1.1, options=o) for o in (ROTATED, Options()))
    filter_ = GrossErrorCheck(rotated, 5.0) if is_checked else rotated
    whole, saved = (assimilate(filter_, experiment, observations[:count], members=8) for count in (8, 5))
    second = assimilate(filter_, experiment, observations[5:8], first_ensemble=saved)
    np.testing.assert_array_equal(second["last_ensemble"], whole["last_ensemble"])
    assert not np.array_equal(assimilate(plain, experiment, observations[:8], members=8)["mean"], whole["mean"])
    run = partial(assimilate, filter_, experiment, observations[5:8])
    with pytest.raises(ValueError, match=r"random numbers of its own.* `random_stream_0`, which an array has not"):
        run(first_ensemble=saved["last_ensemble"], first_cycle=5)
    with pytest.raises(ValueError, match="`random_stream_0`, which first_ensemble has not, of an earlier version"):
        run(first_ensemble=saved.drop_vars("random_stream_0"))
    with pytest.raises(ValueError, match="has `random_stream_0`, of another filter: esrf has no such stream"):
        assimilate(plain, experiment, observations[5:8], first_ensemble=saved)
    particle = make_classical("particle", experiment, 1.0, 1.0)
    with pytest.raises(ValueError, match=r"particle carries more than .* `carried`, which first_ensemble has not"):
        assimilate(particle, experiment, observations[5:8], first_ensemble=saved)
    other = saved.drop_vars("random_stream_0").assign(random_stream_0=("byte", np.zeros(7, np.uint8)))
    with pytest.raises(ValueError, match="a random stream of another kind"):
        run(first_ensemble=other)


def test_a_restart_with_another_filter_or_seed_says_so(twin):
    experiment, _, observations = twin
    enkf, letkf = (make_classical("enkf", experiment, 1.0, 1.1), make_classical("letkf", experiment, 1.0, 1.1, 4.0))
    before = assimilate(letkf, experiment, observations[:3], members=5, seed=1)
    with pytest.warns(UserWarning, match="filter = letkf, and this one has filter = enkf"):
        assimilate(enkf, experiment, observations[3:6], first_ensemble=before, seed=1)
    with pytest.warns(UserWarning, match="seed = 1, and this one has seed = 2"):
        assimilate(letkf, experiment, observations[3:6], first_ensemble=before, seed=2)
