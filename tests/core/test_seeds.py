"""The first draws of random streams: what is stored, weights and published tables alike, rests on these numbers."""

import pytest
import torch

from mnmef.assimilation.cycling import noise_source
from mnmef.core.names import METHODS, stream_of
from mnmef.core.seeds import numpy_generator, seed_sequence, torch_generator

SEED = 2504


@pytest.mark.parametrize(
    ("labels", "draws"),
    [
        (("lorenz63", "train", "truth"), [1.0225910942147587, 1.4690409575831849, -0.5475483885867353]),
        (("ks", "tune", "first_ensemble"), [0.21114027978541006, -0.35752567921437073, 1.2234353785435694]),
        (("lorenz96", "test", "truth"), [0.6444769896368064, -0.735530641635336, 0.040500235123758686]),
        (("lorenz96", "test", "observation"), [-0.2798384362411527, -0.04665732514345003, 1.2969767189294117]),
        (("lorenz96", "test", "reference"), [0.7342604564608877, -0.2236049232084785, 0.5325083088245505]),
        (
            ("lorenz96", "assimilation", "first_ensemble"),
            [-0.9254953761888739, -1.6857006488524224, -1.3653169571165857],
        ),
        (("climatology", 10), [0.09882087281592244, -0.40652611920815135, 0.0022845232108108827]),
        (("robustness", "lorenz96", "truth"), [-0.6121712726498931, 0.012506727778369748, -0.8816887378452399]),
        (("scaling", 400, "truth"), [0.5781276584957393, -0.8626770122765464, -0.11246516716175636]),
        (("linear_gaussian", "transition"), [-0.6453282740857157, -0.5266941409614851, 0.4648792487964201]),
    ],
)
def test_truths_observations_and_ensembles_begin_with_these_draws(labels, draws):
    assert numpy_generator(SEED, *labels).standard_normal(3).tolist() == draws


# The logarithm and the cosine behind torch's normal draws are the machine's; the streams are not.


@pytest.mark.parametrize(
    ("labels", "draws"),
    [
        (("training", "lorenz96", 10), [0.09110033512115479, -0.7264237403869629, 0.6220247149467468]),
        (("timing", "mnmef", 10), [-0.17195694148540497, 1.1127489805221558, 0.5252600312232971]),
        (("published", "ks", "noise"), [1.7171907424926758, 0.027618180960416794, 1.093080997467041]),
        (
            ("published", "lorenz63", stream_of("ienks"), 10, 1.0),
            [0.44894134998321533, 0.15155592560768127, -1.0286791324615479],
        ),
    ],
)
def test_trainings_and_published_searches_begin_with_these_draws(labels, draws):
    assert torch.randn(3, generator=torch_generator(SEED, *labels)).tolist() == pytest.approx(draws, rel=1e-6)


@pytest.mark.parametrize(
    ("method", "draws"),
    [
        ("mnmef_finetuned", [-1.3548362255096436, -1.020835518836975, 0.9331790208816528]),
        ("mnmef_pretrained", [0.43817874789237976, -1.0137780904769897, 0.4733348786830902]),
        ("mnmef_conv", [-2.1477837562561035, -0.6983673572540283, 0.5348960757255554]),
        ("mnmef_own", [-0.6668958067893982, 1.4294580221176147, 0.8559606671333313]),
        ("letkf", [-1.827199935913086, -1.1240818500518799, -0.3564864695072174]),
        ("enkf", [1.712351679801941, 1.1024495363235474, 1.0744757652282715]),
        ("ienkf_pertobs", [-1.180263876914978, 1.3020557165145874, 0.9826387763023376]),
        ("ienks", [-0.8937378525733948, -0.3997710943222046, -1.6100713014602661]),
        # Scores on the tuning split, and figure 11.
        ("mnmef", [0.600627601146698, -1.001285433769226, -0.46687349677085876]),
        ("figure_11", [1.0734940767288208, 1.7337713241577148, -1.143777847290039]),
    ],
)
def test_analyses_begin_with_these_draws(method, draws):
    assert noise_source(SEED, stream_of(method), 10, (3,))().tolist() == pytest.approx(draws, rel=1e-6)


def test_weights_and_dapper_begin_with_these_seeds():
    assert torch_generator(SEED, "weights", "lorenz96").initial_seed() == 6263293879681178285
    assert torch_generator(SEED + 1, "weights", "ks").initial_seed() == 58422551112329090
    assert seed_sequence(SEED, "dapper", "lorenz96", "letkf", 10, 0).generate_state(1).tolist() == [587131457]


def test_a_method_that_was_renamed_keeps_its_stream():
    kept = {"mnmef_finetuned": "mnmef_tuned", "ienks": "ienks_sqrt_lag2"}
    assert {name: stream_of(name) for name in METHODS} == {name: kept.get(name, name) for name in METHODS}
