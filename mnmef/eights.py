"""Eight numbers in double precision as one value of compiled functions, one in each lane of a vector: arithmetic on
eight small problems at once, written as if it were on one.

An array of eights is a contiguous one-dimensional array of eight times as many numbers. What one lane holds never
depends on the others.
"""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

from mnmef.lanes import Lanes, Vectors, integer

EIGHT = 8
"""Numbers of an eight."""

TILE = 4
"""Rows and columns of a product whose sums are in registers at a time."""

OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy", "fastmath": {"contract"}}


class Eight(types.Type):
    """The type, to the compiler."""

    def __init__(self) -> None:
        super().__init__("Eight")


eight = Eight()


@register_model(Eight)
class _EightModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, ir.VectorType(ir.DoubleType(), EIGHT))


def _define(function: Any, operands: int, emit: str) -> None:
    """Let an operator act on eights by an instruction of LLVM's."""

    class Template(AbstractTemplate):
        def generic(self, args: Any, _keywords: Any) -> Any:
            return signature(eight, *args) if args == (eight,) * operands else None

    infer_global(function)(Template)

    @lower_builtin(function, *[eight] * operands)
    def lower(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return getattr(builder, emit)(*args)


for _name, _emit in (("add", "fadd"), ("sub", "fsub"), ("mul", "fmul")):
    _define(getattr(operator, _name), 2, _emit)
    _define(getattr(operator, f"i{_name}"), 2, _emit)
_define(operator.truediv, 2, "fdiv")
_define(operator.neg, 1, "fneg")


def _instruction(function: Callable[..., Any]) -> Any:
    """An operation for compiled functions; what numba's decorator returns has the signature of its inside."""
    return intrinsic(function)


def _unary(name: str) -> Any:
    """An operation of LLVM's on an eight."""

    @intrinsic
    def operation(_typing, x):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
            kind = ir.FunctionType(values[0].type, [values[0].type])
            function = cgutils.get_or_insert_function(builder.module, kind, f"{name}.v{EIGHT}f64")
            return builder.call(function, values)

        return eight(eight), generate

    return operation


root = _unary("llvm.sqrt")
magnitude = _unary("llvm.fabs")


@_instruction
def every(_typing, number):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """The same number in all lanes."""

    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        empty = ir.Constant(ir.VectorType(ir.DoubleType(), EIGHT), ir.Undefined)
        first = Lanes(builder, builder.insert_element(empty, values[0], ir.Constant(ir.IntType(32), 0)))
        return first.shuffled(first, [0] * EIGHT).value

    return eight(types.float64), generate


@_instruction
def load(_typing, array, index):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """The eight at an index of an array of eights."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        memory = Vectors(context, builder, signature.args[0], values[0], integer(0), EIGHT)
        return memory.load(builder.mul(values[1], integer(EIGHT))).value

    return eight(array, types.intp), generate


@_instruction
def store(_typing, array, index, x):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Write an eight to an index of an array of eights."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        memory = Vectors(context, builder, signature.args[0], values[0], integer(0), EIGHT)
        memory.store(Lanes(builder, values[2]), builder.mul(values[1], integer(EIGHT)))
        return context.get_dummy_value()

    return types.void(array, types.intp, eight), generate


@_instruction
def where_less(_typing, a, b, x, y):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """In each lane x where a < b, else y, also where a or b is not a number."""

    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.select(builder.fcmp_ordered("<", *values[:2]), *values[2:])

    return eight(eight, eight, eight, eight), generate


@_instruction
def any_less(_typing, a, b):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Whether a < b in a lane."""

    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        bits = builder.bitcast(builder.fcmp_ordered("<", *values), ir.IntType(EIGHT))
        return builder.icmp_unsigned("!=", bits, ir.Constant(ir.IntType(EIGHT), 0))

    return types.boolean(eight, eight), generate


def _tile(rows: int, columns: int) -> Any:
    """An operation: `c[i, j] = sum over k of a[i, k] b[k, j]`, with c's own value added if `adds`, for a block of a
    product of matrices of eights. Given are arrays, their first index and the steps from a row (or term) to the next.
    """

    @intrinsic
    def operation(_typing, terms, a, i, row, term, b, j, b_term, c, k, c_row, adds):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            scaled = [
                builder.mul(v, integer(EIGHT)) if n in (2, 3, 4, 6, 7, 9, 10) else v for n, v in enumerate(values)
            ]
            count, _, _, row, term, _, _, b_term, _, _, c_row, adds = scaled
            left, right, result = (
                Vectors(context, builder, signature.args[n], values[n], scaled[n + 1], EIGHT) for n in (1, 5, 8)
            )
            places = [
                [builder.add(builder.mul(c_row, integer(m)), integer(n * EIGHT)) for n in range(columns)]
                for m in range(rows)
            ]
            zero = ir.Constant(left.type, [0.0] * EIGHT)
            sums = [[cgutils.alloca_once_value(builder, zero) for _ in range(columns)] for _ in range(rows)]
            with builder.if_then(adds):
                for m in range(rows):
                    for n in range(columns):
                        builder.store(result.load(places[m][n]).value, sums[m][n])
            with cgutils.for_range(builder, count) as loop:
                there, here = builder.mul(loop.index, b_term), builder.mul(loop.index, term)
                factors = [right.load(builder.add(there, integer(n * EIGHT))) for n in range(columns)]
                for m in range(rows):
                    factor = left.load(builder.add(here, builder.mul(row, integer(m))))
                    for n in range(columns):
                        total = Lanes(builder, builder.load(sums[m][n])) + factor * factors[n]
                        builder.store(total.value, sums[m][n])
            for m in range(rows):
                for n in range(columns):
                    result.store(Lanes(builder, builder.load(sums[m][n])), places[m][n])
            return context.get_dummy_value()

        i_ = types.intp
        return types.void(i_, a, i_, i_, i_, b, i_, i_, c, i_, i_, types.boolean), generate

    return operation


_block, _column, _row, _single = _tile(TILE, TILE), _tile(TILE, 1), _tile(1, TILE), _tile(1, 1)


@njit(**OPTIONS)
def product(
    a: np.ndarray, row: int, term: int, b: np.ndarray, c: np.ndarray, size: tuple[int, int, int], adds: bool
) -> None:
    """`c = a b`, or `c += a b`, for matrices of eights: a is at `a[i row + k term]`, b and c are row by row.

    size: rows, terms and columns.
    """
    rows, terms, columns = size
    whole_rows, whole_columns = rows - rows % TILE, columns - columns % TILE
    for i in range(0, whole_rows, TILE):
        for j in range(0, whole_columns, TILE):
            _block(terms, a, i * row, row, term, b, j, columns, c, i * columns + j, columns, adds)
        for j in range(whole_columns, columns):
            _column(terms, a, i * row, row, term, b, j, columns, c, i * columns + j, columns, adds)
    for i in range(whole_rows, rows):
        for j in range(0, whole_columns, TILE):
            _row(terms, a, i * row, row, term, b, j, columns, c, i * columns + j, columns, adds)
        for j in range(whole_columns, columns):
            _single(terms, a, i * row, row, term, b, j, columns, c, i * columns + j, columns, adds)
