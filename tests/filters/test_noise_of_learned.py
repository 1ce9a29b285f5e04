"""Learned filters whose networks see the noise take its covariance from the experiment."""

import copy

import numpy as np
import pytest
import torch

from mnmef.experiments.description import describe
from mnmef.experiments.experiment import Experiment
from mnmef.filters.learned import initial_filter

FILTERS = {
    "mnmef_local": (describe("lorenz96"), {"channels": 6, "layers": 2}),
    "mnmef_members": ({**describe("lorenz63"), "observation": {"every": 1}}, {"width": 7}),
}
"""Description of an experiment and options of a small network, by filter."""


@pytest.mark.parametrize("kind", ["by component", "full"])
@pytest.mark.parametrize("name", FILTERS)
def test_a_covariance_of_the_noise_is_that_of_observations_in_units_of_it(name, kind):
    description, model = FILTERS[name]
    plain = Experiment.from_description(description)
    size, rng = plain.observation_size, np.random.default_rng(0)
    deviations, root = np.linspace(0.5, 2.0, size), np.linalg.qr(rng.standard_normal((size, size)))[0]
    noise, whitener = {
        "by component": (deviations, np.diag(1 / deviations)),
        "full": ((root * deviations**2) @ root.T, (root / deviations) @ root.T),
    }[kind]
    whitener = torch.from_numpy(whitener)
    told = Experiment.from_description(
        {**description, "observation": description["observation"] | {"noise": noise.tolist()}}
    )
    scaled = copy.copy(plain)
    scaled.observe = lambda state: plain.observe(state) @ whitener
    filter_ = initial_filter(plain, 1.3, model, 0, name=name).double()
    forecast = torch.from_numpy(3 + rng.standard_normal((2, 6, plain.state_size)))
    observation = torch.from_numpy(3 + rng.standard_normal((2, size)))
    in_units = observation @ whitener
    if kind == "by component":
        observation[0, 1], in_units[0, 1] = torch.nan, torch.nan
    with torch.no_grad():
        for parameter in filter_.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
        found = filter_.analyze(forecast, observation, told)
        torch.testing.assert_close(found, filter_.analyze(forecast, in_units, scaled))
        assert not torch.allclose(found, filter_.analyze(forecast, observation, plain))
