"""The learned inflation, on and off."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mnmef.io.files import provenance, write_dataset
from mnmef.report.claims import CLAIMS, ScoredRun
from mnmef.report.verdicts import HOLDS
from mnmef.scores.scoring import ABLATION_KEYS, inflation_scores, summarize


@pytest.fixture
def runs(tmp_path):
    """Two evaluations, of which that without inflation has twice the error and loses a trajectory."""
    paths = []
    for state in (False, True):
        error = np.full((2, 6, 5), 1.0 if state else 2.0) * np.linspace(1.0, 1.2, 6)[:, None]
        if not state:
            error[1, 3] = np.nan
        dims = ("ensemble_size", "trajectory", "cycle")
        dataset = xr.Dataset(
            {"error_norm": (dims, error), "truth_norm": (dims, np.full_like(error, 4.0))},
            coords={"ensemble_size": [5, 10]},
            attrs={"experiment": "ks", "sigma_y": "1.0", "method": "mnmef_finetuned"},
        )
        paths.append(tmp_path / f"{state}.nc")
        settings = {"model": {"inflation": state}}
        write_dataset(dataset, paths[-1], provenance=provenance("evaluation", settings, 0))
    return paths


def test_an_evaluation_says_itself_whether_it_inflates(runs):
    scores = inflation_scores(runs)
    assert len(scores) == 2 * 2 * 6
    first = scores[scores["trajectory"] == 0].set_index(["ensemble_size", "inflation"])["rrmse"]
    assert first[5, True] == pytest.approx(0.25)
    assert first[5, False] == pytest.approx(0.5)


def test_the_summary_counts_what_diverged(runs):
    summary = summarize(inflation_scores(runs), ABLATION_KEYS, seed=0).set_index(["ensemble_size", "inflation"])
    assert summary["n_diverged"].to_dict() == {(5, False): 0, (5, True): 0, (10, False): 1, (10, True): 0}
    assert summary.loc[(5, True), "rrmse"] == pytest.approx(0.25 * 1.1)
    assert (summary["rrmse_low"] < summary["rrmse"]).all()


def test_the_claim_is_judged_in_pairs(runs):
    scores = inflation_scores(runs)
    published = scores.head(0).drop(columns="inflation").assign(variant="")
    studies = {"figure_9": scores, "published_figure_9": published}
    [claim] = [claim for claim in CLAIMS if claim.table == "figure_9"]
    judgement = claim.judge(ScoredRun(*[pd.DataFrame()] * 3, seed=0, training_size=10, studies=studies))
    assert judgement.verdict == HOLDS
    assert judgement.ours == pytest.approx(0.5)
    assert judgement.n_cells == 2
