"""A pretended accelerator for tests on machines without one: real arithmetic, strict about devices, everything counted.

A `Far` tensor says that it lies on the pretended device; the numbers are those of a tensor on the CPU that only
`Accelerator` touches. As on a GPU, an operation on tensors of both places is an error, unless those of the host are
single numbers. Counted, by the line of the package that asked for it: each launch of a kernel or a copy, and each wait,
where the host stands until the device has an answer: results read, indices from masks, copies of memory that is not
pinned.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn import functional
from torch.utils import _foreach_utils
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME = "pretended"
_setup_privateuseone_for_python_backend(NAME)  # type: ignore[no-untyped-call]

NO_KERNEL = {"empty", "new_empty", "empty_like", "empty_strided", "detach", "lift_fresh", "alias", "_unsafe_view"}
NO_KERNEL |= {"_reshape_alias", "item", "_local_scalar_dense"}
READS = {"_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero", "_linalg_eigh", "_linalg_svd"}
"""Operations whose result the host needs, or that PyTorch checks on the host."""
KERNELS = {
    "_linalg_solve_ex": 4,
    "linalg_lu_solve": 3,
    "native_layer_norm_backward": 3,
    "native_layer_norm": 1,
    "sort": 2,
}
"""Kernels of an operation where there are several."""
FEW = 36
"""Tensors that one launch of a `_foreach` operation takes, about."""
MIXED_INDEX = {"index", "index_put", "index_put_"}
ATTENTION = functional.scaled_dot_product_attention


class Far(torch.Tensor):
    """A tensor on the pretended device."""

    near: torch.Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, near: torch.Tensor) -> "Far":
        layout = {"strides": near.stride(), "storage_offset": near.storage_offset(), "dtype": near.dtype}
        tensor = torch.Tensor._make_wrapper_subclass(cls, near.shape, device=f"{NAME}:0", **layout)
        tensor.near = near
        return tensor

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise RuntimeError(f"{func} on a pretended device that is gone")


def asking_line() -> str:
    """The innermost line of the package on the stack."""
    frame = sys._getframe(1)
    while frame is not None and "/mnmef/" not in frame.f_code.co_filename.replace("/tests/", "//"):
        frame = frame.f_back  # type: ignore[assignment]
    return f"{frame.f_code.co_filename.rpartition('/mnmef/')[2]}:{frame.f_lineno}" if frame else "outside"


class Accelerator(TorchDispatchMode):
    """Runs what is asked of `Far` tensors. launches, waits: how often, by line of the package."""

    def __init__(self) -> None:
        super().__init__()
        self.launches: Counter[str] = Counter()
        self.waits: Counter[str] = Counter()
        self.operations: Counter[str] = Counter()
        self.pinned: dict[int, torch.Tensor] = {}

    def clear(self) -> None:
        """Begin to count anew."""
        for counter in (self.launches, self.waits, self.operations):
            counter.clear()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, name = dict(kwargs or {}), func._schema.name.removeprefix("aten::")
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        target = None if kwargs.get("device") is None else torch.device(kwargs["device"]).type
        if name in ("is_pinned", "_pin_memory"):
            return self._pin(name, args[0])
        if target != NAME and not any(isinstance(tensor, Far) for tensor in tensors):
            return func(*args, **kwargs)
        self._check(name, args, kwargs, tensors, target)
        self._count(func, name, args)
        if target == NAME:
            kwargs["device"] = "cpu"
        known = {id(tensor.near): tensor for tensor in tensors if isinstance(tensor, Far)}
        args, kwargs = tree_map_only(Far, lambda far: far.near, (args, kwargs))
        result = func(*args, **kwargs)
        if target == "cpu" or (name == "copy_" and not isinstance(tensors[0], Far)):
            return result
        return tree_map_only(torch.Tensor, lambda near: known[id(near)] if id(near) in known else Far(near), result)

    def _pin(self, name: str, tensor: torch.Tensor) -> Any:
        """Answer whether memory of the host is pinned, or pin it."""
        if name == "is_pinned":
            return tensor.data_ptr() in self.pinned
        copy = tensor.clone()
        self.pinned[copy.data_ptr()] = copy  # held, so that no other memory has this address
        return copy

    def record(self, function: Any, inputs: tuple[torch.Tensor, ...]) -> Any:
        """Stand in for `mnmef.core.graphs.record`: a function that lets the host wait cannot be recorded."""
        counters = (self.launches, self.waits, self.operations)
        before = [counter.copy() for counter in counters]

        def restore() -> None:
            for counter, count in zip(counters, before, strict=True):
                counter.clear()
                counter.update(count)

        results = function(*inputs)
        if self.waits != before[1]:
            raise RuntimeError(f"what is recorded waits: {self.waits - before[1]}")
        restore()

        def replay() -> None:
            before[:] = [counter.copy() for counter in counters]
            pairs = zip(tree_leaves(results), tree_leaves(function(*inputs)), strict=True)
            with torch.no_grad():
                for held, new in pairs:
                    if isinstance(held, Far):
                        held.copy_(new)
            restore()
            self.launch("graph")

        return replay, results

    def _check(self, name: str, args: Any, kwargs: Any, tensors: list[torch.Tensor], target: str | None) -> None:
        """Count what the host waits for; an operation that mixes devices is an error."""
        host = [tensor for tensor in tensors if not isinstance(tensor, Far)]
        if name in ("_to_copy", "copy_"):
            moves_up = bool(host) and (isinstance(tensors[0], Far) or (name == "_to_copy" and target == NAME))
            moves_down = target == "cpu" or (name == "copy_" and not isinstance(tensors[0], Far))
            free = moves_up and kwargs.get("non_blocking", args[-1] is True) and host[0].data_ptr() in self.pinned
            if (moves_up or moves_down) and not free:
                self.wait("copy to the host" if moves_down else "copy of memory that is not pinned")
            return
        if name.startswith("index"):
            given = [t for t in tree_leaves(args[1]) if isinstance(t, torch.Tensor)]
            fills = name.startswith("index_put") and isinstance(args[2], torch.Tensor) and args[2].numel() == 1
            if any(t.dtype in (torch.bool, torch.uint8) for t in given) and not fills:
                self.wait("index by a mask")
            elif name in MIXED_INDEX and any(not isinstance(t, Far) for t in given):
                self.wait("index from the host")
            host = [t for t in host if not (name in MIXED_INDEX and any(t is each for each in given))]
        if name in READS:
            self.wait(name)
        if any(tensor.dim() for tensor in host):
            raise RuntimeError(f"{name} mixes devices in {asking_line()}")

    def wait(self, why: str) -> None:
        """Note that the host waits for the device."""
        self.waits[f"{asking_line()} {why}"] += 1

    def _count(self, func: Any, name: str, args: Any) -> None:
        is_view = any(r.alias_info is not None and not r.alias_info.is_write for r in func._schema.returns)
        if is_view or name in NO_KERNEL:
            return
        several = -(-len(args[0]) // FEW) if name.startswith(("_foreach", "_fused")) else KERNELS.get(name, 1)
        self.launch(name, several)

    def launch(self, name: str, count: int = 1) -> None:
        """Note launches of an operation."""
        self.operations[name] += count
        self.launches[asking_line()] += count


class FarAttention(torch.autograd.Function):
    """Attention by one kernel, and three backwards, as on a GPU: how PyTorch chooses among kernels is not seen here."""

    @staticmethod
    def forward(ctx: Any, *inputs: torch.Tensor) -> torch.Tensor:
        """Attend."""
        ctx.save_for_backward(*inputs)
        _running().launch("attention")
        with _disable_current_modes():
            return Far(ATTENTION(*(tensor.near for tensor in inputs)))  # type: ignore[attr-defined]

    @staticmethod
    def backward(ctx: Any, gradient: Far) -> tuple[torch.Tensor, ...]:
        """Compute the gradients of query, key and value."""
        _running().launch("attention backward", 3)
        with _disable_current_modes(), torch.enable_grad():
            inputs = [tensor.near.detach().requires_grad_() for tensor in ctx.saved_tensors]
            gradients = torch.autograd.grad(ATTENTION(*inputs), inputs, gradient.near)
        return tuple(Far(each) for each in gradients)


_RUNNING: list[Accelerator] = []


def _running() -> Accelerator:
    return _RUNNING[-1]


def _attention(*inputs: torch.Tensor) -> torch.Tensor:
    return FarAttention.apply(*inputs) if isinstance(inputs[0], Far) else ATTENTION(*inputs)  # type: ignore[no-any-return]


@contextmanager
def pretended_accelerator() -> Iterator[Accelerator]:
    """Within, tensors may be on the device `NAME`."""
    accelerator, lifts = Accelerator(), torch._C._only_lift_cpu_tensors()
    _foreach_utils._foreach_supported_types.append(Far)
    _RUNNING.append(accelerator)
    torch._C._set_only_lift_cpu_tensors(True)  # else the copy in torch.tensor(..., device=) is not seen
    functional.scaled_dot_product_attention = _attention
    try:
        with torch.autograd.set_multithreading_enabled(False), accelerator:
            yield accelerator
    finally:
        functional.scaled_dot_product_attention = ATTENTION
        torch._C._set_only_lift_cpu_tensors(lifts)
        _RUNNING.pop()
        _foreach_utils._foreach_supported_types.remove(Far)
