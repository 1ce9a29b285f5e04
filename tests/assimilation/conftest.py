"""A twin experiment that the tests of assimilation share."""

import numpy as np
import pytest

from mnmef.data.twin import simulate_truth
from mnmef.experiments.load import load_experiment

CYCLES = 60


@pytest.fixture(scope="module")
def twin():
    experiment = load_experiment("lorenz96")
    rng = np.random.default_rng(5)
    truth = simulate_truth(experiment, 1, CYCLES, rng)[0, 1:]
    return (
        experiment,
        truth,
        truth[:, list(experiment.observed)] + rng.standard_normal((CYCLES, experiment.observation_size)),
    )
