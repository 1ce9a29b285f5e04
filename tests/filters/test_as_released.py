"""What the released code does, in numbers that need none of it: weights can be exchanged with it."""

import math

import pytest
import torch

from mnmef.experiments.load import load_experiment
from mnmef.filters.learned import make_learned
from mnmef.filters.networks import SetTransformer

DOUBLE = torch.float64


def waves(*shape, by=1.0, first=0):
    """Sines of successive multiples of `by`, row by row."""
    return torch.sin(by * torch.arange(first, first + math.prod(shape), dtype=DOUBLE)).view(shape)


def filter_with_known_weights(experiment):
    """The paper's filter, each parameter filled with 0.1 sin(k), k going on from one to the next.

    Factors of normalizations are larger by one, seeds ten times as large; the frozen query stays the identity.
    """
    filter_, first = make_learned("mnmef", experiment, 0.7).double(), 0
    with torch.no_grad():
        for name, parameter in filter_.named_parameters():
            size = 1.0 if name == "encoders.0.seeds" else 0.1
            parameter.copy_(float(name.endswith("norm.weight")) + size * waves(*parameter.shape, first=first))
            first += parameter.numel()
        frozen = filter_.encoders[0].pool.projection
        frozen.weight[:64], frozen.bias[:64] = torch.eye(64), 0.0
    return filter_


@pytest.mark.parametrize(
    ("name", "golden"),
    [
        ("lorenz63", (2.429055687283305, 3.4967129676077455, 0.42993323873372713, 2.0021450610066984)),
        ("lorenz96", (2.1898407609262582, 0.5055709062749048, -0.04975578042977391, 1.8353885727761146)),
        ("ks", (-3.9422692894521276, -2.1950755037006866, 4.814218166105823, 2.223870716415441)),
    ],
)
def test_the_analysis_for_known_weights_and_inputs_stays_what_it_was_when_it_agreed_with_the_released_code(
    name, golden
):
    experiment = load_experiment(name)
    forecast = 2.0 + 3.0 * waves(1, 6, experiment.state_size, by=1.3, first=1)
    observation = 2.0 + waves(1, experiment.observation_size, by=0.7, first=1)
    noise = waves(1, 6, experiment.observation_size, by=2.1, first=1)
    with torch.no_grad():
        analysis = filter_with_known_weights(experiment).analyze(forecast, observation, experiment, noise)[0]
    found = analysis[0, 0], analysis[1, 1], analysis[5, -1], analysis.mean()
    assert [float(number) for number in found] == pytest.approx(golden, rel=1e-9)


def test_the_seeds_of_the_pooling_begin_as_standard_normal_draws():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        seeds = torch.cat([SetTransformer(3, 8, 64, 8, 16).seeds.detach().flatten() for _ in range(20)])
    count = seeds.numel()
    assert abs(float(seeds.mean())) < 4 / count**0.5
    assert abs(float(seeds.var()) - 1.0) < 4 * (2 / count) ** 0.5
    assert abs(float(seeds.pow(4).mean()) - 3.0) < 4 * (96 / count) ** 0.5


def test_the_released_lorenz_96_is_this_one_in_a_mirror():
    def released(x):
        return (x.roll(1, -1) - x.roll(-2, -1)) * x.roll(-1, -1) - x + 8.0

    def mirrored(x):
        return x.flip(-1).roll(1, -1)  # variable -i in place of i

    state, experiment = waves(5, 40, by=1.7), load_experiment("lorenz96")
    ours = experiment.system.tendency(state)
    assert {-i % 40 for i in experiment.observed} == set(experiment.observed)
    torch.testing.assert_close(mirrored(released(mirrored(state))), ours, rtol=0, atol=1e-14)
    assert not torch.allclose(released(state), ours)
