"""Analyses from a file are scored as those of our filters are, or refused by name."""

import re

import numpy as np
import pytest
import torch
import xarray as xr

from mnmef.assimilation.twin import run_on_twin
from mnmef.data.observations import DIGEST, observations_digest, without_truths
from mnmef.data.twin import load_trial, simulate_split
from mnmef.evaluation.analyses import evaluate_analyses, grouped_headers, read_headers
from mnmef.evaluation.evaluate import EvaluationOptions, evaluate
from mnmef.experiments.load import load_experiment
from mnmef.filters.base import Filter
from mnmef.filters.classical import make_classical

SIZES = {"lorenz63": {"trajectories": 3, "cycles": 12}}
STRIDE = 2


class Lost(Filter):
    """ESRF that loses one trajectory for good at one cycle."""

    name = "lost"

    def __init__(self) -> None:
        self.inner, self.calls = make_classical("esrf", load_experiment("lorenz63"), 1.0, 1.04), -1

    def analyze(self, forecast, observation, experiment, noise=None):
        self.calls += 1
        analysis = self.inner.analyze(forecast, observation, experiment)
        analysis[1] = torch.nan if self.calls >= 7 else analysis[1]
        return analysis


@pytest.fixture(scope="module")
def split():
    return simulate_split(load_experiment("lorenz63"), "test", 3, 12, [1.0, 0.7], 6, seed=3)


@pytest.fixture(scope="module")
def members(split):
    """Analyses (trajectory, cycle, member, state) of ours."""
    kept = []
    data = load_trial(split, 1.0, 5, torch.float64)
    watch = lambda k, result, truth: kept.append(result.analysis.numpy().copy())  # noqa: E731
    run_on_twin(Lost(), load_experiment("lorenz63"), data, seed=0, stream="x", on_cycle=watch)
    return np.stack(kept, axis=1)


@pytest.fixture
def written(split, tmp_path):
    """A function that writes a file of analyses."""
    attributes = without_truths(split, 1.0).attrs | {"name": "theirs", "ensemble_size": 5}
    dims = {"mean": ("trajectory", "cycle", "state"), "members": ("trajectory", "cycle", "member", "state")}

    def write(arrays, file="theirs.nc", changed=()):
        attrs = {key: value for key, value in (attributes | dict(changed)).items() if value is not None}
        shapes = {key: dims.get(key, dims["mean"]) for key in arrays}
        xr.Dataset({key: (shapes[key], value) for key, value in arrays.items()}, attrs=attrs).to_netcdf(tmp_path / file)
        return tmp_path / file

    return write


def test_our_own_analyses_from_a_file_have_our_own_scores_bit_by_bit(split, members, written):
    usual = evaluate(
        {5: Lost()}, split, "lost", 1.0, EvaluationOptions(0, calibration_stride=STRIDE), dtype=torch.float64
    )
    found = evaluate_analyses(split, read_headers([written({"members": members})]), STRIDE)
    given = ["error_norm", "spread", "diverged_at", "crps", "energy_score", "coverage", "rmse_observed", "rank_count"]
    for name in given:
        np.testing.assert_array_equal(found[name], usual[name], err_msg=name)
    np.testing.assert_array_equal(found["truth_norm"].values[0, [0, 2]], usual["truth_norm"].values[0, [0, 2]])
    assert found["diverged_at"].values.tolist() == [[-1, 7, -1]]
    assert (found.attrs["method"], found.attrs["sigma_y"]) == ("theirs", "1.0")
    both = {"mean": members.mean(2), "deviation": members.std(2, ddof=1)}
    moments = evaluate_analyses(split, read_headers([written(both)]), STRIDE)
    np.testing.assert_allclose(moments["error_norm"], usual["error_norm"], rtol=1e-6)
    np.testing.assert_allclose(moments["spread"], usual["spread"], rtol=1e-6)
    alone = evaluate_analyses(split, read_headers([written({"mean": members.mean(2)})]), STRIDE)
    assert bool(alone["spread"].isnull().all())
    assert "crps" not in alone


