"""The device that tensors are on."""

import torch


def default_device() -> torch.device:
    """Return the first visible CUDA device, else the CPU.

    No other function chooses a device. Hide a GPU with `CUDA_VISIBLE_DEVICES=` as in any PyTorch program.
    """
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
