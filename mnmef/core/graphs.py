"""Launches of a GPU that are recorded once and then repeated as one, by the environment variable `MNMEF_GRAPH=1`."""

import os
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

WARM_UP = 3
"""Calls before the recording: libraries allocate and choose in the first ones."""


def is_wanted(device: torch.device) -> bool:
    """Return whether launches on a device are to be recorded."""
    return device.type != "cpu" and os.environ.get("MNMEF_GRAPH") == "1"


def record(function: Callable[..., Any], inputs: tuple[Tensor, ...]) -> tuple[Callable[[], None], Any]:
    """Record what a function of tensors launches on a CUDA device; it must not let the host wait.

    Returns
    -------
    replay : callable
        Launches all of it once more, on what the inputs hold then.
    results : object
        What the function returned; each replay writes into it.
    """
    beside, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
    beside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(beside):
        for _ in range(WARM_UP):
            function(*inputs)
    torch.cuda.current_stream().wait_stream(beside)
    with torch.cuda.graph(graph):
        results = function(*inputs)
    return graph.replay, results


class Recorded:
    """A function of tensors that is recorded at its first call for each set of shapes.

    Results hold until the next call. What else it reads, such as weights, may change in place.

    Parameters
    ----------
    function : callable
        Without effects but its results.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.recordings: dict[tuple[torch.Size, ...], tuple[list[Tensor], Callable[[], None], Any]] = {}

    def __call__(self, *inputs: Tensor) -> Any:
        """Return the results for inputs."""
        shapes = tuple(each.shape for each in inputs)
        if shapes not in self.recordings:
            held = [each.clone() for each in inputs]
            self.recordings[shapes] = (held, *record(self.function, tuple(held)))
        held, replay, results = self.recordings[shapes]
        torch._foreach_copy_(held, inputs)
        replay()
        return results
