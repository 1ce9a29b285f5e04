"""Assimilation of observations without a truth."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

from mnmef.assimilation.assimilate import assimilate, climatological_states
from mnmef.assimilation.cycling import noise_source, run_filter
from mnmef.assimilation.gross_errors import GrossErrorCheck
from mnmef.assimilation.inputs import are_dates
from mnmef.data.twin import simulate_truth
from mnmef.experiments.experiment import Experiment
from mnmef.experiments.load import load_experiment
from mnmef.filters.base import Filter
from mnmef.filters.classical import make_classical
from mnmef.filters.options import Options
from mnmef.learning.checkpoints import load_checkpoint
from mnmef.learning.shipped import load


@pytest.mark.parametrize("method", ["letkf", "enkf_localized"])
def test_means_and_deviations_are_those_of_the_run_that_knows_the_truth(twin, method):
    experiment, truth, observations = twin
    filter_ = make_classical(method, experiment, 1.0, 1.1, 4.0)
    first = climatological_states(experiment, 8)
    result = assimilate(filter_, experiment, observations, first_ensemble=first, seed=3)
    record = run_filter(
        filter_,
        experiment,
        torch.from_numpy(first).double()[None],
        torch.from_numpy(observations)[None],
        torch.from_numpy(truth).double()[None],
        noise_source(3, filter_.name, 8, (1, 8, experiment.observation_size)),
        traced=1,
    )
    np.testing.assert_array_equal(result["mean"], record.mean[0])
    np.testing.assert_array_equal(result["deviation"], record.deviation[0])
    assert result.sizes == {"cycle": len(observations), "state": 40, "member": 8}


def test_a_shipped_filter_finds_the_truth_from_the_climate_alone(twin, root):
    experiment, truth, observations = twin
    weights = root / "resources" / "weights" / "lorenz96_1.0" / "mnmef_conv_pretrained.safetensors"
    filter_ = load_checkpoint(weights, experiment="lorenz96", sigma_y=1.0)
    result = assimilate(filter_, experiment, observations, members=10)
    error = np.sqrt(((result["mean"].values - truth) ** 2).mean(1))
    climate = climatological_states(experiment, 50).std(0).mean()
    assert error[-20:].mean() < climate / 2


def test_climatological_states_are_independent_and_have_the_spread_of_the_climate():
    experiment = load_experiment("lorenz96")
    states = climatological_states(experiment, 200, seed=1)
    assert states.shape == (200, 40)
    # Mean 2.3 and standard deviation 3.6 are those of Lorenz '96 with forcing 8 (Lorenz and Emanuel 1998).
    assert abs(states.mean() - 2.3) < 0.15
    assert abs(states.std() - 3.6) < 0.15
    assert abs(np.corrcoef(states[:-1].ravel(), states[1:].ravel())[0, 1]) < 0.05


def test_arrays_of_the_wrong_shape_and_observations_that_are_no_numbers_are_refused(twin):
    experiment, _, observations = twin
    filter_ = make_classical("esrf", experiment, 1.0, 1.1)
    with pytest.raises(ValueError, match=r"observations must be an array \(cycles, observed components\)"):
        assimilate(filter_, experiment, observations[0])
    with pytest.raises(ValueError, match="has 10 observed components, but observations have 9"):
        assimilate(filter_, experiment, observations[:, :9])
    with pytest.raises(ValueError, match="first_ensemble must be an array"):
        assimilate(filter_, experiment, observations, first_ensemble=np.zeros(40))
    infinite = observations.copy()
    infinite[3, 2] = np.inf
    with pytest.raises(ValueError, match="infinite values"):
        assimilate(filter_, experiment, infinite)


HOURS = pd.date_range("2020-01-01", periods=6, freq="6h")
NOLEAP = xr.date_range("2020-02-27", periods=6, freq="12h", calendar="noleap", use_cftime=True)


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ([0, 1, 2, 4, 5, 6], "after the time 2 comes 4"),
        ([0, 2, 3, 5, 7, 9], "after the time 0 comes 2"),
        ([0, 1, 1, 2, 3, 4], "after the time 1 comes 1"),
        (np.arange(6, dtype=np.uint8)[::-1], "after the time 5 comes 4"),
        ([0.0, 0.1, np.nan, 0.3, 0.4, 0.5], r"after the time 0\.1 comes nan"),
        (HOURS[[0, 1, 3, 2, 4, 5]], "after the time 2020-01-01 18:00:00 comes 2020-01-01 12:00:00"),
        (HOURS[[0, 1, 2, 3, 4, 4]].tz_localize("UTC"), "comes 2020-01-02 00:00:00"),
        (HOURS.where(HOURS[0] < HOURS), "after the time NaT comes"),
        (NOLEAP[[0, 1, 2, 4, 5, 0]], "after the time 2020-03-01 12:00:00 comes 2020-02-27 00:00:00"),
    ],
)
def test_times_that_are_not_a_cycle_apart_are_named(twin, times, said):
    experiment, _, observations = twin
    filter_, values = make_classical("esrf", experiment, 1.0, 1.1), observations[:6]
    times = times if isinstance(times, pd.Index) else pd.Index(times)
    table = pd.DataFrame(values, index=times)
    with pytest.raises(ValueError, match=said):
        assimilate(filter_, experiment, table)
    if getattr(times, "tz", None) is None:
        with pytest.raises(ValueError, match=said):
            assimilate(filter_, experiment, xr.DataArray(values, {"time": times}, ("time", "site")))
    if are_dates(times) and getattr(times, "tz", None) is None:
        records = xr.DataArray(values, {"record": range(6), "time": ("record", times)}, ("record", "site"))
        with pytest.raises(ValueError, match=said):
            assimilate(filter_, experiment, records)


@pytest.mark.parametrize(
    "times", [HOURS, HOURS.tz_localize("UTC"), [0, 2, 4, 6, 8, 10], [0, 1.1, 2, 3, 3.9, 5], list("abcdef")]
)
def test_other_times_change_no_bit(twin, times):
    experiment, _, observations = twin
    filter_, values = make_classical("esrf", experiment, 1.0, 1.1), observations[:6]
    expected = assimilate(filter_, experiment, values)
    found = assimilate(filter_, experiment, pd.DataFrame(values, index=times))
    xr.testing.assert_identical(found.drop_vars("time", errors="ignore"), expected)
    assert list(found.get("time", [])) == (list(HOURS) if isinstance(times, pd.DatetimeIndex) else [])


def test_observations_of_labeled_components_are_in_their_order(twin):
    experiment, _, observations = twin
    filter_, sites = make_classical("esrf", experiment, 1.0, 1.1), list(experiment.observed)
    for labels in (sites, [f"station {site}" for site in sites[::-1]]):
        assimilate(filter_, experiment, pd.DataFrame(observations[:2], columns=labels))
    for make in (
        lambda values, labels: pd.DataFrame(values, columns=labels),
        lambda values, labels: xr.DataArray(values, {"site": labels}, ("cycle", "site")),
    ):
        with pytest.raises(
            ValueError,
            match=r"observations are of the components \[36, 32, .*; right is the order of lorenz96, \[0, 4, ",
        ):
            assimilate(filter_, experiment, make(observations[:2, ::-1], sites[::-1]))


def test_observations_whose_second_axis_is_time_are_refused_even_if_they_are_square(twin):
    experiment, _, observations = twin
    filter_, values = make_classical("esrf", experiment, 1.0, 1.1), observations[: experiment.observation_size]
    with pytest.raises(ValueError, match=r"axes \('site', 'time'\); right are cycles, then observed components"):
        assimilate(filter_, experiment, xr.DataArray(values, dims=("site", "time")))


def test_masked_arrays_xarray_and_nan_say_the_same_of_what_is_missing(twin):
    experiment, _, observations = twin
    filter_ = make_classical("letkf", experiment, 1.0, 1.1, 4.0)
    gaps = np.random.default_rng(0).random(observations.shape) < 0.3
    gaps[5] = True
    holed = np.where(gaps, np.nan, observations)
    forms = (holed, np.ma.masked_array(np.where(gaps, 1e20, observations), gaps), xr.DataArray(holed))
    first, *others = (assimilate(filter_, experiment, form, members=10) for form in forms)
    assert bool(first["mean"].notnull().all())
    assert not first.identical(assimilate(filter_, experiment, observations, members=10))
    for other in others:
        xr.testing.assert_identical(first, other)


KINDS = {
    "list": np.ndarray.tolist,
    "long double": lambda array: array.astype(np.longdouble),
    "big-endian": lambda array: array.astype(">f8"),
    "Fortran order": np.asfortranarray,
    "negative strides": lambda array: array[::-1, ::-1].copy()[::-1, ::-1],
    "read only": lambda array: np.frombuffer(array.tobytes(), array.dtype).reshape(array.shape),
    "masked array": np.ma.asarray,
    "DataFrame": pd.DataFrame,
    "DataFrame with NA": lambda array: pd.DataFrame(array).convert_dtypes(),
    "DataArray": xr.DataArray,
    "tensor": torch.from_numpy,
    "tensor with gradient": lambda array: torch.from_numpy(array).requires_grad_(),
    "sparse tensor": lambda array: torch.from_numpy(array).to_sparse(),
}
ROUNDED = {
    "float16": np.float16,
    "float32": np.float32,
    "int8": np.int8,
    "int64": np.int64,
    "float32 tensor": torch.float32,
    "bfloat16 tensor": torch.bfloat16,
    "int32 tensor": torch.int32,
}


@pytest.mark.parametrize("kind", KINDS)
def test_observations_and_first_ensembles_of_every_kind_say_the_same(twin, kind):
    experiment, _, observations = twin
    filter_ = make_classical("esrf", experiment, 1.0, 1.1)
    few, first = observations[:5], climatological_states(experiment, 8)
    expected = assimilate(filter_, experiment, few, first_ensemble=first)
    make = KINDS[kind]
    xr.testing.assert_identical(assimilate(filter_, experiment, make(few), first_ensemble=make(first)), expected)


@pytest.mark.parametrize("kind", ROUNDED)
def test_numbers_of_another_precision_are_those_that_they_are_in_double_precision(twin, kind):
    experiment, _, observations = twin
    filter_, dtype = make_classical("esrf", experiment, 1.0, 1.1), ROUNDED[kind]
    if isinstance(dtype, torch.dtype):
        given = torch.from_numpy(observations[:5]).to(dtype)
        exact = given.double().numpy()
    else:
        given = observations[:5].astype(dtype)
        exact = given.astype(float)
    xr.testing.assert_identical(assimilate(filter_, experiment, given), assimilate(filter_, experiment, exact))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda array: array.astype(str), TypeError, "of real numbers, not of type <U"),
        (lambda array: pd.DataFrame(array).astype(str), TypeError, "of real numbers, not of type object"),
        (lambda array: array + 1j, TypeError, "of real numbers, not of type complex"),
        (lambda array: torch.from_numpy(array + 1j), TypeError, "of real numbers, not of type complex"),
        (lambda array: array > 0, TypeError, "of real numbers, not of type bool"),
        (lambda array: array.astype("M8[s]"), TypeError, "of real numbers, not of type datetime64"),
        (lambda array: array.astype(object), TypeError, "of real numbers, not of type object"),
        (lambda array: [[1.0, 2.0], [3.0]], TypeError, "of real numbers, not list"),
        (lambda array: xr.Dataset({"y": (("cycle", "site"), array)}), TypeError, "of real numbers, not Dataset"),
        (lambda array: array[None], ValueError, "not of shape"),
        (lambda array: [], ValueError, "not of shape"),
    ],
)
def test_what_is_no_array_of_real_numbers_is_refused_by_the_name_of_the_argument(twin, make, error, message):
    experiment, _, observations = twin
    filter_, first = make_classical("esrf", experiment, 1.0, 1.1), climatological_states(experiment, 8)
    with pytest.raises(error, match=f"^observations must be .*{message}"):
        assimilate(filter_, experiment, make(observations))
    with pytest.raises(error, match=f"^first_ensemble must be .*{message}"):
        assimilate(filter_, experiment, observations, first_ensemble=make(first))


def changed(first, value):
    return np.where(np.arange(len(first))[:, None] == 3, value, first)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda first: changed(first, np.nan), "member 3 of 0 to 7 has missing or infinite values"),
        (lambda first: changed(first, np.inf), "member 3 of 0 to 7 has missing or infinite values"),
        (lambda first: np.ma.masked_array(first, changed(first, 0) == 0), "member 3 of 0 to 7 has missing"),
        (lambda first: first[:1], "first_ensemble must have at least 2 members, not 1"),
        (lambda first: first[:, :9], "has 40 components, but the first ensemble has 9"),
    ],
)
def test_a_first_ensemble_without_enough_numbers_is_refused(twin, make, message):
    experiment, _, observations = twin
    first = climatological_states(experiment, 8)
    with pytest.raises(ValueError, match=message):
        assimilate(make_classical("esrf", experiment, 1.0, 1.1), experiment, observations, first_ensemble=make(first))


def test_no_cycles_are_refused_and_cycles_without_any_observation_are_forecasts(twin):
    experiment, _, observations = twin
    filter_ = make_classical("esrf", experiment, 1.0, 1.1)
    with pytest.raises(ValueError, match="observations have no cycles"):
        assimilate(filter_, experiment, observations[:0])
    nothing = np.full_like(observations[:1], np.nan)
    first = climatological_states(experiment, 8)
    result = assimilate(filter_, experiment, nothing, first_ensemble=first)
    forecast = experiment.propagate(torch.from_numpy(first).double()).mean(0)
    np.testing.assert_allclose(result["mean"][0], forecast, rtol=1e-12)


@pytest.mark.parametrize("members", [-3, 0, 1, 2.5, 10.0, "10", True, None])
def test_members_that_are_no_number_of_members_are_named(twin, members):
    experiment, _, observations = twin
    with pytest.raises(ValueError, match=r"^members must be a whole number of at least 2, not "):
        assimilate(make_classical("esrf", experiment, 1.0, 1.1), experiment, observations, members=members)


@pytest.mark.parametrize("seed", [-1, 2.5, "1", None])
def test_a_seed_that_is_none_is_named(twin, seed):
    experiment, _, observations = twin
    with pytest.raises(ValueError, match=r"^seed must be a whole number of at least 0, not "):
        assimilate(make_classical("esrf", experiment, 1.0, 1.1), experiment, observations, seed=seed)


def test_arguments_in_another_order_are_named(twin):
    experiment, _, observations = twin
    filter_ = make_classical("esrf", experiment, 1.0, 1.1)
    with pytest.raises(TypeError, match="filter_ must be of the class Filter, not Experiment"):
        assimilate(experiment, filter_, observations)
    with pytest.raises(TypeError, match="experiment must be of the class Experiment, not Lorenz96"):
        assimilate(filter_, experiment.system, observations)
    with pytest.raises(TypeError, match="filter_ must be of the class Filter, not str"):
        assimilate("esrf", experiment, observations)


def test_a_first_ensemble_without_spread_is_a_warning(twin):
    experiment, _, observations = twin
    filter_, first = make_classical("esrf", experiment, 1.0, 1.1), climatological_states(experiment, 8)
    with pytest.warns(UserWarning, match="first_ensemble has no spread: its 8 members are the same state"):
        assimilate(filter_, experiment, observations[:3], first_ensemble=np.repeat(first[:1], 8, 0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assimilate(filter_, experiment, observations[:3], first_ensemble=first)


def test_a_filter_that_diverges_is_a_warning_and_a_cycle_in_the_result(twin):
    experiment, _, observations = twin
    filter_, huge = make_classical("esrf", experiment, 1.0, 1.1), observations[:10].copy()
    assert int(assimilate(filter_, experiment, huge)["diverged_at"]) == -1
    huge[3] = 1e200
    with pytest.warns(UserWarning, match="esrf diverged at cycle [0-9]+ of 10"):
        result = assimilate(filter_, experiment, huge)
    lost = result["cycle"] >= result["diverged_at"]
    assert int(result["diverged_at"]) >= 4
    assert bool((result["mean"].isnull().any("state") == lost).all())


@pytest.fixture(scope="module")
def others(twin):
    """Experiments that differ from the one that filters are made for, by what an error names."""
    experiment = twin[0]

    def changed(**parts):
        return Experiment.from_description({**experiment.description, **parts})

    return {
        "system": load_experiment("ks"),
        "state_size": experiment.with_system({"state_size": 80}),
        "observed": changed(observation={"components": list(range(1, 40, 4))}),
        "observation.function": changed(observation={"every": 4, "function": "arctan"}),
        "cycle_length": experiment.with_system({"step_size": 0.05}),
    }


@pytest.mark.parametrize("method", ["mnmef_conv", "mnmef", "letkf", "enkf_localized", "var3d"])
def test_a_filter_made_for_one_experiment_is_refused_on_another_before_it_computes(twin, others, root, method):
    experiment = twin[0]
    if method.startswith("mnmef"):
        filter_ = load_checkpoint(root / f"resources/weights/lorenz96_1.0/{method}_pretrained.safetensors")
    else:
        filter_ = make_classical(method, experiment, 1.0, 1.0, None if method == "var3d" else 4.0)
    for name, other in others.items():
        other.propagate = None
        with pytest.raises(
            ValueError, match=f"was made for lorenz96, {name} = .*, not .*; make it for this experiment"
        ):
            assimilate(filter_, other, np.zeros((3, other.observation_size)))
    # Another forcing is a change of the model, which a filter may meet.
    assimilate(filter_, experiment.with_system({"forcing": 9.0}), twin[2][:3])


def test_weights_fine_tuned_for_another_number_of_members_are_a_warning(twin, root):
    experiment, _, observations = twin
    folder = root / "resources/weights/lorenz96_1.0"
    tuned = load_checkpoint(folder / "mnmef_finetuned_20.safetensors")
    with pytest.warns(UserWarning, match="mnmef were fine-tuned for 20 members, but the ensemble has 10"):
        assimilate(tuned, experiment, observations[:3], members=10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assimilate(tuned, experiment, observations[:3], members=20)
        pretrained = load_checkpoint(folder / "mnmef_pretrained.safetensors")
        assimilate(pretrained, experiment, observations[:3], members=20)


@pytest.mark.parametrize(
    ("save", "part"), [("member", "member"), (["members", 3], 3), (None, None), (True, True)], ids=str
)
def test_a_part_to_save_that_is_none_is_named(twin, save, part):
    experiment, _, observations = twin
    with pytest.raises(ValueError, match=f"unknown part to save '{part}'"):
        assimilate(make_classical("esrf", experiment, 1.0, 1.1), experiment, observations, save=save)


@pytest.mark.parametrize("method", ["esrf", "letkf", "ienks"])
@pytest.mark.parametrize("is_checked", [False, True])
def test_a_filter_with_several_settings_is_refused(twin, method, is_checked):
    experiment, _, observations = twin
    filter_ = make_classical(method, experiment, 1.0, [1.1, 1.2], 4.0 if method == "letkf" else None)
    with pytest.raises(ValueError, match=f"{method} has arrays of inflations or radii; right is one of each"):
        assimilate(GrossErrorCheck(filter_, 5.0) if is_checked else filter_, experiment, observations)


def test_what_is_no_filter_or_no_options_is_named(twin):
    with pytest.raises(TypeError, match="inner must be of the class Filter, not str"):
        GrossErrorCheck("esrf", 5.0)
    with pytest.raises(TypeError, match="options must be of the class Options, not dict"):
        make_classical("esrf", twin[0], 1.0, 1.1, options={"rotation": True})
    with pytest.raises(ValueError, match="seed must be a whole number of at least 0, not None"):
        Options(seed=None)
    with pytest.raises(ValueError, match="sigma_y must be a positive, finite number, not '1'"):
        load("lorenz96", sigma_y="1")


def test_innovations_are_those_of_an_ensemble_and_of_a_known_sigma(twin):
    experiment, _, observations = twin
    given = {"members": 6, "save": "innovations"}
    for method in ("particle", "var3d"):
        with pytest.raises(ValueError, match="innovations need a forecast ensemble of equal weights"):
            assimilate(make_classical(method, experiment, 1.0, 1.0), experiment, observations, **given)
    relaxed = make_classical("esrf", experiment, 1.0, 1.0, options=Options(prior_spread=0.5))
    # Without inflation six members lose the truth sooner or later.
    assert bool(assimilate(relaxed, experiment, observations[:20], **given)["innovation"].notnull().all())
    with pytest.raises(ValueError, match="sigma_y of lost, which innovations need, must be a positive"):
        assimilate(Lost(), experiment, observations, **given)


class Lost(Filter):
    """A filter that diverges where an observation is missing."""

    name = "lost"

    def analyze(self, forecast, observation, experiment, noise=None):
        return forecast + observation.nansum() * torch.inf if observation.isnan().any() else forecast


def test_members_of_a_filter_that_diverged_are_lost_from_there_on(twin):
    experiment, _, observations = twin
    holed = observations[:9].copy()
    holed[4, 0] = np.nan
    first = climatological_states(experiment, 4)
    with pytest.warns(UserWarning, match="diverged at cycle 12 of 16"):
        result = assimilate(Lost(), experiment, holed, first_ensemble=first, first_cycle=7, save="members")
    assert result["diverged_at"] == 12
    assert bool(result["members"][:4].notnull().all())
    assert bool(result["members"][4:].isnull().all())
    assert bool(result["last_ensemble"].isnull().all())


def test_the_code_of_the_documentation_runs_and_restarts(root, tmp_path, monkeypatch, capsys):
    experiment = load_experiment("lorenz96")
    rng = np.random.default_rng(8)
    truth = simulate_truth(experiment, 1, 400, rng)[0, 1:]
    observations = truth[:, list(experiment.observed)] + rng.standard_normal((400, experiment.observation_size))
    monkeypatch.chdir(tmp_path)
    xr.Dataset({"temperature": (("time", "site"), observations)}).to_netcdf("observations.nc")
    names = {}
    for block in re.findall(r"```python\n(.*?)```", (root / "docs" / "assimilate.md").read_text(), re.DOTALL):
        exec(block, names)
    whole = assimilate(names["letkf"], experiment, observations, members=20)
    np.testing.assert_array_equal(whole["mean"][200:], names["second"]["mean"])
    assert "chi-square per degree of freedom" in capsys.readouterr().out
    assert (tmp_path / "innovations.png").stat().st_size > 0
