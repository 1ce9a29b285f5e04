"""Random streams, each derived from the config's seed and a label; none is global.

Draws that decide results are made on the CPU, since seeded streams of accelerators differ between models.
"""

import hashlib

import numpy as np
import torch


def seed_sequence(seed: int, *labels: object) -> np.random.SeedSequence:
    """Return the seed sequence of the stream named by `labels`.

    Parameters
    ----------
    seed : int
        Seed of the config.
    *labels : object
        Name of the stream, for example `experiment, "test", "observation"`.
    """
    text = "/".join(str(label) for label in labels)
    digest = hashlib.sha256(text.encode()).digest()[:16]
    return np.random.SeedSequence([seed, *np.frombuffer(digest, dtype=np.uint32).tolist()])


def numpy_generator(seed: int, *labels: object) -> np.random.Generator:
    """Return a NumPy generator for the stream named by `labels` (see `seed_sequence`)."""
    return np.random.default_rng(seed_sequence(seed, *labels))


def torch_generator(seed: int, *labels: object) -> torch.Generator:
    """Return a torch CPU generator for the stream named by `labels` (see `seed_sequence`)."""
    state = seed_sequence(seed, *labels).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))
