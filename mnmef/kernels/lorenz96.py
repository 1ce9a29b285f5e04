"""One cycle of Lorenz '96 compiled for a CPU: twenty-five times faster than array operations.

LANES states are advanced together, each in its own lane of the processor's vectors, and take all Runge-Kutta steps of
the cycle while they are in the first cache. Each state's result is independent of its neighbors.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

from mnmef.kernels.lanes import OPTIONS, Lanes, Vectors, aligned_room, integer, state_reader, state_writer

LANES = 16
"""States advanced together."""

STATE, STAGE, OTHER, TOTAL = range(4)
"""Fields: x, two for the states of stages in turn, and the sum that becomes the next x."""
FORCING, WHOLE, HALF, THIRD, SIXTH = range(5)
"""Constants: the forcing, and h, h/2, h/3 and h/6 of the step size h."""


class _Memory:
    """The fields, each `span` numbers after the one before it, and the constants."""

    def __init__(self, fields: Vectors, constants: Vectors, span: Any) -> None:
        self.fields, self.constants, self.span, self.builder = fields, constants, span, fields.builder

    def __getitem__(self, place: tuple[Any, int, int]) -> Lanes:
        return self.fields.load(self._index(*place))

    def __setitem__(self, place: tuple[Any, int, int], lanes: Lanes) -> None:
        self.fields.store(lanes, self._index(*place))

    def _index(self, row: Any, field: int, shift: int) -> Any:
        field_begins = self.builder.mul(self.span, integer(field))
        return self.builder.add(self.builder.add(row, field_begins), integer(shift * LANES))


def _operation(emit: Callable[[_Memory, Any], None]) -> Any:
    """An operation for compiled functions: of fields, a row of the first one (a flat index), their span, constants."""

    @intrinsic
    def operation(_typing, fields, row, span, constants):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            fields, numbers = (
                Vectors(context, builder, signature.args[n], values[n], integer(0), LANES) for n in (0, 3)
            )
            emit(_Memory(fields, numbers, values[2]), values[1])
            return context.get_dummy_value()

        return types.void(fields, types.intp, types.intp, constants), generate

    return operation


def _place(builder: Any, column: Any, n: int) -> Any:
    return builder.add(builder.mul(column, integer(LANES)), integer((n + 2) * LANES))


_read = state_reader(LANES, _place)
_write = state_writer(LANES, _place)


@njit(inline="always")
def _close_circle(s: np.ndarray, begin: int, size: int) -> None:
    """Fill the two rows of a field before the first component and the one after the last."""
    for j in range(begin, begin + LANES):
        s[j] = s[j + size * LANES]
        s[j + LANES] = s[j + (size + 1) * LANES]
        s[j + (size + 2) * LANES] = s[j + 2 * LANES]


def _stage(source: int, target: int, step: int, weight: int) -> Any:
    """A compiled function that, with the tendency k of each component of field `source`, adds `weight` times k to the
    total and makes the component of field `target` x + `step` k; the last stage's target is x itself, and becomes the
    total.
    """

    def emit(memory: _Memory, row: Any) -> None:
        before, near, own, after = (memory[row, source, shift] for shift in (-2, -1, 0, 1))
        k = (after - before) * near - own + memory.constants.repeat(FORCING)
        state = memory[row, STATE, 0]
        total = (state if source == STATE else memory[row, TOTAL, 0]) + k * memory.constants.repeat(weight)
        if target == STATE:
            memory[row, STATE, 0] = total
        else:
            memory[row, TOTAL, 0] = total
            memory[row, target, 0] = state + k * memory.constants.repeat(step)

    operation = _operation(emit)

    @njit(inline="always")
    def stage(s: np.ndarray, span: int, size: int, constants: np.ndarray) -> None:
        _close_circle(s, source * span, size)
        for row in range(2 * LANES, (size + 2) * LANES, LANES):
            operation(s, row, span, constants)

    return stage


_first_stage = _stage(STATE, STAGE, HALF, SIXTH)
_second_stage = _stage(STAGE, OTHER, HALF, THIRD)
_third_stage = _stage(OTHER, STAGE, WHOLE, THIRD)
_last_stage = _stage(STAGE, STATE, WHOLE, SIXTH)


@njit(**OPTIONS)
def lorenz96_cycle(states: np.ndarray, result: np.ndarray, steps: int, constants: np.ndarray) -> None:
    """Advance `states` (M, Nx) by `steps` Runge-Kutta steps into `result` (M, Nx).

    constants: forcing, h, h/2, h/3 and h/6 of the step size h, in the precision in which to compute.
    """
    count, size = states.shape
    span = (size + 3) * LANES
    s = aligned_room(4 * span, LANES, constants)
    for begin in range(0, count, LANES):
        for column in range(0, size, LANES):  # the last columns may be read and written twice
            _read(states, s, begin, count - 1, size, min(column, size - LANES))
        for _ in range(steps):
            _first_stage(s, span, size, constants)
            _second_stage(s, span, size, constants)
            _third_stage(s, span, size, constants)
            _last_stage(s, span, size, constants)
        for column in range(0, size, LANES):
            _write(result, s, begin, count - 1, size, min(column, size - LANES))
