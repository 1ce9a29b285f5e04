"""Threads of torch and of compiled functions."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache

import torch


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads)


def over_batch(kernel: Callable[..., None], batch: int, *arguments: object) -> None:
    """Call `kernel(begin, end, *arguments)` on parts of `range(batch)`, one part for each thread of torch."""
    threads = min(torch.get_num_threads(), batch)
    if threads <= 1:
        kernel(0, batch, *arguments)
        return
    edges = [batch * t // threads for t in range(threads + 1)]
    calls = [_pool(threads).submit(kernel, *edges[t : t + 2], *arguments) for t in range(threads)]
    for call in calls:
        call.result()


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch use `count` threads inside a `with` block of this thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
