"""Random numbers: every stream is derived from the config's seed and a label, none is global.

Draws that decide results are made on the CPU, since seeded streams of accelerators differ between models.
"""

import hashlib

import numpy as np
import torch


def seed_sequence(seed: int, *labels: object) -> np.random.SeedSequence:
    """The seed sequence of the stream named by `labels`, for example (seed, "lorenz96", "test", "observations")."""
    text = "/".join(str(label) for label in labels)
    digest = hashlib.sha256(text.encode()).digest()[:16]
    return np.random.SeedSequence([seed, *np.frombuffer(digest, dtype=np.uint32).tolist()])


def numpy_generator(seed: int, *labels: object) -> np.random.Generator:
    """A NumPy generator for the stream named by `labels`."""
    return np.random.default_rng(seed_sequence(seed, *labels))


def torch_generator(seed: int, *labels: object) -> torch.Generator:
    """A torch CPU generator for the stream named by `labels`."""
    state = seed_sequence(seed, *labels).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))
