"""`mnmef assimilate`: a file of observations in, a file of analyses out."""

import numpy as np
import pytest
import xarray as xr

import mnmef
from mnmef import assimilate, load_experiment
from mnmef.__main__ import main
from mnmef.data.twin import simulate_split
from mnmef.experiments.experiment import Experiment
from mnmef.filters.mnmef import Mnmef, ModelOptions
from mnmef.learning.apply import assimilate_in_pieces
from mnmef.learning.shipped import SHIPPED_WEIGHTS

CYCLES = 30
OTHER = SHIPPED_WEIGHTS / "lorenz63_1.0" / "mnmef_pretrained.safetensors"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with observations of Lorenz '63 in it, whole and in two parts."""
    split = simulate_split(mnmef.load_experiment("lorenz63"), "test", 1, CYCLES, [0.7], 10, 1)
    observations = split["observation"][0, 0].to_dataset(name="y").assign_attrs(experiment="lorenz63")
    observations["y"][5] = np.nan
    observations.to_netcdf(tmp_path / "obs.nc")
    observations[{"cycle": slice(12)}].to_netcdf(tmp_path / "first.nc")
    observations[{"cycle": slice(12, None)}].to_netcdf(tmp_path / "second.nc")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_file_has_the_bits_of_one_call(folder, capsys):
    assert main(["assimilate", "obs.nc", "--save", "members", "innovations"]) == 0
    observations = xr.load_dataset("obs.nc")["y"]
    filter_ = mnmef.load("lorenz63", sigma_y=0.7, ensemble_size=10)
    known = mnmef.assimilate(filter_, filter_.experiment, observations, save=["members", "innovations"])
    found = xr.load_dataset("analysis.nc")
    for name in known:
        xr.testing.assert_equal(found[name], known[name])
    assert "sigma_y = 0.7, 10 members" in capsys.readouterr().out


def test_a_later_call_goes_on_from_the_last_ensemble_bit_by_bit(folder):
    assert main(["assimilate", "obs.nc"]) == 0
    assert main(["assimilate", "first.nc", "--out", "one.nc"]) == 0
    assert main(["assimilate", "second.nc", "--after", "one.nc", "--out", "two.nc"]) == 0
    whole, end = xr.load_dataset("analysis.nc"), xr.load_dataset("two.nc")
    xr.testing.assert_equal(end["mean"], whole["mean"][12:])
    xr.testing.assert_equal(end["last_ensemble"], whole["last_ensemble"])


def test_a_random_model_goes_on_with_what_it_has_not_drawn_yet():
    noisy = load_experiment("lorenz63").description | {"process_noise": {"per_cycle": 0.1}}
    filter_ = Mnmef(Experiment.from_description(noisy), 1.0, ModelOptions(feature_size=8, width=8, heads=2, seeds=2))
    values = xr.DataArray(np.random.default_rng(3).standard_normal((50, filter_.experiment.observation_size)))
    whole = assimilate(filter_, filter_.experiment, values)
    half = assimilate_in_pieces(filter_, values[:30])
    xr.testing.assert_identical(
        assimilate_in_pieces(filter_, values[30:], half)["last_ensemble"], whole["last_ensemble"]
    )


def test_sigma_y_is_that_of_the_file_in_any_precision_else_1(folder, capsys):
    observations = xr.load_dataset("obs.nc").drop_vars("sigma_y")
    for given, said in (({}, 1), ({"sigma_y": np.float32(0.7)}, 0.7)):
        observations.assign(given).to_netcdf("other.nc")
        assert main(["assimilate", "other.nc"]) == 0
        assert f"sigma_y = {said}, 10 members" in capsys.readouterr().out


