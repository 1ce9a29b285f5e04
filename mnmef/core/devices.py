"""Where tensors live."""

import torch


def default_device() -> torch.device:
    """The first CUDA device that the process may see, else the CPU; the one place that decides it.

    Hide a GPU with `CUDA_VISIBLE_DEVICES=` as in any PyTorch program.
    """
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
