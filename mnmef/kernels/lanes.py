"""Vector instructions for compiled functions, asked for one by one in LLVM's terms.

The compiler makes vector instructions of simple loops, but not of loops over arrays that might overlap, and keeps
nothing in registers from one turn of a loop to the next. In numbers per second it then falls behind by a factor of two
or more, so the inner parts of our kernels are written with these. Kernels are cached by numba, which notices a change
of a kernel's own file, not of this one: after a change here, delete `__pycache__`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy", "fastmath": {"contract"}}
"""How kernels are compiled: kept for the next process, beside other threads, with no error for a division by zero."""

CONTRACT = ("contract",)
"""A product and a sum may become one instruction."""


def integer(value: int) -> Any:
    """An index that is known now."""
    return ir.Constant(ir.IntType(64), value)


class Lanes:
    """A number in each lane of a vector, with the arithmetic of kernels."""

    def __init__(self, builder: Any, value: Any) -> None:
        self.builder, self.value = builder, value

    def _operand(self, other: "Lanes | float") -> Any:
        return other.value if isinstance(other, Lanes) else self.like(other).value

    def like(self, number: float) -> "Lanes":
        """The same number in as many lanes."""
        return Lanes(self.builder, ir.Constant(self.value.type, [number] * self.value.type.count))

    def __add__(self, other: "Lanes | float") -> "Lanes":
        return Lanes(self.builder, self.builder.fadd(self.value, self._operand(other), flags=CONTRACT))

    def __sub__(self, other: "Lanes | float") -> "Lanes":
        return Lanes(self.builder, self.builder.fsub(self.value, self._operand(other), flags=CONTRACT))

    def __mul__(self, other: "Lanes | float") -> "Lanes":
        return Lanes(self.builder, self.builder.fmul(self.value, self._operand(other), flags=CONTRACT))

    def __truediv__(self, other: "Lanes | float") -> "Lanes":
        return Lanes(self.builder, self.builder.fdiv(self.value, self._operand(other)))

    def maximum(self, other: "Lanes") -> "Lanes":
        """The larger number in each lane; the other one where this is not a number."""
        is_larger = self.builder.fcmp_ordered(">", self.value, other.value)
        return Lanes(self.builder, self.builder.select(is_larger, self.value, other.value))

    def shuffled(self, other: "Lanes", order: Sequence[int]) -> "Lanes":
        """The lanes of this vector and then of the other, in an order."""
        places = ir.Constant(ir.VectorType(ir.IntType(32), len(order)), list(order))
        return Lanes(self.builder, self.builder.shuffle_vector(self.value, other.value, places))

    def to(self, number: Any) -> "Lanes":
        """The same in another precision, that of LLVM's type `number`."""
        kind, own = ir.VectorType(number, self.value.type.count), self.value.type.element
        if number == own:
            return self
        convert = self.builder.fpext if number == ir.DoubleType() else self.builder.fptrunc
        return Lanes(self.builder, convert(self.value, kind))


def transposed(rows: Sequence[Lanes]) -> list[Lanes]:
    """As many vectors as lanes, with lane j of vector i where lane i of vector j was."""
    count, result = len(rows), list(rows)
    span = 1
    while span < count:
        # Blocks of `span` x `span` off the diagonal of larger blocks change places.
        low = [n if not n & span else count + n - span for n in range(count)]
        high = [n + span if not n & span else count + n for n in range(count)]
        for i in (n for n in range(count) if not n & span):
            a, b = result[i], result[i + span]
            result[i], result[i + span] = a.shuffled(b, low), a.shuffled(b, high)
        span *= 2
    return result


class Vectors:
    """A contiguous array of numba's, read and written as vectors of `lanes` numbers at any flat index.

    kind, array: the array's type and value; begin: the flat index that counts as zero.
    """

    def __init__(self, context: Any, builder: Any, kind: Any, array: Any, begin: Any, lanes: int) -> None:
        self.builder = builder
        self.data = builder.gep(context.make_array(kind)(context, builder, array).data, [begin])
        self.type = ir.VectorType(context.get_data_type(kind.dtype), lanes)
        self.bytes = kind.dtype.bitwidth // 8  # all that is known of the alignment

    def _at(self, index: Any) -> Any:
        return self.builder.bitcast(self.builder.gep(self.data, [index]), self.type.as_pointer())

    def load(self, index: Any) -> Lanes:
        """The vector from an index on."""
        value = self.builder.load(self._at(index))
        value.align = self.bytes
        return Lanes(self.builder, value)

    def store(self, lanes: Lanes, index: Any) -> None:
        """Write the vector from an index on."""
        self.builder.store(lanes.value, self._at(index)).align = self.bytes

    def repeat(self, index: Any) -> Lanes:
        """The number at an index in all lanes."""
        place = integer(index) if isinstance(index, int) else index
        scalar = self.builder.load(self.builder.gep(self.data, [place]))
        empty = ir.Constant(self.type, ir.Undefined)
        first = Lanes(self.builder, self.builder.insert_element(empty, scalar, ir.Constant(ir.IntType(32), 0)))
        return first.shuffled(first, [0] * self.type.count)


@njit(inline="always")
def aligned_room(size: int, lanes: int, like: np.ndarray) -> np.ndarray:
    """An array of at least `size` numbers of the type of those of `like`, not set, for vectors of `lanes` numbers.

    A vector that begins at a multiple of its length lies in one line of the cache and is read twice as fast.
    """
    room = np.empty(size + lanes, like.dtype)
    return room[-(room.ctypes.data // room.itemsize) % lanes :]


def state_reader(lanes: int, place: Callable[[Any, Any, int], Any]) -> Any:
    """An operation for compiled functions that copies `lanes` columns, from one on, of as many rows of states (M, Nx)
    to an array of fields: `operation(states, fields, begin, last, size, column)`.

    Rows are `begin` ... and, beyond `last`, that one again. `place(builder, column, n)` is where in fields the vector
    of the n-th of the columns goes.
    """

    @intrinsic
    def read(_typing, states, fields, begin, last, size, column):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            source, target = (
                Vectors(context, builder, signature.args[n], values[n], integer(0), lanes) for n in (0, 1)
            )
            rows = _rows(builder, lanes, *values[2:])
            for n, column in enumerate(transposed([source.load(row).to(target.type.element) for row in rows])):
                target.store(column, place(builder, values[5], n))
            return context.get_dummy_value()

        return types.void(states, fields, *[types.intp] * 4), generate

    return read


def state_writer(lanes: int, place: Callable[[Any, Any, int], Any], factor: float = 1.0) -> Any:
    """The inverse of `state_reader`, with the same arguments, which multiplies by `factor`."""

    @intrinsic
    def write(_typing, states, fields, begin, last, size, column):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            target, source = (
                Vectors(context, builder, signature.args[n], values[n], integer(0), lanes) for n in (0, 1)
            )
            columns = [source.load(place(builder, values[5], n)) * factor for n in range(lanes)]
            for row, state in zip(_rows(builder, lanes, *values[2:]), transposed(columns), strict=True):
                target.store(state.to(target.type.element), row)
            return context.get_dummy_value()

        return types.void(states, fields, *[types.intp] * 4), generate

    return write


def _rows(builder: Any, lanes: int, begin: Any, last: Any, size: Any, column: Any) -> list[Any]:
    """Flat indices of a column of rows `begin` ... of an array (M, `size`), of row `last` beyond it."""
    rows = [builder.add(begin, integer(lane)) for lane in range(lanes)]
    rows = [builder.select(builder.icmp_signed("<", row, last), row, last) for row in rows]
    return [builder.add(builder.mul(row, size), column) for row in rows]