def test_files_of_several_sizes_make_one_evaluation(split, members, written):
    mean = {"mean": members.mean(2)}
    paths = [
        written(mean, "b.nc", {"ensemble_size": 10}),
        written({"mean": 2 * mean["mean"]}, "a.nc", {"ensemble_size": 1}),
    ]
    (headers,) = grouped_headers(paths, SIZES, [1.0]).values()
    found = evaluate_analyses(split, headers)
    assert found["ensemble_size"].values.tolist() == [1, 10]
    assert float(found["error_norm"][0, 0, 0]) > float(found["error_norm"][1, 0, 0])
    with pytest.raises(ValueError, match=r"a\.nc and .*b\.nc have the same experiment, sigma_y, name"):
        read_headers([paths[0], written(mean, "a.nc", {"ensemble_size": 10})])


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"name": None}, "attribute name is missing; right is a name of letters"),
        ({"name": "my-filter"}, "attribute name is 'my-filter'; right is a name of letters"),
        ({"name": "letkf"}, "attribute name is 'letkf', a filter of this project; right is another name"),
        ({"experiment": "lorenz"}, "unknown experiment of this run 'lorenz'. Did you mean 'lorenz63'?"),
        ({"sigma_y": 0.9}, "unknown sigma_y of this run '0.9'"),
        ({"sigma_y": "high"}, "attribute sigma_y is 'high'; right is the noise level"),
        ({"split": "tune"}, "attribute split is 'tune'; right is 'test'"),
        ({"ensemble_size": 2.5}, "attribute ensemble_size is "),
        ({DIGEST: None}, "attribute observations_sha256 is missing; right is the attribute of this name"),
    ],
)
def test_a_wrong_attribute_is_named_with_what_is_right(members, written, changed, said):
    with pytest.raises(ValueError, match=re.escape(said)) as caught:
        grouped_headers([written({"mean": members.mean(2)}, changed=changed)], SIZES, [1.0])
    assert "theirs.nc" in str(caught.value)


def test_a_wrong_variable_is_named_with_what_is_right(split, members, written, tmp_path):
    mean, spoilt = members.mean(2), members.mean(2)
    spoilt[2, 4, 0] = np.inf
    for arrays, said in (
        ({}, "has the variables none of mean, deviation, members; right are mean, mean and deviation, or members"),
        ({"mean": mean, "members": members}, "has the variables mean, members of"),
        ({"mean": mean.astype(str)}, "; right are real numbers"),
        ({"mean": mean[:2]}, "variable mean has 2 of dimension trajectory; right is 3"),
        ({"mean": mean[:, :, :2]}, "variable mean has 2 of dimension state; right is 3"),
        ({"members": members[:, :, :4]}, "attribute ensemble_size is 5; right is 4, the size of dimension member"),
        ({"mean": spoilt}, "variable mean is inf in trajectory 2, cycle 4; right is a number, or NaN"),
        ({"mean": mean, "deviation": -abs(mean)}, "in trajectory 0, cycle 0; right is a number of at least 0"),
    ):
        with pytest.raises(ValueError, match=re.escape(said)):
            evaluate_analyses(split, *grouped_headers([written(arrays)], SIZES, [1.0]).values())
    path = written({"mean": mean})
    xr.load_dataset(path).rename(state="x").to_netcdf(tmp_path / "other.nc")
    with pytest.raises(ValueError, match=r"other\.nc: variable mean has the dimensions \('trajectory', 'cycle', 'x'\)"):
        read_headers([tmp_path / "other.nc"])
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(ValueError, match=r"theirs\.nc is not a readable NetCDF file"):
        read_headers([path])
    with pytest.raises(FileNotFoundError, match=r"there is no file none\.nc of analyses"):
        read_headers(["none.nc"])


def test_the_digest_sees_each_number_and_what_is_missing_and_files_of_other_observations_are_refused(
    split, members, written
):
    observation = split["observation"].values[0].copy()
    digest = observations_digest(observation)
    assert digest == observations_digest(observation.astype(np.float64))
    observation[0, 0, 0] = np.nan
    missing = observations_digest(observation)
    assert len({digest, missing, observations_digest(observation[:, ::-1]), observations_digest(observation[:2])}) == 4
    observation.view(np.uint32)[0, 0, 0] ^= 1  # another NaN
    assert observations_digest(observation) == missing
    path = written({"mean": members.mean(2)}, changed={DIGEST: missing})
    with pytest.raises(ValueError, match=f"attribute observations_sha256 is {missing}; right is {digest}"):
        evaluate_analyses(split, read_headers([path]))


def test_observations_without_truths_are_what_a_filter_may_know(split):
    given = without_truths(split, 0.7)
    assert set(given.data_vars) == {"observation", "first_ensemble"}
    np.testing.assert_array_equal(given["observation"], split["observation"][1])
    assert (given.attrs["experiment"], given.attrs["sigma_y"], given.attrs["split"]) == ("lorenz63", 0.7, "test")
    assert given.attrs[DIGEST] == observations_digest(split["observation"].values[1])
