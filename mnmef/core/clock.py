"""Clock of every timing: figure 8, the benchmarks and the study of long grids."""

import math
from collections.abc import Callable
from time import perf_counter, process_time
from typing import TypeVar

import torch

Result = TypeVar("Result")


def now(device: torch.device | str = "cpu", *, of_process: bool = False) -> float:
    """Read the clock in seconds; on a GPU after the work that it was given has ended.

    Parameters
    ----------
    device : torch.device or str
        The device whose work is timed.
    of_process : bool
        Count the CPU seconds of this process, on which other processes have no influence; has no effect on a GPU.
    """
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
        return perf_counter()
    return process_time() if of_process else perf_counter()


def elapsed(
    run: Callable[[], Result], device: torch.device | str = "cpu", *, of_process: bool = False
) -> tuple[float, Result]:
    """Return the seconds that `run` takes by the clock of `now`, and the value of `run`."""
    began = now(device, of_process=of_process)
    value = run()
    return now(device, of_process=of_process) - began, value


def cycles_for(seconds: float, each: float, most: int, least: int = 1) -> int:
    """Return the number of cycles, between `least` and `most`, that last `seconds` when one takes `each`."""
    return max(min(math.ceil(seconds / max(each, 1e-9)), most), least)
