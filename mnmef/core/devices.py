"""The device that tensors are on."""

import torch
from torch import Tensor


def default_device() -> torch.device:
    """Return the first visible CUDA device, else the CPU.

    No other function chooses a device. Hide a GPU with `CUDA_VISIBLE_DEVICES=` as in any PyTorch program.
    """
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def upload(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor of the host to a device; to a GPU from pinned memory, so that the host need not wait."""
    return tensor if device.type == "cpu" else tensor.pin_memory().to(device, non_blocking=True)
