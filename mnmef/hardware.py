"""What a time was measured on."""

import platform
from pathlib import Path

import torch


def cpu_name() -> str:
    """The name that the processor gives itself, or the architecture's where it gives none."""
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text(encoding="utf-8").splitlines() if listing.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(names), platform.processor() or platform.machine())


def hardware_name(device: torch.device | str) -> str:
    """The name of the GPU or CPU behind a device of torch."""
    return torch.cuda.get_device_name(device) if torch.device(device).type == "cuda" else cpu_name()
