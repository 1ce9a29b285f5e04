"""What the results page warns of."""

import numpy as np
import pytest
import xarray as xr

from mnmef.report.warnings import run_warnings, warnings_page

SIZES, TRAJECTORIES, CYCLES = [5, 10], 4, 40


@pytest.fixture
def evaluation(tmp_path):
    """A function that writes an evaluation of a filter with an error of 1, whose spread is the root of 3 times 0.5."""

    def write(spread=0.5, diverged=(), **attributes):
        shape, dims = (2, TRAJECTORIES, CYCLES), ("ensemble_size", "trajectory", "cycle")
        scores = {"error_norm": (dims, np.full(shape, 3**0.5)), "spread": (dims, np.full(shape, 1.0))}
        data = xr.Dataset(scores, {"ensemble_size": SIZES})
        data["spread"] *= xr.DataArray(np.broadcast_to(spread, 2), dims="ensemble_size")
        data["diverged_at"] = (dims[:2], np.full(shape[:2], -1))
        for size, trajectory in diverged:
            data["diverged_at"].loc[{"ensemble_size": size, "trajectory": trajectory}] = 7
            data["spread"].loc[{"ensemble_size": size, "trajectory": trajectory}] = np.nan
        name = {"kind": "evaluation", "method": "enkf", "experiment": "ks", "sigma_y": "1.0", "state_size": 3}
        data.assign_attrs(name | attributes).to_netcdf(tmp_path / "evaluation.nc")
        return [tmp_path / "evaluation.nc"]

    return write


def test_a_run_without_faults_has_no_warnings(evaluation):
    assert run_warnings(evaluation(), {}) == []
    assert warnings_page([]) == "# Warnings\n\nNone.\n"


def test_divergence_is_named_once_with_the_numbers_of_trajectories(evaluation):
    (said,) = run_warnings(evaluation(diverged=[(5, 0), (5, 2), (10, 1)]), {})
    assert said == (
        "enkf on ks, sigma_y = 1.0: diverged in 2 of 4 trajectories at N = 5, 1 of 4 trajectories at N = 10."
    )


@pytest.mark.parametrize(("spread", "sizes"), [(0.0, "5, 10"), ((0.5, 0.0099), "10"), ((0.0101, 0.5), None)])
def test_an_ensemble_without_spread_is_named(evaluation, spread, sizes):
    said = run_warnings(evaluation(spread=spread), {})
    assert [line.partition(" at N = ")[2] for line in said] == ([f"{sizes}."] if sizes else [])


def test_weights_beside_their_range_and_figures_left_out_are_named(evaluation):
    text = "weights trained at N = 10 are used at N = 5"
    said = run_warnings(evaluation(beside_range=text), {"figure_8": "an experiment with a grid"})
    assert said == [
        "enkf on ks, sigma_y = 1.0: " + text + ".",
        "figure_8 is left out: it needs an experiment with a grid.",
    ]
    assert warnings_page(said).count("\n- ") == 2
