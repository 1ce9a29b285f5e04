"""What a user gives to the workflow: weights, analyses of another program, and observations without a truth.

The tests share one folder of the user's beside a copy of the repository.
"""

import re
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

from mnmef.assimilation.assimilate import assimilate
from mnmef.assimilation.cycling import noise_source, run_filter
from mnmef.data.twin import simulate_truth
from mnmef.experiments.load import load_experiment
from mnmef.filters.classical import make_classical
from mnmef.learning.checkpoints import load_checkpoint
from tests.lake import EXPERIMENT as LAKE
from tests.lake import MODEL

CONV = "resources/weights/lorenz96_1.0/mnmef_conv_pretrained.safetensors"
SCORES = ("results/quick/scores.csv", "results/quick/figures/curves_lorenz96.png")
EXPERIMENT = load_experiment("lorenz96")


@pytest.fixture(scope="module")
def run(tmp_path_factory, copy_sources, snakemake):
    """A function that runs Snakemake in the user's folder, and says what it said."""
    place = tmp_path_factory.mktemp("given")
    tree, folder = copy_sources(place / "tree"), place / "mine"
    folder.mkdir()
    shutil.copy(tree / CONV, folder / "conv.safetensors")
    workflow = ("-s", str(tree / "Snakefile"), "--directory", ".", "--cores", "2")

    def start(*arguments, config=(), fails=False):
        done = snakemake(folder, *arguments, *workflow, "--config", "scale=quick", *config)
        assert (done.returncode != 0) == fails, done.stdout[-8000:]
        return done.stdout

    start.folder = folder
    return start


def planned(said):
    """The rules of the jobs of a dry run."""
    table = re.search(r"Job stats:(.*?)total", said, flags=re.DOTALL)
    return set(re.findall(r"^(\w+) +\d+$", table[1], flags=re.MULTILINE))


OURS = ("experiments=[lorenz96]", "baselines=[]", "learned=[]", "own_weights={lorenz96_1.0: conv.safetensors}")
BOTH = (*OURS, "analyses=[theirs.nc]")


@pytest.fixture(scope="module")
def analyses(run):
    """Analyses that the filter of the user's weights makes of the written observations."""
    run("observations", config=OURS)
    given = xr.load_dataset(run.folder / "results/quick/observations/lorenz96_1.0.nc")
    assert "truth" not in given
    filter_, kept = load_checkpoint(run.folder / "conv.safetensors"), []
    first, observation = (torch.from_numpy(given[key].values) for key in ("first_ensemble", "observation"))
    unknown = torch.full((*observation.shape[:2], 40), torch.nan)

    def keep(k, result, truth):
        kept.append(result.analysis.mean(1).numpy())

    draw = noise_source(2504, "mnmef_conv_own", 10, (len(first), 10, EXPERIMENT.observation_size))
    with torch.no_grad():
        run_filter(filter_, EXPERIMENT, first[:, :10], observation, unknown, draw, on_cycle=keep)
    theirs = xr.Dataset({"mean": (("trajectory", "cycle", "state"), np.stack(kept, 1))}, attrs=given.attrs)
    theirs.attrs.update(name="theirs", ensemble_size=10)
    theirs.to_netcdf(run.folder / "theirs.nc")
    return theirs


def test_own_weights_and_analyses_of_the_same_filter_have_the_same_scores_in_tables_pairs_and_curves(run, analyses):
    run(*SCORES, config=BOTH)
    scores = pd.read_csv(run.folder / SCORES[0]).set_index(["method", "ensemble_size"])
    assert set(scores.index) == {("mnmef_conv_own", 5), ("mnmef_conv_own", 10), ("theirs", 10)}
    numbers = ["rrmse", "rrmse_std", "rrmse_low", "rrmse_high", "n_trajectories", "n_diverged"]
    pd.testing.assert_series_equal(
        scores.loc[("theirs", 10), numbers], scores.loc[("mnmef_conv_own", 10), numbers], check_names=False
    )
    assert scores.loc[("theirs", 10), "rrmse"] < 0.4
    pairs = pd.read_csv(run.folder / "results/quick/improvements.csv").set_index(["method", "benchmark"])
    assert set(pairs.index) == {("mnmef_conv_own", "theirs"), ("theirs", "mnmef_conv_own")}
    assert pairs["improvement"].tolist() == [0.0, 0.0]
    assert (run.folder / SCORES[1]).read_bytes().startswith(b"\x89PNG")
    assert "Nothing to be done" in run(*SCORES, config=BOTH)
    (analyses + 0.1).assign_attrs(analyses.attrs).to_netcdf(run.folder / "theirs.nc")
    again = run(*SCORES, "--dry-run", config=BOTH)
    assert planned(again) == {"evaluate_analyses", "score_filters", "plot_curves"}


