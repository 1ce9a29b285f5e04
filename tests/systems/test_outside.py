"""Forecast models from files of the user's."""

import numpy as np
import pytest
import torch

from mnmef.experiments.experiment import Experiment
from mnmef.filters.classical import make_classical
from mnmef.observations import Observation
from mnmef.systems import make_system
from tests.lake import MODEL


@pytest.fixture
def made(tmp_path):
    """A function that writes a file and makes the system `Lake` of it."""

    def make(text, **options):
        path = tmp_path / "model.py"
        path.write_text(text)
        return make_system({"name": f"{path}:Lake", **options})

    return make


def stepped(system, dtype=torch.float64):
    return system.advance(torch.ones(3, 4, 2, dtype=dtype), 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_black_box_takes_steps_in_double_precision_and_keeps_the_dtype(made, dtype):
    result = stepped(made(MODEL, rate=2.0), dtype)
    assert result.shape == (3, 4, 2)
    assert result.dtype == dtype
    torch.testing.assert_close(result, torch.full((3, 4, 2), 0.64, dtype=dtype))


def test_a_black_box_draws_first_states(made):
    system = made(MODEL)
    first = system.initial_states(5, np.random.default_rng(1))
    assert (system.state_size, system.step_size, first.shape, first.dtype) == (2, 0.1, (5, 2), np.float64)


def test_a_class_that_derives_from_system_is_used_as_it_is(made):
    text = MODEL.replace("class Lake:", "from mnmef.systems.base import System\n\n\nclass Lake(System):")
    state = torch.ones(2, 2, requires_grad=True)
    result = made(text).advance(state, 1)
    assert result.requires_grad


def test_an_edit_is_seen(made):
    assert stepped(made(MODEL))[0, 0, 0] == pytest.approx(0.81)
    assert stepped(made(MODEL.replace("rate=1.0", "rate=2.0")))[0, 0, 0] == pytest.approx(0.64)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("class Lake:", "class Lakes:", "Did you mean 'Lakes'"),
        ("import numpy as np", "import numpy as np\n\n1 / 0", "line 3: ZeroDivisionError"),
        ("import numpy as np", "import numpy as np\ndef f(:", "line 2: SyntaxError"),
        ("import numpy as np", "import no_such_package", "line 1: ModuleNotFoundError: No module named"),
        ("    step_size = 0.1\n", "", "has no step_size"),
        ("step_size = 0.1", "step_size = 0", "step_size = 0: must be"),
        ("state_size = 2", "state_size = 2.5", "state_size = 2.5: must be"),
        ("self.rate = rate", "self.rate = rates", "line 9: NameError"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_by_name(made, old, new, said):
    with pytest.raises(ValueError, match=r"model\.py") as caught:
        made(MODEL.replace(old, new))
    assert said in str(caught.value)


def test_options_that_a_class_does_not_have_are_refused(made):
    with pytest.raises(ValueError, match=r"options of system .*model\.py:Lake.*depth"):
        made(MODEL, depth=3)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match="cannot be read"):
        make_system({"name": f"{tmp_path}/nothing.py:Lake"})


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ("state[:, :1]", r"shape (12, 1); right is (12, 2)"),
        ("state * np.nan", "24 of 24 values that are not finite"),
        ("state.tolist()", "returned a list"),
        ("state.astype(complex)", "complex128"),
        ("np.multiply(state, 0.5, out=state)", "changed its input in place"),
    ],
)
def test_the_first_step_is_checked(made, returned, said):
    system = made(MODEL.replace("state - self.step_size * self.rate * state", returned))
    with pytest.raises(ValueError, match=r"model\.py:Lake: step") as caught:
        stepped(system)
    assert said in str(caught.value)


def test_first_states_of_another_shape_are_refused(made):
    system = made(MODEL.replace("(count, 2)", "(2, count)"))
    with pytest.raises(ValueError, match=r"initial_states.*\(2, 5\).*\(5, 2\)"):
        system.initial_states(5, np.random.default_rng(1))


POINTS = "    coordinates = np.array([[0.0, 0.0], [3.0, 4.0]])\n"
GIVEN = "    def distance(self, sites):\n        return np.array([[0.0], [7.0]])[:, sites]\n"


@pytest.mark.parametrize(("text", "expected"), [(POINTS, [[0.0], [5.0]]), (GIVEN, [[0.0], [7.0]])])
def test_distances_of_an_irregular_domain_are_the_systems(made, text, expected):
    system = made(MODEL.replace("    state_size = 2\n", "    state_size = 2\n" + text))
    experiment = Experiment("lake", "Lake", system, Observation(2, [0]), steps_per_cycle=1, bound=1.0)
    np.testing.assert_allclose(experiment.distances(), expected)
    first, observation = torch.randn(4, 6, 2, dtype=torch.float64), torch.randn(4, 1, dtype=torch.float64)
    near, far = (make_classical("letkf", experiment, 1.0, 1.0, radius) for radius in (1.0, 1e6))
    change = near.analyze(first, observation, experiment) - first
    assert bool((change[..., 0] != 0).all())  # the second component is out of reach
    torch.testing.assert_close(change[..., 1], torch.zeros(4, 6, dtype=torch.float64))
    everywhere = make_classical("esrf", experiment, 1.0, 1.0).analyze(first, observation, experiment)
    torch.testing.assert_close(far.analyze(first, observation, experiment), everywhere)


@pytest.mark.parametrize("returned", ["np.zeros((1, 2))", "np.full((2, 1), np.nan)", "-np.ones((2, 1))"])
def test_distances_that_cannot_be_any_are_refused(made, returned):
    text = f"    def distance(self, sites):\n        return {returned}\n"
    system = made(MODEL.replace("    state_size = 2\n", "    state_size = 2\n" + text))
    experiment = Experiment("lake", "Lake", system, Observation(2, [0]), steps_per_cycle=1, bound=1.0)
    with pytest.raises(ValueError, match=r"distances of the system.*\(2, 1\)"):
        experiment.distances()
