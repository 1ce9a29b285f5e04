"""Vector instructions for compiled functions, asked for one by one in LLVM's terms.

The compiler makes vector instructions of simple loops, but not of loops over arrays that might overlap, and keeps
nothing in registers from one turn of a loop to the next. In numbers per second it then falls behind by a factor of two
or more, so the inner parts of our kernels are written with these. Kernels are cached by numba, which notices a change
of a kernel's own file, not of this one: after a change here, delete `__pycache__`.
"""

from typing import Any

from llvmlite import ir

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

    def repeat(self, index: int) -> Lanes:
        """The number at an index in all lanes."""
        scalar = self.builder.load(self.builder.gep(self.data, [integer(index)]))
        empty = ir.Constant(self.type, ir.Undefined)
        first = self.builder.insert_element(empty, scalar, ir.Constant(ir.IntType(32), 0))
        everywhere = ir.Constant(ir.VectorType(ir.IntType(32), self.type.count), [0] * self.type.count)
        return Lanes(self.builder, self.builder.shuffle_vector(first, empty, everywhere))