def test_a_later_call_has_the_members_and_so_the_weights_of_the_earlier_one(folder, capsys):
    for parts in (["obs.nc", "--out", "whole.nc"], ["first.nc", "--out", "one.nc"]):
        assert main(["assimilate", *parts, "--filter", "mnmef", "--members", "20"]) == 0
    assert main(["assimilate", "second.nc", "--filter", "mnmef", "--after", "one.nc", "--out", "two.nc"]) == 0
    assert "20 members" in capsys.readouterr().out.splitlines()[-2]
    xr.testing.assert_equal(xr.load_dataset("two.nc")["last_ensemble"], xr.load_dataset("whole.nc")["last_ensemble"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.nc"], "there is no file none.nc"),
        (["text.nc"], "text.nc is not a readable NetCDF file"),
        (["obs.nc", "--variable", "z"], "unknown variable of obs.nc 'z'. Known: y."),
        (["obs.nc", "--experiment", "lorenz69"], "Did you mean 'lorenz96'?"),
        (["obs.nc", "--experiment", "lorenz96", "--sigma-y", "1"], "10 observed components, but observations have 1"),
        (["two.nc"], "two.nc has the variables y, a: name one by --variable"),
        (["plain.nc"], "does not say of which experiment it is: write --experiment, one of kolmogorov, ks, ks_full"),
        (["cube.nc"], "has the axes ('i', 'j', 'k'); right are two"),
        (["obs.nc", "--after", "plain.nc"], "--after plain.nc has no last_ensemble; right is a file that `mnmef assim"),
        (["obs.nc", "--after", "other.nc"], "other.nc is a run of the experiment ks, not of lorenz63"),
        (["obs.nc", "--after", "text.nc"], "text.nc is not a readable NetCDF file"),
        (["obs.nc", "--sigma-y", "0"], "--sigma-y must be a positive, finite number, not 0.0"),
        (["site.nc"], "sigma_y of site.nc must be a positive, finite number, not [0.7, 0.7]"),
        (["units.nc"], "sigma_y of units.nc must be a positive, finite number, not '0.7 K'"),
        (["obs.nc", "--weights", str(OTHER)], "was trained with sigma_y = 1.0, but 0.7 is asked for"),
        (["number.nc"], "unknown experiment of the weights that come with mnmef '3'"),
        (["obs.nc", "--experiment", "lake.yaml"], "there is no file lake.yaml"),
        (["obs.nc", "--experiment", "own.yaml"], "own.yaml has no shipped weights: name those of `mnmef fit` by --we"),
        (["missing.nc"], "y of missing.nc has no value at all"),
        (["back.nc"], "after the time 29 comes 28; right are times that are one cycle apart"),
        (["obs.nc", "--out", "."], "--out . is a folder or the file of the observations"),
        (["obs.nc", "--out", "./obs.nc"], "--out obs.nc is a folder or the file of the observations"),
        (["obs.nc", "--out", "text.nc/analysis.nc"], "--out text.nc cannot be written"),
        (["obs.nc", "--members", "1"], "members must be a whole number of at least 2, not 1"),
    ],
)
def test_a_mistake_is_named_and_nothing_is_written(folder, capsys, arguments, said):
    (folder / "text.nc").write_text("no file of observations")
    observations = xr.load_dataset("obs.nc")
    observations.assign(a=observations["y"]).to_netcdf("two.nc")
    observations.drop_attrs().to_netcdf("plain.nc")
    xr.Dataset({"y": (("i", "j", "k"), np.zeros((2, 2, 2)))}).to_netcdf("cube.nc")
    observations.drop_vars("sigma_y").assign(sigma_y=("site", [0.7, 0.7])).to_netcdf("site.nc")
    observations.drop_vars("sigma_y").assign_attrs(sigma_y="0.7 K").to_netcdf("units.nc")
    observations.assign_attrs(experiment=3).to_netcdf("number.nc")
    (folder / "own.yaml").write_text("title: Own")
    observations.assign(y=np.nan * observations["y"]).to_netcdf("missing.nc")
    observations.assign_coords(cycle=np.arange(CYCLES)[::-1]).to_netcdf("back.nc")
    last = xr.Dataset({"last_ensemble": (("member", "state"), np.zeros((10, 128)))}, {"cycle": [1]})
    last.assign_attrs(experiment="ks").to_netcdf("other.nc")
    assert main(["assimilate", *arguments]) == 1
    assert said in capsys.readouterr().err
    assert not (folder / "analysis.nc").exists()
