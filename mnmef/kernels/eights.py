"""Eight numbers in double precision as one value of compiled functions, one in each lane of a vector: arithmetic on
eight small problems at once, written as if it were on one.

An array of eights is a contiguous one-dimensional array of eight times as many numbers. What one lane holds never
depends on the others. As after a change of mnmef.kernels.lanes, delete `__pycache__` after one here.
"""

import operator
from collections.abc import Callable
from itertools import product as product_of
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

from mnmef.kernels.lanes import OPTIONS, Lanes, Vectors, integer

EIGHT = 8
"""Numbers of an eight."""

TILE = 4
"""Rows and columns of a product whose sums are in registers at a time."""


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


def _tile(rows: int, columns: int, unit: int) -> Any:
    """An operation: `c[i, j] = sum over k of a[i, k] b[k, j]`, plus base[i, j] if `adds`, for a block of a product.

    Either all are matrices of eights (unit: EIGHT), or of numbers, and the columns of b, base and c are taken eight
    together (unit: 1). Given are arrays, their first index and the steps from a row (or term) to the next; base is laid
    out as c.
    """

    @intrinsic
    def operation(_typing, terms, a, i, row, term, b, j, b_term, base, c, k, c_row, adds):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            places = (2, 3, 4, 6, 7, 10, 11)
            scaled = [builder.mul(v, integer(unit)) if n in places else v for n, v in enumerate(values)]
            i, row, term, j, b_term, k, c_row = (scaled[n] for n in places)
            left, right, start, result = (
                Vectors(context, builder, signature.args[n], values[n], begin, EIGHT)
                for n, begin in ((1, i), (5, j), (8, k), (9, k))
            )
            corners = [
                [builder.add(builder.mul(c_row, integer(m)), integer(n * EIGHT)) for n in range(columns)]
                for m in range(rows)
            ]
            zero = ir.Constant(result.type, [0.0] * EIGHT)
            sums = [[cgutils.alloca_once_value(builder, zero) for _ in range(columns)] for _ in range(rows)]
            with builder.if_else(values[12]) as (then, otherwise):
                for branch, is_added in ((then, True), (otherwise, False)):
                    with branch:
                        for m, n in product_of(range(rows), range(columns)):
                            builder.store(start.load(corners[m][n]).value if is_added else zero, sums[m][n])
            with cgutils.for_range(builder, values[0]) as loop:
                there, here = builder.mul(loop.index, b_term), builder.mul(loop.index, term)
                factors = [right.load(builder.add(there, integer(n * EIGHT))) for n in range(columns)]
                for m in range(rows):
                    place = builder.add(here, builder.mul(row, integer(m)))
                    factor = left.load(place) if unit == EIGHT else left.repeat(place)
                    for n in range(columns):
                        total = Lanes(builder, builder.load(sums[m][n])) + factor * factors[n]
                        builder.store(total.value, sums[m][n])
            for m, n in product_of(range(rows), range(columns)):
                result.store(Lanes(builder, builder.load(sums[m][n])), corners[m][n])
            return context.get_dummy_value()

        i_ = types.intp
        return types.void(i_, a, i_, i_, i_, b, i_, i_, base, c, i_, i_, types.boolean), generate

    return operation


_block, _column, _row, _single = (_tile(*shape, EIGHT) for shape in ((TILE, TILE), (TILE, 1), (1, TILE), (1, 1)))
_wide_block, _wide_column, _wide_row, _wide_single = (
    _tile(*shape, 1) for shape in ((TILE, TILE), (TILE, 1), (1, TILE), (1, 1))
)


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
            _block(terms, a, i * row, row, term, b, j, columns, c, c, i * columns + j, columns, adds)
        for j in range(whole_columns, columns):
            _column(terms, a, i * row, row, term, b, j, columns, c, c, i * columns + j, columns, adds)
    for i in range(whole_rows, rows):
        for j in range(0, whole_columns, TILE):
            _row(terms, a, i * row, row, term, b, j, columns, c, c, i * columns + j, columns, adds)
        for j in range(whole_columns, columns):
            _single(terms, a, i * row, row, term, b, j, columns, c, c, i * columns + j, columns, adds)


@njit(**OPTIONS)
def product_of_numbers(
    a: np.ndarray,
    row: int,
    term: int,
    b: np.ndarray,
    base: np.ndarray,
    c: np.ndarray,
    size: tuple[int, int, int],
    adds: bool,
) -> None:
    """`c = a b`, or `c = base + a b`, for matrices of numbers of one precision, with at least eight columns; the rest
    as for `product`.
    """
    rows, terms, columns = size
    wide, whole_rows = TILE * EIGHT, rows - rows % TILE
    # The larger one of b and c is gone through once, in the order in which it lies in memory if that is c.
    panel = wide if terms > rows else columns
    for begin in range(0, columns, panel):
        whole = min(begin + panel, columns - columns % wide)
        for i in range(0, whole_rows, TILE):
            for j in range(begin, whole, wide):
                _wide_block(terms, a, i * row, row, term, b, j, columns, base, c, i * columns + j, columns, adds)
            for j in range(max(begin, whole), min(begin + panel, columns), EIGHT):
                j = min(j, columns - EIGHT)  # the last columns may be computed twice
                _wide_column(terms, a, i * row, row, term, b, j, columns, base, c, i * columns + j, columns, adds)
        for i in range(whole_rows, rows):
            for j in range(begin, whole, wide):
                _wide_row(terms, a, i * row, row, term, b, j, columns, base, c, i * columns + j, columns, adds)
            for j in range(max(begin, whole), min(begin + panel, columns), EIGHT):
                j = min(j, columns - EIGHT)
                _wide_single(terms, a, i * row, row, term, b, j, columns, base, c, i * columns + j, columns, adds)
