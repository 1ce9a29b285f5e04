"""What a time was measured on, and how a process makes the best of it."""

import ctypes
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


MMAP_THRESHOLD, TRIM_THRESHOLD, LARGEST = -3, -1, 2**30
"""Numbers of glibc's `mallopt`, and bytes."""


def settle_process() -> None:
    """Make this process fit for many repetitions of the same arithmetic on a CPU.

    Denormal numbers become zero: the momentum of a unit that has died decays into them, and a step with them takes
    twice the time. Freed memory is kept for the next step where the C library is glibc: asked of the system anew, it
    comes page by page, each zeroed.
    """
    torch.set_flush_denormal(True)
    library = ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None
    if library is not None:
        library.mallopt(MMAP_THRESHOLD, LARGEST)
        library.mallopt(TRIM_THRESHOLD, LARGEST)