def test_what_does_not_fit_is_refused_before_any_job(run, analyses):
    analyses.isel(cycle=slice(50)).to_netcdf(run.folder / "short.nc")
    said = run("--dry-run", config=(*OURS, "analyses=[short.nc]"), fails=True)
    assert "short.nc: variable mean has 50 of dimension cycle; right is 100" in said
    said = run("--dry-run", config=("own_weights={ks_1.0: conv.safetensors}",), fails=True)
    assert "conv.safetensors was trained with experiment = 'lorenz96', but 'ks' is asked for" in said
    station = "{experiment: ks, observations: y.nc, weights: conv.safetensors}"
    said = run("--dry-run", config=(f"assimilations={{a: {station}}}",), fails=True)
    assert "Config key assimilations cannot be used" in said
    assert "experiment = 'lorenz96', but 'ks' is asked for" in said


def test_the_documented_observations_are_assimilated_as_from_python_and_a_restart_goes_on(root, run):
    page = (root / "docs" / "assimilate.md").read_text()
    (mine,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    rng = np.random.default_rng(8)
    truth = simulate_truth(EXPERIMENT, 1, 120, rng)[0, 1:]
    observations = truth[:, list(EXPERIMENT.observed)] + rng.standard_normal((120, EXPERIMENT.observation_size))
    observations[7, 3] = np.nan
    xr.Dataset({"temperature": (("time", "site"), observations[:70])}).to_netcdf(run.folder / "observations.nc")
    np.save(run.folder / "later.npy", observations[70:])
    results = run.folder / "results/quick/assimilation"
    more = """\
  later:
    experiment: lorenz96
    observations: later.npy
    filter: letkf
    sigma_y: 1.0
    inflation: 1.05
    localization_radius: 4.0
    restart: results/quick/assimilation/station.nc
"""
    for name, file, restart in (
        ("window", "observations.nc", ""),
        ("window_later", "later.npy", "restart: results/quick/assimilation/window.nc"),
    ):
        more += f"""\
  {name}:
    experiment: lorenz96
    observations: {file}
    filter: ienks
    sigma_y: 1.0
    inflation: 1.1
    lag: 3
    ensemble_size: 30
    {restart}
"""
    (run.folder / "mine.yaml").write_text(mine + more)
    run("assimilate", "--configfile", "mine.yaml")
    letkf = make_classical("letkf", EXPERIMENT, 1.0, 1.05, 4.0)
    whole = assimilate(letkf, EXPERIMENT, observations, members=20, save="innovations", seed=2504)
    parts = [xr.load_dataset(results / f"{name}.nc") for name in ("station", "later")]
    same = ["mean", "deviation", "innovation", "chi_square", "rank"]
    xr.testing.assert_equal(xr.concat([part[same] for part in parts], "cycle"), whole[same])
    ienks = make_classical("ienks", EXPERIMENT, 1.0, 1.1, lag=3)
    whole = assimilate(ienks, EXPERIMENT, observations, members=30, save="innovations", seed=2504)
    parts = [xr.load_dataset(results / f"{name}.nc") for name in ("window", "window_later")]
    xr.testing.assert_equal(xr.concat([part[same] for part in parts], "cycle"), whole[same])
    table = pd.read_csv(results / "station_innovations.csv").set_index("statistic")
    assert list(table.index) == ["mean", "variance", "chi_square"]
    assert (results / "station_innovations.png").read_bytes().startswith(b"\x89PNG")


def test_learned_filters_are_trained_on_the_users_own_truths_and_a_new_file_trains_anew(root, run):
    page = (root / "docs" / "own_truths.md").read_text()
    (keys,) = re.findall(r"```yaml\n(trajectories:.*?)```", page, re.DOTALL)
    (run.folder / "model.py").write_text(MODEL)
    (run.folder / "lake.yaml").write_text(LAKE.replace("baselines: [enkf]", "baselines: []") + keys)
    truths = simulate_truth(load_experiment("lorenz63"), 20, 199, np.random.default_rng(3))[..., :2]
    np.save(run.folder / "truths.npy", truths)
    config, target = ("experiments=[lake.yaml]",), "results/quick/evaluation/lake_1.0_mnmef_pretrained.nc"
    run(target, config=config)
    splits = {split: xr.load_dataset(run.folder / f"results/quick/data/lake_{split}.nc") for split in ("train", "test")}
    np.testing.assert_array_equal(splits["test"]["truth"], truths[:4, 1:151])
    np.testing.assert_array_equal(splits["train"]["truth"][:12], truths[8:, :41])
    assert xr.load_dataset(run.folder / target).sizes["trajectory"] == 4
    np.save(run.folder / "truths.npy", truths + 1)
    again = run(target, "--dry-run", config=config)
    assert planned(again) == {"simulate_data", "train_filter", "evaluate_learned"}
    np.save(run.folder / "truths.npy", truths[:, :, :1])
    assert "truths.npy are of shape (20, 200, 1)" in run(target, config=config, fails=True)
