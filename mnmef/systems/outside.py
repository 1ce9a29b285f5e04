"""Forecast models from files of the user's: a class that derives from `System`, or a black box in NumPy."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from mnmef.core.references import load_object, located
from mnmef.systems.base import System

NEEDED = ("state_size", "step_size", "step", "initial_states")
"""Attributes of a forecast model in NumPy."""


class Model(Protocol):
    """A forecast model in NumPy."""

    state_size: int
    step_size: float

    def step(self, state: np.ndarray) -> np.ndarray:
        """Advance states (M, Nx) by `step_size`."""

    def initial_states(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draw `count` states (count, Nx) from which a burn-in leads to the attractor."""


class BlackBox(System):
    """A forecast model in NumPy, in double precision on the CPU; no gradient flows through it.

    Parameters
    ----------
    model : Model
        The user's object. Its first step is checked: shape, numbers, and that its input is left as it was.
    name : str
        How error texts call it, such as `my_model.py:Lake`.
    """

    def __init__(self, model: Model, name: str) -> None:
        self.model, self.label = model, name
        self.state_size, self.step_size = model.state_size, model.step_size
        for key in ("coordinates", "distance", "dapper_step", "is_stochastic"):
            if hasattr(model, key):
                setattr(self, key, getattr(model, key))
        self._is_checked = False

    def step(self, state: Tensor, rng: np.random.Generator | None = None) -> Tensor:
        """Advance `state` (..., Nx) by `step_size`."""
        return self.advance(state, 1, rng=rng)

    def advance(
        self, state: Tensor, steps: int, precision: torch.dtype | None = None, rng: np.random.Generator | None = None
    ) -> Tensor:
        """Advance `state` (..., Nx) by a number of steps in double precision; keeps its dtype and device."""
        rows = state.detach().reshape(-1, self.state_size).to("cpu", torch.float64).numpy().copy()
        given = (rng,) if self.is_stochastic else ()
        with np.errstate(over="ignore", invalid="ignore"):  # a filter that diverges is counted where it is scored
            for _ in range(steps):
                step = self.model.step if self._is_checked else self._first_step
                rows = np.asarray(step(rows, *given))
        result = torch.from_numpy(np.array(rows, dtype=np.float64, order="C"))
        return result.reshape(state.shape).to(state.device, state.dtype)

    def initial_states(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draw `count` states (count, Nx) by the model's own function.

        Raises
        ------
        ValueError
            If it returns another shape, or values that are not finite.
        """
        drawn = self.model.initial_states(count, rng)
        self._check(drawn, (count, self.state_size), "initial_states(count, rng)", "(count, state_size)")
        return np.asarray(drawn, dtype=np.float64)

    def _first_step(self, rows: np.ndarray, *given: Any) -> np.ndarray:
        """Take a step and check it, the first time with finite states."""
        before = rows.copy()
        result = self.model.step(rows, *given)
        if not np.array_equal(rows, before, equal_nan=True):
            raise ValueError(f"{self.label}: step changed its input in place; it must return a new array")
        self._is_checked = bool(np.isfinite(before).all())
        self._check(result, rows.shape, "step(state)", "that of its input, (M, state_size)", self._is_checked)
        if result.dtype != np.float64:
            raise ValueError(f"{self.label}: step(state) returned values of type {result.dtype}; right is float64")
        return result

    def _check(self, values: object, shape: tuple[int, ...], call: str, right: str, finite: bool = True) -> None:
        """Stop if a call returned something else than finite numbers of a shape."""
        if not isinstance(values, np.ndarray):
            raise ValueError(f"{self.label}: {call} returned a {type(values).__name__}; it must return a NumPy array")
        if values.shape != shape:
            raise ValueError(f"{self.label}: {call} returned the shape {values.shape}; right is {shape}: {right}")
        if values.dtype.kind not in "fiu":
            raise ValueError(f"{self.label}: {call} returned values of type {values.dtype}; they must be real numbers")
        if finite and not np.isfinite(values).all():
            wrong = np.count_nonzero(~np.isfinite(values))
            raise ValueError(f"{self.label}: {call} returned {wrong} of {values.size} values that are not finite")


def load_outside(path: Path, class_name: str, options: Mapping[str, Any]) -> System:
    """Make a forecast model of the class `class_name` in the file at `path`.

    Raises
    ------
    ValueError
        Naming the file, the class and, where Python says it, the line: no such file or class, an exception in it,
        options that it does not have, or an attribute that a forecast model must have and that is missing.
    """
    label = f"{path}:{class_name}"
    made = load_class(path, class_name)
    try:
        inspect.signature(made).bind(**options)
    except TypeError as error:
        raise ValueError(f"options of system {label}: {error}") from None
    try:
        model = made(**options)
    except Exception as error:
        raise ValueError(f"system {label}: {located(error, path)}") from error
    missing = [key for key in NEEDED if not hasattr(model, key)]
    if missing:
        raise ValueError(f"system {label} has no {', no '.join(missing)}; a forecast model has {', '.join(NEEDED)}")
    call = "step(state, rng)" if getattr(model, "is_stochastic", False) else "step(state)"
    try:
        inspect.signature(model.step).bind(*call.split())
    except TypeError as error:
        raise ValueError(f"system {label}: step is called as {call}: {error}") from None
    size, length = model.state_size, model.step_size
    if not (isinstance(size, int | np.integer) and size >= 1):
        raise ValueError(f"system {label}: state_size = {size!r}: must be a whole number of at least 1")
    if not (isinstance(length, int | float | np.floating) and 0 < length < np.inf):
        raise ValueError(f"system {label}: step_size = {length!r}: must be a number greater than 0")
    return model if isinstance(model, System) else BlackBox(model, label)


def load_class(path: Path, class_name: str) -> type[Any]:
    """Return the class `class_name` of the file at `path`; the error names the nearest class in it."""
    found: type[Any] = load_object(path, class_name, "system", "class")
    if found is not System and issubclass(found, System):
        for key in ("name", "title"):
            if not hasattr(found, key):
                setattr(found, key, class_name)
    return found
