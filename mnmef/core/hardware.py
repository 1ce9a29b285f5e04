"""Names of processors, and the memory of a process."""

import ctypes
import platform
from functools import cache
from pathlib import Path

import torch


def cpu_name() -> str:
    """Return the name that the processor gives itself, or that of its architecture."""
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text(encoding="utf-8").splitlines() if listing.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(names), platform.processor() or platform.machine())


def hardware_name(device: torch.device | str) -> str:
    """Return the name of the GPU or CPU behind a device of torch."""
    return torch.cuda.get_device_name(device) if torch.device(device).type == "cuda" else cpu_name()


MMAP_THRESHOLD, TRIM_THRESHOLD, LARGEST = -3, -1, 2**30
"""Parameters of glibc's `mallopt`, and a size in bytes."""


@cache
def keep_freed_memory() -> None:
    """Let this process keep freed memory for its next arrays, if the C library is glibc.

    The system hands out memory page by page and zeroes each page: up to a quarter of a cheap filter's time.
    """
    if platform.libc_ver()[0] == "glibc":
        library = ctypes.CDLL(None)
        library.mallopt(MMAP_THRESHOLD, LARGEST)
        library.mallopt(TRIM_THRESHOLD, LARGEST)


def give_freed_memory_back() -> None:
    """Return freed memory of this process to the system, if the C library is glibc."""
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)
